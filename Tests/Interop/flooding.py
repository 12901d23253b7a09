# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""A flood of first messages from made-up addresses, and what the gateway does meanwhile.

    python3 flooding.py DEVICE TARGET COUNT SECONDS      in the flooder's namespace; prints what was sent and answered

Gateway b stands between its peer a, a new peer c (203.0.113.2) and the flooder f, through which 198.18.0.0/15 is
reached.
"""
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time

from adit import SECRET, Gateway, connection
from lab import Lab, LabError, sh
from numbered import Load

SOURCES = ("198.18.0.0", 17)
IKE_SA_INIT, NOTIFY, COOKIE = 34, 41, 16390
UDP_HEADER, IP_HEADER = 8, 20


def first_message(generator, rich):
    """A valid IKE_SA_INIT with AES-256-GCM, SHA-384 and x25519; `rich`: with what ordinary initiators add."""
    def payload(following, body):
        return struct.pack("!BBH", following, 0, len(body) + 4) + body

    def transform(last, kind, number, attribute=b""):
        return struct.pack("!BBHBBH", 0 if last else 3, 0, 8 + len(attribute), kind, 0, number) + attribute

    transforms = (transform(False, 1, 20, struct.pack("!HH", 0x800e, 256)) + transform(False, 2, 6)
                  + transform(True, 4, 31))
    proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(transforms), 1, 1, 0, 3) + transforms
    notifies = [(16388, generator.randbytes(20)), (16389, generator.randbytes(20)), (16430, b"")] if rich else []
    body = payload(34, proposal) + payload(40, struct.pack("!HH", 31, 0) + generator.randbytes(32))
    body += payload(41 if notifies else 0, generator.randbytes(32 if rich else 16))
    for index, (kind, data) in enumerate(notifies):
        body += payload(41 if index + 1 < len(notifies) else 0, struct.pack("!BBH", 0, 0, kind) + data)
    header = generator.randbytes(8) + bytes(8) + struct.pack("!BBBBII", 33, 0x20, IKE_SA_INIT, 0x08, 0, 28 + len(body))
    return header + body


def datagram(source, target, message):
    """An IP packet; the kernel fills in the length and the checksum of its header."""
    udp = struct.pack("!HHHH", random.randrange(1024, 65536), 500, UDP_HEADER + len(message), 0)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 17, 0, source, target)
    return header + udp + message


class Listener(threading.Thread):
    """Counts the answers that come to the flooder's device."""

    def __init__(self, device):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.bind((device, 0x0800))
        self.bytes, self.cookies, self.others, self.ended = {}, 0, 0, False

    def run(self):
        self.socket.settimeout(0.2)
        while not self.ended:
            try:
                packet, address = self.socket.recvfrom(2048)
            except socket.timeout:
                continue
            if address[2] == socket.PACKET_OUTGOING or packet[9] != 17:
                continue
            message = packet[IP_HEADER + UDP_HEADER:]
            if len(message) < 28:
                continue
            target = packet[16:20]
            self.bytes[target] = self.bytes.get(target, 0) + len(packet)
            is_cookie = message[16] == NOTIFY and struct.unpack("!H", message[34:36])[0] == COOKIE
            self.cookies += is_cookie
            self.others += not is_cookie


def flood(device, target, count, seconds):
    """Sends; prints the totals, and the sources that were sent more than they had sent."""
    generator = random.Random()
    listener = Listener(device)
    listener.start()
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    network = int.from_bytes(socket.inet_aton(SOURCES[0]), "big")
    there, sent, sent_bytes, began = socket.inet_aton(target), {}, 0, time.monotonic()
    for number in range(count):
        ahead = number * seconds / count - (time.monotonic() - began)
        if ahead > 0.001:
            time.sleep(ahead)
        source = (network + generator.getrandbits(SOURCES[1])).to_bytes(4, "big")
        packet = datagram(source, there, first_message(generator, generator.random() < 0.5))
        out.sendto(packet, (target, 0))
        sent[source] = sent.get(source, 0) + len(packet)
        sent_bytes += len(packet)
    took = time.monotonic() - began
    time.sleep(1)
    listener.ended = True
    listener.join()
    amplified = [round(size / sent[source], 3) for source, size in listener.bytes.items() if size > sent.get(source, 0)]
    print(json.dumps({"sent": count, "seconds": round(took, 2), "sources": len(sent), "bytes_in": sent_bytes,
                      "bytes_out": sum(listener.bytes.values()), "cookies": listener.cookies,
                      "other_answers": listener.others, "amplified_sources": len(amplified),
                      "largest_amplification": max(amplified, default=0)}))


