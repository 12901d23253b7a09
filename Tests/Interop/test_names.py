# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Host names in `remote_addrs`: looked up for each attempt, and never in anybody's way."""
import json
import os
import shutil
import time

from adit import Gateway, connection
from lab import wait_until

NAME = "b.vpn.example"


class Names:
    """What the resolver of a side's namespace reads: `ip netns exec` puts these files in the place of the system's."""

    def __init__(self, lab, side="a"):
        self.folder = f"/etc/netns/{lab.namespace(side)}"
        lab.on_exit(lambda: shutil.rmtree(self.folder, ignore_errors=True))
        os.makedirs(self.folder)
        self._write("resolv.conf", "options timeout:1 attempts:1\n")
        self.set()

    def set(self, *addresses):
        self._write("hosts", "127.0.0.1 localhost\n" + "".join(f"{address} {NAME}\n" for address in addresses))

    def silence(self):
        """A name server that never answers."""
        self._write("resolv.conf", "nameserver 192.0.2.77\noptions timeout:30 attempts:1\n")

    def _write(self, name, text):
        # In place: what is mounted is this file.
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)


def test_a_peer_that_moves(lab, program):
    names = Names(lab)
    b = Gateway(lab, program, "b", {"peer": connection(lab, "b", remote_addrs=["%any"])}).start()
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a", remote_addrs=[NAME])}).start()
    assert a.peer()["remote"]["address"] == f"{NAME}:500"
    failed = a.command("up", "peer")
    assert failed.returncode == 1 and "name_resolution_failed" in failed.stderr and NAME in failed.stderr
    assert a.peer()["last_failure"]["stage"] == "resolve"
    explained = a.command("explain", "peer").stdout
    assert NAME in explained and "remote_addrs" in explained and "getent hosts" in explained
    assert f"cannot look up {NAME}" in a.log_text()

    names.set("192.0.2.2")
    a.up()
    assert a.peer()["remote"]["address"] == "192.0.2.2:4500"
    assert lab.ping("a", count=3).received == 3
    assert a.peer()["last_failure"] is None
    # The peer has another address now, of the other family.
    a.command("down", "peer")
    wait_until("b is without SAs", lambda: not b.peer()["children"], seconds=3)
    names.set("2001:db8::2")
    a.up()
    assert a.peer()["remote"]["address"] == "[2001:db8::2]:4500"
    assert lab.ping("a", count=3).received == 3
    # And b, whose address is not in a's configuration, may call.
    a.command("down", "peer")
    wait_until("b is without SAs", lambda: not b.peer()["children"], seconds=3)
    assert json.loads(a.command("explain", "peer", "--json").stdout)["failures"] == []


def test_a_silent_name_server_holds_nothing_up(lab, program):
    names = Names(lab)
    other = {"local_ts": ["10.3.0.0/24"], "remote_ts": ["10.4.0.0/24"]}
    Gateway(lab, program, "b", {"peer": connection(lab, "b")}).start()
    a = Gateway(lab, program, "a", {
        "named": connection(lab, "a", remote_addrs=[NAME], start_action="none", **other),
        "peer": connection(lab, "a"),
    }).start()
    names.silence()
    waiting = lab.start("a", program, "up", "named", "--control", a.control, log=os.path.join(lab.folder, "up.log"))
    wait_until("the name is being looked up", lambda: a.peer("named")["state"] == "connecting")
    began = time.monotonic()
    a.up()
    assert lab.ping("a", count=5).received == 5
    assert a.peer("named")["state"] == "connecting"
    assert time.monotonic() - began < 3, "the gateway works while the name is being looked up"
    assert waiting.poll() is None
    # Nor does it hold up the end: the resolver's thread is left behind.
    status, seconds = a.terminate()
    assert status == 0 and seconds < 2
