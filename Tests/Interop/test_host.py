# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""The gateway and its host: routes that stand without an SA, what others do to the interface, what cannot be sent."""
import time

from adit import Gateway, connection
from capture import Capture
from lab import wait_until
from test_failures import failed_attempt
from test_gateways import assert_traffic, pair


def test_nothing_leaves_in_the_clear_when_the_peer_goes(lab, program):
    """Whatever `start_action` is, and though the host has another way to the peer's site."""
    lab.ip("a", "route add default via 192.0.2.2")
    a = Gateway(lab, program, "a").start()
    capture = Capture(lab, "b")
    assert lab.ping("a", count=2, patience=0.2).received == 0, "not before the first SA"
    b = Gateway(lab, program, "b").start()
    b.up()
    assert_traffic(lab, count=3)
    b.terminate()
    wait_until("a is without SAs", lambda: not a.peer()["children"])
    assert "dev adit0" in lab.ip("a", "route get 10.2.0.1")
    before = sum(a.drops().values())
    assert lab.ping("a", count=3, patience=0.2).received == 0
    assert sum(a.drops().values()) >= before + 3
    seen = lab.run("b", "tcpdump", "-n", "-r", capture.stop(), "icmp and net 10.0.0.0/8", check=False)
    assert "echo request" not in seen, seen
    a.terminate()
    assert "dev eth0" in lab.ip("a", "route get 10.2.0.1") and a.leftovers() == ""


def test_what_cannot_be_sent_is_told_at_once(lab, program):
    """No waiting for answers, and no firewall to look for."""
    b = Gateway(lab, program, "b").start()
    for keys, words in (({"local_addrs": ["192.0.2.99"]}, ("192.0.2.99 is not an address", "local_addrs")),
                        ({"remote_addrs": ["198.51.100.9"]}, ("no route to 198.51.100.9", "remote_addrs")),
                        ({"remote_addrs": ["2001:db9::9"]}, ("no route to 2001:db9::9", "remote_addrs"))):
        a = Gateway(lab, program, "a", {"peer": connection(lab, "a", **keys)}).start()
        began = time.monotonic()
        said, _ = failed_attempt(a, b)
        assert time.monotonic() - began < 5 and "peer_unreachable" in said
        assert all(word in said for word in words) and "firewall" not in said, said
        assert a.terminate()[0] == 0
    # The next address is tried at once, too.
    keys = connection(lab, "a", remote_addrs=["198.51.100.9", "192.0.2.2"], start_action="start")
    a = Gateway(lab, program, "a", {"peer": keys}).start()
    a.wait_for("established", seconds=4)
    assert_traffic(lab, count=3)


def test_an_interface_that_was_taken_down_comes_back(lab, program):
    a, _ = pair(lab, program)
    a.up()
    assert_traffic(lab, count=3)
    lab.ip("a", "link set adit0 down")
    wait_until("it is told", lambda: "adit0 was taken down" in a.log_text())
    assert "10.2.0.0/24" not in lab.ip("a", "route show")
    lab.ip("a", "link set adit0 up")
    wait_until("the route is back", lambda: "10.2.0.0/24 dev adit0" in lab.ip("a", "route show"))
    wait_until("it is told", lambda: "adit0 is up again" in a.log_text())
    assert_traffic(lab, count=3)
    # So fast that nobody sees it down.
    lab.run("a", "sh", "-c", "ip link set adit0 down; ip link set adit0 up")
    wait_until("the route is back", lambda: "10.2.0.0/24 dev adit0" in lab.ip("a", "route show"))
    assert_traffic(lab, count=3)
    assert a.terminate()[0] == 0 and a.leftovers() == ""


def test_an_adopted_interface_is_left_as_it_was(lab, program):
    lab.ip("a", "tuntap add dev adit0 mode tun")
    a = Gateway(lab, program, "a", address=["10.9.0.1/24", "fd09::1/64"], workers=1).start()
    assert "10.9.0.1/24" in lab.ip("a", "addr show adit0")
    assert a.terminate()[0] == 0
    left = lab.ip("a", "addr show adit0")
    assert "10.9.0.1" not in left and "fd09::1" not in left and "UP" not in left.splitlines()[0], left
    assert "10.2.0.0/24" not in lab.ip("a", "route show table all")


def test_a_fixed_mtu_that_the_path_does_not_take(lab, program):
    """The device has it, senders are told what really fits, and the log says what to set."""
    def ping(fragments):
        return lab.run("a", "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", "-M", fragments, "-s", "1472",
                       "-I", "10.1.0.1", "10.2.0.1", check=False)
    a = Gateway(lab, program, "a", mtu=1500).start()
    Gateway(lab, program, "b", mtu=1500).start()
    a.up()
    assert a.status()["mtu"] == 1500
    assert " 0% packet loss" in ping("dont")
    refused = ping("do")
    assert "mtu" in refused and "1438" in refused, refused
    assert lab.iperf3("a", seconds=1) > 5e6
    assert a.log_text().count("set mtu to 1438 at the most") == 1
