# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""A tunnel that is rekeyed all the time under numbered datagrams and a TCP stream, and what was lost meanwhile."""
import ctypes
import json
import os
import re
import socket
import subprocess

import strongswan
from adit import Gateway, connection
from lab import LabError, end, wait_until
from numbered import SO_RCVBUFFORCE, Load
from strongswan import StrongSwan, configuration

# Datagrams that may wait before the TUN device: what a busy machine's scheduler holds up is not to look like a loss
# by rekeying.
QUEUE = 20_000
PIDFD_GETFD = 438


class Pair:
    """Side a is Adit; side b is Adit, or strongSwan. `who` rekeys: "a", "b" or "both" (or nobody: "")."""

    def __init__(self, lab, program, peer, who, child=3.0, ike=7.0):
        self.lab, self.peer = lab, peer
        times = {side: self._times(side, who, child, ike) for side in ("a", "b")}
        self.gateways = {"a": Gateway(lab, program, "a", {"peer": connection(
            lab, "a", esp_proposals=["aes128gcm16-x25519"], **self._keys(times["a"]))}, **self._settings())}
        if peer == "adit":
            self.gateways["b"] = Gateway(lab, program, "b", {"peer": connection(
                lab, "b", esp_proposals=["aes128gcm16-x25519"], **self._keys(times["b"]))})
        else:
            self.swan = charon(lab, *times["b"])
            widen(self.swan.process)
        for gateway in self.gateways.values():
            gateway.start()
        self.gateways["a"].up()
        for side in ("a", "b"):
            device = "adit0" if side in self.gateways else "ipsec0"
            lab.ip(side, f"link set {device} txqueuelen {QUEUE}")
        if peer != "adit":
            lab.ip("b", "link set ipsec0 mtu 1400")
        self._count_wire()

    def _settings(self):
        # One datagram each on the wire, so that they can be counted there.
        return {} if self.peer == "adit" else {"offloads": ["tun"]}

    @staticmethod
    def _times(side, who, child, ike):
        return (child, ike) if who in (side, "both") else (0, 0)

    @staticmethod
    def _keys(times):
        # The jitter takes up to a tenth off.
        return {"rekey_time": f"{times[0]:g}s", "ike_rekey_time": f"{times[1]:g}s"}

    def _count_wire(self):
        rule = "udp dport 4500 @th,64,32 != 0 counter name"
        for side, hook in (("a", "output"), ("b", "input"), ("b", "output"), ("a", "input")):
            self.lab.nft(side, f"table inet wire{hook} {{ counter packets_of_esp {{ }}; chain c {{ type filter hook {hook} "
                               f"priority 0; {rule} packets_of_esp; }}; }}")

    def wire(self):
        """ESP datagrams (runs of them, with offloads) by side and direction."""
        found = {}
        for side in ("a", "b"):
            for hook in ("output", "input"):
                text = self.lab.run(side, "nft", "list", "counter", "inet", f"wire{hook}", "packets_of_esp")
                found[f"{side} {hook}"] = int(re.search(r"packets (\d+)", text)[1])
        return found

    def losses(self):
        """What each place on the way has dropped so far; zero is left out."""
        found = {}
        for side in ("a", "b"):
            device = "adit0" if side in self.gateways else "ipsec0"
            link = json.loads(self.lab.ip(side, f"-j -s link show dev {device}"))[0]["stats64"]
            found[f"{side} device queue"] = link["tx"]["dropped"]
            with_sockets = self.lab.run(side, "cat", "/proc/net/udp", "/proc/net/udp6")
            found[f"{side} socket 4500"] = sum(
                int(line.split()[-1]) for line in with_sockets.splitlines()
                if re.match(r"\s*\d+: [0-9A-F]+:1194 ", line))
            if side in self.gateways:
                for reason, count in self.gateways[side].drops().items():
                    found[f"{side} adit {reason}"] = count
        return {place: count for place, count in found.items() if count}

    def rekeys(self):
        """How often children and IKE SAs were replaced, by Adit's log at side a."""
        text = self.gateways["a"].log_text()
        return {"children": len(re.findall(r"child \S+ rekeyed:", text)),
                "ike_sas": len(re.findall(r"IKE SA rekeyed", text))}


def charon(lab, child, ike):
    """strongSwan with these rekey times (0 never), without the log of keys that slows a rekey down."""
    life = f"rekey_time = {child:g}s\nrand_time = 0\nlife_time = {max(child * 20, 60):g}s" if child else "rekey_time = 0"
    again = f"rekey_time = {ike:g}s\nrand_time = 0\nover_time = 60s\nreauth_time = 0" if ike else "rekey_time = 0"
    plugins = strongswan.PLUGINS
    try:
        strongswan.PLUGINS = plugins.replace(" openssl ", " aesni openssl ")
        return StrongSwan(lab, "b", configuration(lab, "b", esp="aes128gcm16-x25519", connection=again, child=life))
    finally:
        strongswan.PLUGINS = plugins


