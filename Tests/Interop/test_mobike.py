# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Addresses that change under traffic (MOBIKE, RFC 4555), and what moves a peer and what does not."""
import re
import subprocess
import sys
import time

import pytest
from adit import Gateway, connection
from agreement import assert_mirrored
from capture import Capture, Keys, tshark
from lab import LabError, wait_until
from strongswan import StrongSwan, configuration

ELSEWHERE = "203.0.113.11"


class Pings:
    """Pings from a side's site to the other, 20 a second, while the test goes on."""

    def __init__(self, lab, side="a", count=80):
        mine, theirs = lab.sites[side], lab.sites["b" if side == "a" else "a"]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.namespace(side), "ping", "-n", "-q", "-c", str(count), "-i", "0.05", "-W", "1",
             "-I", mine.host4, theirs.host4], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        lab.on_exit(self._end)
        time.sleep(0.5)

    def _end(self):
        self.process.kill()
        self.process.communicate()

    def lost(self):
        text, _ = self.process.communicate(timeout=30)
        counted = re.search(r"(\d+) packets transmitted, (\d+) received", text)
        if not counted:
            raise LabError(f"ping did not run: {text}")
        return int(counted[1]) - int(counted[2])


def spis(gateway):
    peer = gateway.peer()
    return peer["ike_spi"], sorted((child["spi_in"], child["spi_out"]) for child in peer["children"])


def ends(gateway):
    peer = gateway.peer()
    return peer["local"]["address"], peer["remote"]["address"]


def prepare(lab):
    """Both sides reach an address that `a` will have; nothing but IPv4 is there."""
    for side in "ab":
        lab.ip(side, "-6 addr flush dev eth0 scope global")
    lab.ip("b", f"route add {ELSEWHERE}/32 dev eth0")


def roam(lab, side="a", old="192.0.2.1/24", new=f"{ELSEWHERE}/24", other="192.0.2.2"):
    """The side loses its address and gets another one."""
    lab.ip(side, f"addr del {old} dev eth0")
    lab.ip(side, f"addr add {new} dev eth0")
    lab.ip(side, f"route add {other}/32 dev eth0")


def gateways(lab, program, first=None, second=None):
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a", **(first or {}))}).start()
    b = Gateway(lab, program, "b", {"peer": connection(lab, "b", **(second or {}))}).start()
    return a, b


def test_the_initiator_roams_under_traffic(lab, program):
    prepare(lab)
    a, b = gateways(lab, program)
    capture = Capture(lab, "b")
    a.up()
    assert a.peer()["mobike"] is True and b.peer()["mobike"] is True
    before = spis(a), spis(b)
    pings = Pings(lab)
    roam(lab)
    lost = pings.lost()
    assert lost <= 8, f"{lost} pings lost"
    assert (spis(a), spis(b)) == before, "no new keys"
    assert ends(a) == (f"{ELSEWHERE}:4500", "192.0.2.2:4500")
    assert ends(b) == ("192.0.2.2:4500", f"{ELSEWHERE}:4500")
    assert lab.ping("b", count=5).received == 5
    assert_mirrored(a, b)
    assert "moved to the path" in a.log_text() and "moved to the path" in b.log_text()
    rows = [row.split("\t") for row in tshark(
        capture.stop(), Keys("", []), "-Y", f"esp && ip.src == {ELSEWHERE}", "-T", "fields", "-e", "esp.spi",
        "-e", "esp.sequence")]
    ours = [int(sequence) for spi, sequence in rows if int(spi, 16) == int(before[0][1][0][1], 16)]
    assert ours and min(ours) > 1 and len(set(ours)) == len(ours), "the sequence goes on where it was"


def test_the_responder_roams_under_traffic(lab, program):
    prepare(lab)
    a, b = gateways(lab, program)
    b.up()
    before = spis(a), spis(b)
    pings = Pings(lab)
    roam(lab)
    lost = pings.lost()
    assert lost <= 8, f"{lost} pings lost"
    assert (spis(a), spis(b)) == before, "no new keys"
    assert ends(b) == ("192.0.2.2:4500", f"{ELSEWHERE}:4500")


