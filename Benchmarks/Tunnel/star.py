# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""Adit gateways in a star: hubs in the middle, edges around them, each in a network namespace of its own.

    edge N: outer 172.20.N.2 (or another of 172.20.N.0/24, after `move`), inside 10.100.N.1
    hub H:  outer 172.20.N.1 towards each of its edges, inside 10.200.H.1
"""
import os
import re
import shutil
import subprocess
import time

import adit
from lab import Lab, LabError, end, sh

OUTER_ADDRESSES = range(2, 200)
# Where a hub is beside 1.
HUB_ADDRESS = 254


class Star(Lab):
    """A lab whose namespaces come one by one; `keep` is a folder that gets the logs at the end."""

    def __init__(self, keep=None):
        super().__init__()
        self.keep = keep

    def _build(self):
        pass

    def __exit__(self, *details):
        if self.keep:
            os.makedirs(self.keep, exist_ok=True)
            for folder, _, names in os.walk(self.folder):
                for name in names:
                    if name.endswith(".log"):
                        shutil.copy(os.path.join(folder, name), self.keep)
        super().__exit__(*details)

    def add(self, name):
        sh("ip", "netns", "add", self.namespace(name))
        self._namespaces.append(self.namespace(name))
        self.ip(name, "link set lo up")

    def join(self, one, one_device, two, two_device):
        self._join(one, one_device, two, two_device)


class Member(adit.Gateway):
    """A gateway of the star."""

    def __init__(self, star, program, name, resident):
        star.add(name)
        super().__init__(star, program, name, text="")
        self.log = os.path.join(self.folder, f"{name}.log")
        self.name, self.resident = name, resident

    def launch(self, *prefix):
        self.process = self.lab.start(self.side, *prefix, self.program, "run", "--config", self.file, log=self.log)
        return self

    def settings(self):
        return {"interface": "adit0", "control": self.control, "workers": 1}

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """SIGTERM; gives (exit status, seconds)."""
        began = time.monotonic()
        return end(self.process), time.monotonic() - began

    def usage(self):
        """What the process holds."""
        pid = self.process.pid
        with open(f"/proc/{pid}/status") as file:
            text = file.read()
        return {"pid": pid, "resident_bytes": int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024,
                "threads": int(re.search(r"Threads:\s+(\d+)", text)[1]),
                "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}

    def is_calm(self, count):
        """So many IKE SAs with one child each, and nothing half done."""
        ike = self.status()["ike"]
        return ike["sas"] == count and ike["child_sas"] == count and ike["half_open"] == 0

    def summary(self):
        """Its state in a line."""
        try:
            status = self.status()
        except AssertionError as error:
            return f"no status: {error}"
        states = {entry["name"]: (entry["state"], len(entry["children"]),
                                  (entry["last_failure"] or {}).get("code")) for entry in status["connections"]}
        return f"{ {key: value for key, value in status['ike'].items() if key != 'ignored'} } {states}"

    def log_tail(self):
        return self.log_text()[-1500:]


class Hub(Member):
    """A responder for its edges; they may be anywhere."""

    def __init__(self, star, program, name, number, resident):
        super().__init__(star, program, name, resident)
        self.number, self.edges = number, []
        self.inside = f"10.200.{number}.1"
        self.changes = {}
        star.ip(name, f"addr add {self.inside}/32 dev lo")

    def configure(self, only=None, **changes):
        """The configuration; `changes` are keys of the connection `only` from now on."""
        if only:
            self.changes.setdefault(only, {}).update(changes)
        self.write(adit.document(self.settings(), {edge.name: {
            "remote_addrs": "%any", "local_id": f"{self.name}.example.com", "remote_id": f"{edge.name}.example.com",
            "psk": edge.secret, "local_ts": f"10.200.{self.number}.0/24", "remote_ts": f"10.100.{edge.number}.0/24",
            "start_action": "none", "dpd_delay": "3s", **self.changes.get(edge.name, {})} for edge in self.edges}))

    def routes(self):
        return len(re.findall(r"10\.100\.\d+\.0/24", self.lab.ip(self.side, "-4 route show table all dev adit0",
                                                                check=False)))


class Edge(Member):
    """A gateway that connects to its hub by itself."""

    def __init__(self, star, program, hub, number, resident):
        super().__init__(star, program, f"edge{number}", resident)
        self.hub, self.number, self.changes = hub, number, {}
        self.secret = f"the secret of edge number {number}"
        self.inside = f"10.100.{number}.1"
        self.place = OUTER_ADDRESSES[0]
        self.hub_is_away = False
        hub.edges.append(self)
        star.ip(self.side, f"addr add {self.inside}/32 dev lo")
        star.join(self.side, "eth0", hub.side, f"to{number}")
        star.ip(hub.side, f"addr add 172.20.{number}.1/24 dev to{number}")
        star.ip(self.side, f"addr add 172.20.{number}.{self.place}/24 dev eth0")

    def configure(self, **changes):
        """The configuration; `changes` are keys of the connection from now on."""
        self.changes.update(changes)
        self.write(adit.document(self.settings(), {"hub": {
            "remote_addrs": f"172.20.{self.number}.1", "local_id": f"{self.name}.example.com",
            "remote_id": f"{self.hub.name}.example.com", "psk": self.secret,
            "local_ts": f"10.100.{self.number}.0/24", "remote_ts": f"10.200.{self.hub.number}.0/24",
            "start_action": "start", "dpd_delay": "3s", **self.changes}}))

    def reaches_hub(self):
        text = self.lab.run(self.side, "ping", "-n", "-q", "-c", "1", "-W", "0.4", "-I", self.inside, self.hub.inside,
                            check=False)
        return " 1 received" in text

    def pings(self, count):
        """Starts pings; gives a function that waits for their end and tells how many were answered."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.lab.namespace(self.side), "ping", "-n", "-q", "-c", str(count), "-i", "0.05",
             "-W", "2", "-I", self.inside, self.hub.inside], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

        def received():
            text = process.communicate(timeout=30)[0]
            found = re.search(r"(\d+) received", text)
            if not found:
                raise LabError(f"ping did not run: {text}")
            return int(found[1])
        return received

    def rebind(self, port):
        """A NAT before the edge gives its ESP and IKE another port from now on."""
        self.lab.nft(self.side, "table ip rebind; delete table ip rebind; table ip rebind { "
                     f"chain out {{ type filter hook postrouting priority 300; udp sport 4500 udp sport set {port}; }}; "
                     f"chain in {{ type filter hook prerouting priority -300; udp dport {port} udp dport set 4500; }}; }}")

    def move(self):
        """The edge's outer address changes."""
        old = self.place
        self.place = OUTER_ADDRESSES[(OUTER_ADDRESSES.index(old) + 1) % len(OUTER_ADDRESSES)]
        # In this order: a second address of a network goes with the first one.
        self.lab.ip(self.side, f"addr del 172.20.{self.number}.{old}/24 dev eth0")
        self.lab.ip(self.side, f"addr add 172.20.{self.number}.{self.place}/24 dev eth0")

    def move_hub(self):
        """The hub has another address towards the edge, where the edge does not look for it by itself."""
        device = f"to{self.number}"
        places = [f"172.20.{self.number}.{last}/24 dev {device}" for last in (1, HUB_ADDRESS)]
        here = 1 if self.hub_is_away else 0
        self.lab.ip(self.hub.side, f"addr del {places[here]}")
        self.lab.ip(self.hub.side, f"addr add {places[1 - here]}")
        self.hub_is_away = not self.hub_is_away

    def mirrors_hub(self):
        mine = self.peer("hub")["children"]
        theirs = self.hub.peer(self.name)["children"]
        return [(c["spi_in"], c["spi_out"]) for c in mine] == [(c["spi_out"], c["spi_in"]) for c in theirs]