def widen(process, bytes_of_room=16 << 20):
    """strongSwan leaves its sockets the kernel's default buffer, which is full after ten milliseconds at 20,000
    datagrams a second. They get more, so that what is lost is not that."""
    libc = ctypes.CDLL(None, use_errno=True)
    pid_descriptor = os.pidfd_open(process.pid)
    try:
        for name in os.listdir(f"/proc/{process.pid}/fd"):
            if not os.readlink(f"/proc/{process.pid}/fd/{name}").startswith("socket:"):
                continue
            copy = libc.syscall(PIDFD_GETFD, pid_descriptor, int(name), 0)
            if copy < 0:
                raise LabError(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
            with socket.socket(fileno=copy) as theirs:
                if theirs.family in (socket.AF_INET, socket.AF_INET6) and theirs.type & socket.SOCK_DGRAM:
                    theirs.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, bytes_of_room)
    finally:
        os.close(pid_descriptor)


class Stream:
    """A TCP stream from a to b beside the datagrams, of a rate that leaves them room."""

    def __init__(self, lab, seconds, megabits):
        self.lab, log = lab, os.path.join(lab.folder, "iperf3-server.log")
        self.server = lab.start("b", "iperf3", "-s", "-1", "-B", lab.sites["b"].host4, log=log)
        wait_until("iperf3 listens", lambda: ":5201 " in lab.run("b", "ss", "-ltn"))
        self.client = subprocess.Popen(
            ["ip", "netns", "exec", lab.namespace("a"), "iperf3", "-c", lab.sites["b"].host4, "-B",
             lab.sites["a"].host4, "-t", str(seconds), "-b", f"{megabits}M", "-i", "1", "--json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        lab.on_exit(lambda: end(self.client))

    def result(self):
        report = json.loads(self.client.communicate(timeout=120)[0])
        end(self.server)
        if "error" in report:
            raise LabError(f"iperf3: {report['error']}")
        rates = [entry["sum"]["bits_per_second"] for entry in report["intervals"] if entry["sum"]["seconds"] > 0.5]
        return {"sent_bytes": report["end"]["sum_sent"]["bytes"], "received_bytes": report["end"]["sum_received"]["bytes"],
                "retransmits": report["end"]["sum_sent"].get("retransmits", 0), "slowest_second": min(rates, default=0)}


def run(lab, program, peer, who, seconds, rate, back, megabits=20, child=3.0, ike=7.0):
    """One run; gives every figure."""
    pair = Pair(lab, program, peer, who, child, ike)
    before, wire = pair.losses(), pair.wire()
    stream = Stream(lab, seconds, megabits) if megabits else None
    loads = {"a to b": Load(lab, "a", "b", rate, seconds), "b to a": Load(lab, "b", "a", back, seconds)}
    figures = {"peer": peer, "who": who, "seconds": seconds, "rate": rate, "back": back,
               "datagrams": {way: load.result() for way, load in loads.items()}}
    figures["tcp"] = stream.result() if stream else None
    figures["rekeys"] = pair.rekeys()
    after = pair.losses()
    figures["dropped_at"] = {place: count - before.get(place, 0) for place, count in after.items()
                             if count != before.get(place, 0)}
    figures["wire"] = {place: count - wire[place] for place, count in pair.wire().items()}
    return figures


def explain(figures):
    """A line for a person."""
    ways = "; ".join(f"{way} {one['sent']} sent, {one['lost']} lost, {one['duplicates']} doubled, {one['late']} late, "
                     f"longest gap {one['longest_gap_seconds'] * 1000:.0f} ms"
                     for way, one in figures["datagrams"].items())
    tcp = figures["tcp"]
    said = f"; TCP {tcp['received_bytes'] / 1e6:.0f} MB, {tcp['retransmits']} retransmitted" if tcp else ""
    places = f"; dropped at {figures['dropped_at']}" if figures["dropped_at"] else ""
    return f"{figures['rekeys']['children']} child and {figures['rekeys']['ike_sas']} IKE rekeys; {ways}{said}{places}"


def lost_by_adit(figures):
    """Beside strongSwan, and without a TCP stream: datagrams that went into Adit at side a and did not come out."""
    there, back = figures["datagrams"]["a to b"], figures["datagrams"]["b to a"]
    return {"a to b": max(there["sent"] - figures["wire"]["a output"], 0),
            "b to a": max(figures["wire"]["a input"] - back["received"] - back["receiver_dropped"], 0)}