def test_the_default_route_changes(nat_lab, program):
    lab = nat_lab
    lab._join("a", "eth1", "n", "second")
    lab.ip("n", "addr add 198.51.101.1/24 dev second")
    lab.ip("a", "addr add 198.51.101.2/24 dev eth1")
    a, b = gateways(lab, program)
    a.up()
    before = spis(a), spis(b)
    assert ends(a)[0] == "198.51.100.2:4500"
    pings = Pings(lab)
    lab.ip("a", "route replace default via 198.51.101.1 dev eth1")
    lost = pings.lost()
    assert lost <= 8, f"{lost} pings lost"
    assert (spis(a), spis(b)) == before, "no new keys"
    assert ends(a)[0] == "198.51.101.2:4500"
    assert a.peer()["nat"]["local"] is True and b.peer()["nat"]["remote"] is True


@pytest.mark.parametrize("mobike", [True, False])
def test_a_nat_forgets_its_mappings(nat_lab, program, mobike):
    lab = nat_lab
    a, b = gateways(lab, program, {"mobike": mobike})
    a.up()
    before = spis(a), spis(b)
    remote = ends(b)[1]
    pings = Pings(lab)
    # masquerade forgets what went through an interface that goes down.
    lab.ip("n", "link set outside down")
    lab.ip("n", "link set outside up")
    lost = pings.lost()
    assert lost <= 12, f"{lost} pings lost"
    assert ends(b)[1] != remote and (spis(a), spis(b)) == before
    assert lab.ping("b", count=5).received == 5


def test_the_first_address_of_the_responder_dies(lab, program):
    prepare(lab)
    lab.ip("b", "addr add 192.0.2.3/24 dev eth0")
    a, b = gateways(lab, program, {"dpd_delay": "1s"})
    a.up()
    before = spis(a), spis(b)
    lab.nft("b", "table inet dead { chain input { type filter hook input priority 0; ip daddr 192.0.2.2 udp "
                 "dport { 500, 4500 } drop; }; }")
    wait_until("a uses the other address", lambda: ends(a)[1] == "192.0.2.3:4500", seconds=15)
    wait_until("so does b", lambda: ends(b)[0] == "192.0.2.3:4500", seconds=2)
    assert lab.ping("a", count=5).received == 5 and lab.ping("b", count=5).received == 5
    assert (spis(a), spis(b)) == before, "no new keys"


@pytest.mark.parametrize("encap", [True, False])
def test_a_peer_without_mobike(lab, program, encap):
    """One that takes us for behind a NAT follows; with the other there is a new IKE SA."""
    prepare(lab)
    a, b = gateways(lab, program, {"encap": encap},
                    {"mobike": False, "encap": encap, "remote_addrs": ["%any"]})
    a.up()
    assert a.peer()["mobike"] is False
    before = spis(a)
    roam(lab)
    wait_until("b has heard of it", lambda: b.peer()["children"] and ends(b)[1] == f"{ELSEWHERE}:4500", seconds=10)
    wait_until("traffic is back", lambda: lab.ping("a", count=1, patience=0.2).received == 1, seconds=5)
    assert lab.ping("b", count=3).received == 3
    assert (spis(a) == before) == encap


def resend(lab, capture, source, port):
    """Sends every ESP datagram of a's capture to b again from elsewhere, each also with another last octet."""
    script = """
import socket, struct, sys
data = open(sys.argv[1], 'rb').read()
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.bind((sys.argv[2], int(sys.argv[3])))
position = 24
while position + 16 <= len(data):
    length = struct.unpack_from('<I', data, position + 8)[0]
    packet = data[position + 16 + 14:position + 16 + length]
    position += 16 + length
    if packet[:1] != b'E' or packet[9] != 17 or packet[16:20] != bytes([192, 0, 2, 2]):
        continue
    payload = packet[28:struct.unpack_from('>H', packet, 2)[0]]
    if len(payload) > 8 and payload[:4] != bytes(4):
        out.sendto(payload, ('192.0.2.2', 4500))
        forged = payload[:4] + bytes([0, 0, 200, payload[7]]) + payload[8:]
        out.sendto(forged, ('192.0.2.2', 4500))
"""
    lab.run("a", sys.executable, "-c", script, capture, source, str(port))


