# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""`adit reload` and SIGHUP: the plan, and that only what changed is touched."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
from adit import Gateway, connection, document
from lab import OTHER, wait_until
from strongswan import StrongSwan, configuration

OTHER_RANGES = {"a": {"local_ts": ["10.3.0.0/24"], "remote_ts": ["10.4.0.0/24"]},
                "b": {"local_ts": ["10.4.0.0/24"], "remote_ts": ["10.3.0.0/24"]}}
THIRD_RANGES = {"local_ts": ["10.5.0.0/24"], "remote_ts": ["10.6.0.0/24"]}


def both(lab, side, **changes):
    """The connections of one side: `peer`, and `lab` with other identities."""
    ids = {"local_id": f"lab.{side}.example", "remote_id": f"lab.{OTHER[side]}.example"}
    return {"peer": connection(lab, side), "lab": connection(lab, side, **{**ids, **OTHER_RANGES[side], **changes})}


def spis(gateway, name="peer"):
    found = gateway.peer(name)
    return found["ike_spi"], [(child["spi_in"], child["spi_out"]) for child in found["children"]]


def children(lab, side, keys=None, **lab_keys):
    """The connection `peer` of one side with the children `net` and `lab`; `keys` are the connection's."""
    common = {**connection(lab, side), **(keys or {})}
    net = {key: common.pop(key) for key in ("local_ts", "remote_ts")}
    return {"peer": common, "peer.children.net": net, "peer.children.lab": {**OTHER_RANGES[side], **lab_keys}}


def child_spis(gateway):
    """The SPIs of connection `peer`: the IKE SA's, and those of each child by its name."""
    found = gateway.peer()
    return found["ike_spi"], {child["name"]: (child["spi_in"], child["spi_out"]) for child in found["children"]}


class Pings:
    """Pings every 5 ms from site to site, or between the second ranges, until they are counted."""

    def __init__(self, lab, source="10.1.0.1", target="10.2.0.1"):
        self.process = subprocess.Popen(["ip", "netns", "exec", lab.namespace("a"), "ping", "-n", "-q", "-i", "0.005",
                                         "-I", source, target], stdout=subprocess.PIPE, text=True)
        lab.on_exit(self.process.kill)

    def lost(self):
        """How many of the pings were lost, those of the last moment left out."""
        time.sleep(1)
        self.process.send_signal(signal.SIGINT)
        text = self.process.communicate(timeout=10)[0]
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", text).groups())
        assert sent > 100, text
        # The last one may still be under way.
        return max(sent - received - 1, 0)


def write(gateway, connections, **keys):
    gateway.write(document({"interface": "adit0", "control": gateway.control, **keys}, connections))