class FloodLab(Lab):
    """A lab with a new peer c and a flooder f besides."""

    def _build(self):
        super()._build()
        for name, mine, theirs in (("c", "203.0.113.2/24", "203.0.113.1/24"), ("f", "100.64.0.2/30", "100.64.0.1/30")):
            sh("ip", "netns", "add", self.namespace(name))
            self._namespaces.append(self.namespace(name))
            self.ip(name, "link set lo up")
            self._join(name, "eth0", "b", f"to{name}")
            self.ip(name, f"addr add {mine} dev eth0")
            self.ip("b", f"addr add {theirs} dev to{name}")
        self.ip("c", "addr add 10.3.0.1/32 dev lo")
        self.ip("f", "route add default via 100.64.0.1")
        self.ip("b", "route add 198.18.0.0/15 via 100.64.0.2")
        self.run("b", "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")


class Newcomer(Gateway):
    """Peer c, which comes and goes."""

    def __init__(self, lab, program):
        keys = {"remote_addrs": "203.0.113.1", "local_id": "c.example.com", "remote_id": "b.example.com", "psk": SECRET,
                "local_ts": "10.3.0.0/24", "remote_ts": "10.2.0.0/24", "start_action": "none"}
        super().__init__(lab, program, "c", {"peer": keys})

    def handshake(self):
        """Seconds from `adit up` to a tunnel, then a ping through it, and down again."""
        began = time.monotonic()
        self.up()
        took = time.monotonic() - began
        text = self.lab.run("c", "ping", "-n", "-q", "-c", "3", "-i", "0.05", "-W", "1", "-I", "10.3.0.1", "10.2.0.1",
                            check=False)
        if " 3 received" not in text:
            raise LabError(f"the new peer's tunnel carries nothing: {text}")
        self.command("down", "peer")
        return took


def resident(process):
    with open(f"/proc/{process.pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024


def run(lab, program, count, seconds, rate):
    """One flood; gives every figure."""
    open_to_all = {"remote_addrs": "%any", "local_id": "b.example.com", "remote_id": "c.example.com", "psk": SECRET,
                   "local_ts": "10.2.0.0/24", "remote_ts": "10.3.0.0/24", "start_action": "none"}
    b = Gateway(lab, program, "b", {"peer": connection(lab, "b"), "newcomer": open_to_all}).start()
    a = Gateway(lab, program, "a").start()
    c = Newcomer(lab, program).start()
    a.up()
    figures = {"handshake_before": c.handshake(), "resident_before": resident(b.process)}
    loads = {"a to b": Load(lab, "a", "b", rate, seconds), "b to a": Load(lab, "b", "a", rate, seconds)}
    flooder = subprocess.Popen(["ip", "netns", "exec", lab.namespace("f"), sys.executable, os.path.abspath(__file__),
                                "eth0", "192.0.2.2", str(count), str(seconds)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lab.on_exit(flooder.kill)
    handshakes, half_open, largest = [], 0, 0
    time.sleep(min(1, seconds / 4))
    while flooder.poll() is None:
        handshakes.append(c.handshake())
        half_open = max(half_open, b.status()["ike"]["half_open"])
        largest = max(largest, resident(b.process))
        time.sleep(min(1, seconds / 10))
    said = flooder.communicate()[0]
    try:
        figures["flood"] = json.loads(said.splitlines()[-1])
    except (IndexError, ValueError):
        raise LabError(f"the flooder: {said}") from None
    figures |= {"handshakes": handshakes, "largest_half_open": half_open, "resident_most": largest,
                "resident_after": resident(b.process), "ignored": b.status()["ike"]["ignored"],
                "datagrams": {way: load.result() for way, load in loads.items()},
                "tunnel": a.child()["spi_in"] == b.child()["spi_out"]}
    return figures


def problems(figures, lost_share=1e-4):
    """What is not as it should be, in words."""
    flood, found = figures["flood"], []
    for way, one in figures["datagrams"].items():
        if one["lost"] > one["sent"] * lost_share or one["duplicates"]:
            found.append(f"{way}: {one['lost']} of {one['sent']} lost, {one['duplicates']} came twice")
    slow = [took for took in figures["handshakes"] if took > 2]
    if slow or not figures["handshakes"]:
        found.append(f"{len(slow)} of {len(figures['handshakes'])} handshakes took longer than 2 s: {slow}")
    if flood["cookies"] < flood["sent"] * 0.9 - 1000:
        found.append(f"only {flood['cookies']} cookies for {flood['sent']} first messages")
    if flood["amplified_sources"]:
        found.append(f"{flood['amplified_sources']} sources got more than they sent, up to "
                     f"{flood['largest_amplification']} times as much")
    growth = figures["resident_most"] - figures["resident_before"]
    if growth > 8 << 20:
        found.append(f"the gateway grew by {growth / 2**20:.1f} MiB")
    if figures["largest_half_open"] > 200:
        found.append(f"{figures['largest_half_open']} half-open IKE SAs")
    if not figures["tunnel"]:
        found.append("the tunnel that was there is another one now")
    return found


if __name__ == "__main__":
    flood(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