@pytest.mark.parametrize("mobike", [True, False])
def test_repeated_and_forged_packets_move_nobody(lab, program, mobike):
    prepare(lab)
    lab.ip("a", f"addr add {ELSEWHERE}/24 dev eth0")
    a, b = gateways(lab, program, {"mobike": mobike}, {"remote_addrs": ["%any"]})
    capture = Capture(lab, "a")
    a.up()
    assert lab.ping("a", count=10, apart=True).received == 10
    before = b.drops()
    resend(lab, capture.stop(), ELSEWHERE, 5555)
    wait_until("all are counted", lambda: b.drops()["replayed"] >= before["replayed"] + 10
               and b.drops()["bad_icv"] >= before["bad_icv"] + 10)
    time.sleep(1.2)
    assert ends(b)[1] == "192.0.2.1:4500"
    assert lab.ping("b", count=5).received == 5


# strongSwan. Its userspace ESP cannot change addresses, so it rekeys the child after each change.

def test_roaming_to_strongswan(lab, program):
    prepare(lab)
    peer = StrongSwan(lab, "b", configuration(lab, "b", mobike=True, remote_addrs="%any"))
    a = Gateway(lab, program, "a").start()
    a.up()
    assert a.peer()["mobike"] is True
    before = a.peer()["ike_spi"]
    assert lab.clean_ping("a", count=5).received == 5
    roam(lab)
    wait_until("strongSwan has followed", lambda: peer.sa()["remote-host"] == ELSEWHERE, seconds=5)
    wait_until("traffic is back", lambda: lab.ping("a", count=1, patience=0.2).received == 1, seconds=5)
    assert lab.clean_ping("a", count=10).received == 10
    assert a.peer()["ike_spi"] == before, "the same IKE SA"
    assert ends(a) == (f"{ELSEWHERE}:4500", "192.0.2.2:4500")


def test_strongswan_roams(lab, program):
    prepare(lab)
    b = Gateway(lab, program, "b", {"peer": connection(lab, "b", remote_addrs=["%any"])}).start()
    peer = StrongSwan(lab, "a", configuration(lab, "a", mobike=True, local_addrs="%any"))
    done = peer.initiate()
    assert "successfully" in done, done
    wait_until("b is established", lambda: b.peer()["children"])
    before = b.peer()["ike_spi"]
    roam(lab)
    wait_until("Adit has followed", lambda: b.peer()["remote"]["address"].startswith(ELSEWHERE + ":"), seconds=10)
    wait_until("traffic is back", lambda: lab.ping("a", count=1, patience=0.2).received == 1, seconds=5)
    assert lab.clean_ping("b", count=10).received == 10
    assert b.peer()["ike_spi"] == before and b.peer()["mobike"] is True


def test_the_first_address_of_strongswan_dies(lab, program):
    prepare(lab)
    lab.ip("b", "addr add 192.0.2.3/24 dev eth0")
    peer = StrongSwan(lab, "b", configuration(lab, "b", mobike=True, remote_addrs="%any", local_addrs="%any"))
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a", dpd_delay="1s")}).start()
    a.up()
    before = a.peer()["ike_spi"]
    lab.nft("b", "table inet dead { chain input { type filter hook input priority 0; ip daddr 192.0.2.2 udp "
                 "dport { 500, 4500 } drop; }; }")
    wait_until("a uses the other address", lambda: ends(a)[1] == "192.0.2.3:4500", seconds=15)
    wait_until("strongSwan follows", lambda: peer.sa()["local-host"] == "192.0.2.3", seconds=5)
    wait_until("traffic is back", lambda: lab.ping("a", count=1, patience=0.2).received == 1, seconds=5)
    assert a.peer()["ike_spi"] == before


def test_strongswan_has_another_address(lab, program):
    """The responder moves: strongSwan tells its addresses, and Adit, which decides, follows."""
    prepare(lab)
    lab.ip("a", f"route add {ELSEWHERE}/32 dev eth0")
    peer = StrongSwan(lab, "b", configuration(lab, "b", mobike=True, remote_addrs="%any", local_addrs="%any"))
    a = Gateway(lab, program, "a").start()
    a.up()
    before = a.peer()["ike_spi"]
    roam(lab, "b", old="192.0.2.2/24", other="192.0.2.1")
    wait_until("a follows", lambda: ends(a)[1] == f"{ELSEWHERE}:4500", seconds=20)
    wait_until("traffic is back", lambda: lab.ping("a", count=1, patience=0.2).received == 1, seconds=5)
    assert a.peer()["ike_spi"] == before and peer.sa()["local-host"] == ELSEWHERE