def test_only_what_changed_is_touched(lab, program):
    b = Gateway(lab, program, "b", both(lab, "b")).start()
    a = Gateway(lab, program, "a", both(lab, "a")).start()
    a.up()
    a.up("lab")
    before, lab_before = spis(a), spis(a, "lab")
    ping = subprocess.Popen(["ip", "netns", "exec", lab.namespace("a"), "ping", "-n", "-q", "-i", "0.005", "-c", "400",
                             "-I", "10.1.0.1", "10.2.0.1"], stdout=subprocess.PIPE, text=True)
    lab.on_exit(ping.kill)

    # Nothing changed.
    done = a.command("reload", "--dry-run")
    assert done.returncode == 0 and "2 unchanged" in done.stdout and "nothing was changed" in done.stdout

    # One changed, one added: shown first, and nothing is done.
    changed = {**both(lab, "a", reauth_time="10h"), "third": connection(lab, "a", **THIRD_RANGES)}
    write(a, changed, mtu=1300)
    shown = a.command("reload", "--dry-run").stdout
    assert "~ lab: reauth_time 0s -> 36000s; its SAs are deleted and made anew" in shown and "+ third: added" in shown
    assert "! [gateway]: mtu = 1300; takes effect after a restart" in shown
    assert "peer" not in shown
    assert spis(a, "lab") == lab_before and len(a.status()["connections"]) == 2
    plan = json.loads(a.command("reload", "--dry-run", "--json").stdout)
    assert plan["applied"] is False
    assert {entry["name"]: entry["action"] for entry in plan["plan"]["connections"]} == {
        "peer": "unchanged", "lab": "changed", "third": "added"}

    # The same is said and done.
    done = a.command("reload")
    assert done.returncode == 0
    assert done.stdout.splitlines()[:3] == shown.splitlines()[:3]
    assert [entry["name"] for entry in a.status()["connections"]] == ["peer", "lab", "third"]
    wait_until("lab's SAs are gone", lambda: not a.peer("lab")["children"] and not b.peer("lab")["children"])
    a.up("lab")
    assert spis(a, "lab") != lab_before

    # Removed, by SIGHUP this time; the log has the plan.
    write(a, {"peer": connection(lab, "a")}, mtu=1300)
    a.process.send_signal(signal.SIGHUP)
    wait_until("the others are removed", lambda: len(a.status()["connections"]) == 1)
    wait_until("b has heard of it", lambda: not b.peer("lab")["children"])
    assert "reload: - lab: removed" in a.log_text() and "reload: - third: removed" in a.log_text()

    # All the while the tunnel that did not change kept its SAs and lost nothing.
    text = ping.communicate(timeout=10)[0]
    assert re.search(r"400 packets transmitted, 400 received", text), text
    assert spis(a) == before


def test_an_error_changes_nothing(lab, program):
    Gateway(lab, program, "b", both(lab, "b")).start()
    a = Gateway(lab, program, "a", both(lab, "a")).start()
    a.up()
    before = spis(a)
    broken = both(lab, "a", dpd_delay="soon", esm=True)
    broken["peer"]["remote_ts"] = ["10.9.0.0/33"]
    write(a, broken)
    for options in ([], ["--dry-run"]):
        done = a.command("reload", *options)
        assert done.returncode == 1 and "nothing was changed" in done.stderr
        for key in ("dpd_delay", "esm", "remote_ts"):
            assert key in done.stdout, "every error at once"
    document_of_errors = json.loads(a.command("reload", "--json").stdout)
    assert document_of_errors["applied"] is False and len(document_of_errors["errors"]) == 3
    logged = len(a.log_text())
    a.process.send_signal(signal.SIGHUP)
    wait_until("the refusal is in the log", lambda: "nothing was changed" in a.log_text()[logged:])
    assert spis(a) == before and lab.ping("a", count=3).received == 3
    os.unlink(a.file)
    assert a.command("reload").returncode == 1
    assert spis(a) == before


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_only_what_changed_is_touched_with_strongswan(lab, program, initiator):
    """Of two connections to one strongSwan one changes: the other keeps its SPIs at both ends and loses nothing."""
    # kernel-libipsec wants an address of its own in each local_ts.
    lab.ip("b", "addr add 10.4.0.1/32 dev lo")
    swan = StrongSwan(lab, "b", configuration(lab, "b") + configuration(
        lab, "b", name="lab", local_id="lab.b.example", remote_id="lab.a.example", local_ts="10.4.0.0/24",
        remote_ts="10.3.0.0/24").replace("      net {", "      lab {"))
    a = Gateway(lab, program, "a", both(lab, "a")).start()
    if initiator == "adit":
        a.up()
        a.up("lab")
    else:
        for child in ("net", "lab"):
            assert "completed successfully" in swan.control("--initiate", "--child", child, "--timeout", "10")
        for name in ("peer", "lab"):
            a.wait_for("established", name=name)

    def theirs(name):
        """What `swanctl --list-sas` has of a connection."""
        return [(sa["initiator-spi"], sa["responder-spi"], [(child["spi-in"], child["spi-out"])
                 for child in sa["children"]]) for sa in swan.sas() if sa["name"] == name]

    # strongSwan's userspace ESP loses a packet of its own now and then on a busy machine: then it is said again.
    for attempt in range(3):
        ours, other = (spis(a), theirs("peer")), (spis(a, "lab"), theirs("lab"))
        assert len(other[1]) == 1 and len(ours[1]) == 1
        ping = subprocess.Popen(["ip", "netns", "exec", lab.namespace("a"), "ping", "-n", "-q", "-i", "0.005", "-c",
                                 "300", "-I", "10.1.0.1", "10.2.0.1"], stdout=subprocess.PIPE, text=True)
        lab.on_exit(ping.kill)
        write(a, both(lab, "a", reauth_time=f"{10 + attempt}h"))
        done = a.command("reload")
        assert done.returncode == 0 and "~ lab: reauth_time" in done.stdout and "1 unchanged, 1 changed" in done.stdout
        wait_until("strongSwan has heard of it", lambda: not theirs("lab"))
        a.up("lab")
        assert theirs("lab") and theirs("lab") != other[1] and spis(a, "lab") != other[0]
        assert (spis(a), theirs("peer")) == ours, "the SPIs at both ends"
        text = ping.communicate(timeout=10)[0]
        if re.search(r"300 packets transmitted, 300 received", text):
            break
    assert re.search(r"300 packets transmitted, 300 received", text), text


