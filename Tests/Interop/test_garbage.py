# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Datagrams that nobody should send: they are counted by reason, and the tunnel does not notice."""
import os
import random

import pytest
from adit import Gateway
from capture import Capture
from lab import wait_until
from strongswan import StrongSwan, configuration

GATEWAY, FROM_SITE = "192.0.2.1", "192.0.2.2"

SEND = """
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in sys.stdin:
    port, _, octets = line.strip().partition(' ')
    sender.sendto(bytes.fromhex(octets), (sys.argv[1], int(port)))
sender.settimeout(0.5)
answers = 0
try:
    while sender.recv(65535):
        answers += 1
except TimeoutError:
    pass
print(answers)
"""


@pytest.fixture
def tunnel(lab, program):
    """Adit at a, strongSwan at b, and ESP datagrams that b has sent."""
    swan = StrongSwan(lab, "b", configuration(lab, "b"))
    gateway = Gateway(lab, program, "a").start()
    capture = Capture(lab, "b")
    gateway.up()
    assert lab.clean_ping("b", count=10).received == 10
    datagrams = esp_datagrams(capture.stop())
    assert len(datagrams) == 10
    return gateway, swan, datagrams


def esp_datagrams(path):
    """The UDP payloads on port 4500 that b sent and that are ESP."""
    from scapy.all import IP, UDP, rdpcap
    payloads = [bytes(packet[UDP].payload) for packet in rdpcap(path)
                if UDP in packet and packet[IP].src == FROM_SITE and packet[UDP].dport == 4500]
    return [payload for payload in payloads if len(payload) > 30 and payload[:4] != bytes(4)]


def inject(lab, datagrams):
    """Sends (port, octets) to the gateway from its peer's host; gives how many answers came."""
    import subprocess
    import sys
    text = "".join(f"{port} {octets.hex()}\n" for port, octets in datagrams)
    done = subprocess.run(["ip", "netns", "exec", lab.namespace("b"), sys.executable, "-c", SEND, GATEWAY],
                          input=text, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def assert_counted(gateway, before, reason, count):
    wait_until(f"{count} more {reason}", lambda: gateway.drops()[reason] - before[reason] >= count, seconds=3)
    assert gateway.drops()[reason] - before[reason] == count


def assert_unharmed(lab, gateway, child):
    assert lab.clean_ping("a", count=10).received == 10 and lab.clean_ping("b", count=10).received == 10
    assert gateway.child()["spi_in"] == child["spi_in"] and gateway.peer()["remote"]["address"] == "192.0.2.2:4500"


def test_replayed(lab, tunnel):
    gateway, _, datagrams = tunnel
    before, child = gateway.drops(), gateway.child()
    assert inject(lab, [(4500, datagram) for datagram in datagrams]) == 0
    assert_counted(gateway, before, "replayed", len(datagrams))
    assert gateway.child()["packets_in"] == child["packets_in"]
    assert_unharmed(lab, gateway, child)


def test_forged(lab, tunnel):
    """New sequence numbers on old packets: the ICV refuses them, and the window has not moved."""
    gateway, _, datagrams = tunnel
    before, child = gateway.drops(), gateway.child()
    forged = [datagram[:4] + (1000 + number).to_bytes(4, "big") + datagram[8:]
              for number, datagram in enumerate(datagrams)]
    assert inject(lab, [(4500, datagram) for datagram in forged]) == 0
    assert_counted(gateway, before, "bad_icv", len(forged))
    assert_unharmed(lab, gateway, child)


def test_unknown_spi(lab, tunnel):
    gateway, _, datagrams = tunnel
    before, child = gateway.drops(), gateway.child()
    unknown = [bytes([0x11, 0x22, 0x33, number]) + datagram[4:] for number, datagram in enumerate(datagrams)]
    inject(lab, [(4500, datagram) for datagram in unknown])
    assert_counted(gateway, before, "unknown_spi", len(unknown))
    assert_unharmed(lab, gateway, child)


def test_truncated_and_oversized(lab, tunnel):
    gateway, _, datagrams = tunnel
    child = gateway.child()
    lost = sum(gateway.drops().values())
    whole = datagrams[0]
    pieces = [whole[:length] for length in range(0, len(whole))] + [whole + bytes(60000 - len(whole))]
    inject(lab, [(4500, piece) for piece in pieces])
    # An empty datagram and the one octet of a keepalive need no counter.
    wait_until("they are counted", lambda: sum(gateway.drops().values()) - lost >= len(pieces) - 8, seconds=3)
    assert_unharmed(lab, gateway, child)


def test_noise(lab, tunnel):
    """Random octets, and IKE headers with random bodies, on both ports: no answer but what RFC 7296 §2.21 asks."""
    gateway, _, _ = tunnel
    child = gateway.child()
    lines = gateway.log_text().count("\n")
    generator = random.Random(7)
    noise = []
    for number in range(600):
        octets = generator.randbytes(generator.choice([0, 1, 3, 4, 8, 27, 28, 29, 60, 400, 1400]))
        if number % 3 == 0 and len(octets) >= 28:
            header = generator.randbytes(8) + bytes(8) + bytes([33, 0x20, 34, 0x08]) + bytes(4)
            octets = header + len(octets).to_bytes(4, "big") + octets[28:]
        noise.append((500, octets) if number % 2 else (4500, bytes(4) + octets))
    answers = inject(lab, noise)
    assert answers <= 200, "far fewer answers than datagrams"
    assert gateway.log_text().count("\n") - lines < 100, "no log line per datagram"
    assert_unharmed(lab, gateway, child)


def test_authenticated_ike_messages_replayed_and_bent(lab, program):
    """The peer's own IKE messages again, whole and with each octet changed."""
    from scapy.all import IP, UDP, rdpcap
    swan = StrongSwan(lab, "b", configuration(lab, "b"))
    gateway = Gateway(lab, program, "a").start()
    capture = Capture(lab, "b")
    assert "completed successfully" in swan.initiate()
    child = gateway.child()
    messages = [(packet[UDP].dport, bytes(packet[UDP].payload)) for packet in rdpcap(capture.stop())
                if UDP in packet and packet[IP].src == FROM_SITE]
    bent = []
    for port, message in messages:
        for place in range(0, len(message), 3):
            bent.append((port, message[:place] + bytes([message[place] ^ 0xFF]) + message[place + 1:]))
    inject(lab, messages + bent)
    assert_unharmed(lab, gateway, child)
    assert len(swan.sas()) == 1


@pytest.mark.alone
def test_memory_does_not_grow(lab, tunnel):
    gateway, _, datagrams = tunnel
    resident = lambda: int(next(line for line in open(f"/proc/{gateway.process.pid}/status")
                                if line.startswith("VmRSS")).split()[1])
    child = gateway.child()
    generator = random.Random(11)

    def round_of_noise():
        inject(lab, [(4500, generator.randbytes(200)) for _ in range(5000)])
        inject(lab, [(500, generator.randbytes(8) + bytes(8) + b"\x21\x20\x22\x08" + bytes(4) + (200).to_bytes(4, "big")
                     + generator.randbytes(172)) for _ in range(5000)])
    round_of_noise()
    first = resident()
    round_of_noise()
    assert resident() - first < 4096, "kilobytes"
    assert resident() < 64 * 1024 or os.environ.get("ADIT", "").endswith("debug/adit")
    assert_unharmed(lab, gateway, child)