def test_one_child_of_two(lab, program):
    """What changed of a child is done to that child alone: the IKE SA and the other child keep their SPIs."""
    for side, address in (("a", "10.3.0.1"), ("b", "10.4.0.1")):
        lab.ip(side, f"addr add {address}/32 dev lo")
    b = Gateway(lab, program, "b", children(lab, "b")).start()
    a = Gateway(lab, program, "a", children(lab, "a")).start()
    a.up()
    wait_until("both children are up", lambda: len(child_spis(a)[1]) == 2)
    before = child_spis(a)
    pings = Pings(lab)

    def reload(words, keys=None, **lab_keys):
        write(a, children(lab, "a", keys, **lab_keys))
        shown = a.command("reload", "--dry-run").stdout
        plan = json.loads(a.command("reload", "--dry-run", "--json").stdout)["plan"]["connections"][0]
        done = a.command("reload")
        assert done.returncode == 0 and words in done.stdout, done.stdout
        assert done.stdout.splitlines()[0] == shown.splitlines()[0] and plan["ike_sa"] == "kept"
        return {child["name"]: child["action"] for child in plan["children"]}

    def settled():
        """The IKE SPIs and those of `net` are as they were; gives those of `lab`, at both ends."""
        ours, theirs = child_spis(a), child_spis(b)
        assert ours[0] == theirs[0] == before[0] and ours[1]["net"] == before[1]["net"]
        assert theirs[1]["net"] == tuple(reversed(before[1]["net"]))
        return ours[1].get("lab"), theirs[1].get("lab")

    # What both sides agree on: deleted and made anew, as it was up.
    assert reload("the IKE SA stays; child lab is deleted and made anew", esn=False) == {
        "net": "unchanged", "lab": "replaced"}
    wait_until("lab is up again", lambda: settled()[0] not in (None, before[1]["lab"]) and settled()[1])
    anew = settled()
    assert anew[1] == tuple(reversed(anew[0]))
    # Our own timing, and the connection's: the SPIs stay.
    assert reload("its SAs stay", {"dpd_delay": "20s", "ike_rekey_time": "3h"}, esn=False, rekey_time="2h",
                  start_action="trap") == {"net": "unchanged", "lab": "adopted"}
    assert settled() == anew
    # What the data plane does by itself: rekeyed, and nothing is lost there either.
    second = Pings(lab, "10.3.0.1", "10.4.0.1")
    keys = {"dpd_delay": "20s", "ike_rekey_time": "3h"}
    assert reload("child lab is rekeyed", keys, esn=False, rekey_time="2h", start_action="trap", replay_window=64) == {
        "net": "unchanged", "lab": "rekeyed"}
    wait_until("lab is rekeyed", lambda: settled()[0] != anew[0] and settled()[1] == tuple(reversed(settled()[0])))
    time.sleep(1)
    assert second.lost() == 0

    # Removed: the peer hears of it, and packets no longer find it; and there again, with the first packet.
    write(a, {key: value for key, value in children(lab, "a", keys).items() if key != "peer.children.lab"})
    assert "the IKE SA stays; child lab is deleted" in a.command("reload").stdout
    wait_until("lab is gone", lambda: settled() == (None, None))
    # What was rekeyed receives a few seconds longer.
    wait_until("its route is gone", lambda: "10.4.0.0/24" not in lab.ip("a", "route show table all"), seconds=8)
    reload("child lab is added", keys, start_action="start")
    wait_until("lab is up", lambda: None not in settled())
    assert pings.lost() == 0, "net"


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_one_child_of_two_with_strongswan(lab, program, initiator):
    """Beside strongSwan: the child that did not change keeps its SPIs at both ends and loses nothing, the IKE SA too."""
    # kernel-libipsec wants an address of its own in each local_ts.
    lab.ip("a", "addr add 10.3.0.1/32 dev lo")
    lab.ip("b", "addr add 10.4.0.1/32 dev lo")
    both_esp = "aes128gcm16,aes256gcm16"
    swan = StrongSwan(lab, "b", configuration(lab, "b", esp=both_esp) + configuration(
        lab, "b", esp=both_esp, local_ts="10.4.0.0/24", remote_ts="10.3.0.0/24").replace("      net {", "      lab {"))
    a = Gateway(lab, program, "a", children(lab, "a")).start()
    if initiator == "adit":
        a.up()
    else:
        for child in ("net", "lab"):
            assert "completed successfully" in swan.control("--initiate", "--child", child, "--timeout", "10")
    wait_until("both children are up", lambda: len(child_spis(a)[1]) == 2)

    # Packets on it show each side that the other one has it, so that it can be deleted at once.
    lab.run("a", "ping", "-n", "-q", "-c", "3", "-i", "0.2", "-I", "10.3.0.1", "10.4.0.1", check=False)

    def theirs():
        """What `swanctl --list-sas` has: the IKE SPIs, and the SPIs of the children by name."""
        sa = swan.sa()
        return (sa["initiator-spi"], sa["responder-spi"]), {
            child["name"]: (child["spi-in"], child["spi-out"]) for child in sa["children"]
            if child["state"] == "INSTALLED"}

    # strongSwan's userspace ESP loses a packet of its own now and then on a busy machine: then it is done again.
    for attempt in range(3):
        ours, other = child_spis(a), theirs()
        pings = Pings(lab)
        suite = ("aes256gcm16", "aes128gcm16")[attempt % 2]
        write(a, children(lab, "a", esp_proposals=[suite]))
        done = a.command("reload")
        assert "the IKE SA stays; child lab is deleted and made anew" in done.stdout, done.stdout
        wait_until("lab is made anew", lambda: child_spis(a)[1].get("lab") not in (None, ours[1]["lab"]))
        wait_until("strongSwan has it", lambda: theirs()[1].get("lab") not in (None, other[1]["lab"]))
        assert theirs()[0] == other[0] and child_spis(a)[0] == ours[0], "the IKE SPIs at both ends"
        assert theirs()[1]["net"] == other[1]["net"] and child_spis(a)[1]["net"] == ours[1]["net"]
        lost = pings.lost()
        if lost == 0:
            break
    assert lost == 0
    write(a, {key: value for key, value in children(lab, "a").items() if key != "peer.children.lab"})
    assert "child lab is deleted" in a.command("reload").stdout
    wait_until("strongSwan has deleted it", lambda: list(theirs()[1]) == ["net"] and list(child_spis(a)[1]) == ["net"])
    assert theirs()[0] == other[0]
