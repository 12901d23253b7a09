# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Paths with NATs and firewalls between Adit and strongSwan."""
import contextlib
import time

import pytest
from adit import Gateway, connection
from agreement import assert_agreement
from capture import Capture, conversations
from lab import wait_until
from strongswan import StrongSwan, configuration
from test_strongswan import assert_traffic
from topologies import DoubleNAT, SharedNAT


@pytest.fixture
def shared_nat():
    with SharedNAT() as made:
        yield made


@pytest.fixture
def double_nat():
    with DoubleNAT() as made:
        yield made


def clients(lab, program, server):
    """Two clients behind the NAT, with secrets of their own, each with a tunnel to the server at b; `server` is
    "adit" or "strongswan", the clients are the other."""
    secrets = {"a": "the secret of the first of the clients", "c": "the secret of the second of the clients"}
    found = {}
    if server == "adit":
        found["b"] = Gateway(lab, program, "b", {
            f"to-{side}": connection(lab, "b", psk=secret, remote_id=lab.sites[side].identity,
                                     remote_ts=[lab.sites[side].net4])
            for side, secret in secrets.items()}).start()
        for side, secret in secrets.items():
            found[side] = StrongSwan(lab, side, configuration(lab, side, secret=secret), "keep_alive = 1s")
            assert "completed successfully" in found[side].initiate()
    else:
        found["b"] = StrongSwan(lab, "b", "".join(
            configuration(lab, "b", name=f"to-{side}", to=side, secret=secret) for side, secret in secrets.items()))
        for side, secret in secrets.items():
            found[side] = Gateway(lab, program, side, {"peer": connection(lab, side, psk=secret)},
                                  keep_alive="1s").start()
            found[side].up()
    return found


@pytest.mark.parametrize("server", ["adit", "strongswan"])
def test_two_clients_behind_one_nat(shared_nat, program, server):
    """The server reaches an idle client, though the NAT forgets mappings after 3 s: keepalives hold them."""
    lab = shared_nat
    lab.forget_quickly(3)
    found = clients(lab, program, server)
    for side in "ac":
        assert lab.clean_ping(side, count=3).received == 3
    capture = Capture(lab, "b")
    time.sleep(6)
    pcap = capture.stop()
    for side in "ac":
        assert lab.clean_ping("b", to=side, count=3).received == 3
    keepalives = conversations(pcap, "udp.length == 9 && udp.dstport == 4500")
    assert len(keepalives) == 2 and all(count >= 4 for count in keepalives.values()), keepalives

    if server == "adit":
        peers = [found["b"].peer(f"to-{side}") for side in "ac"]
        assert all(peer["nat"]["remote"] and not peer["nat"]["local"] for peer in peers)
        seen = {peer["remote"]["address"] for peer in peers}
        assert [peer["children"][0]["remote_ts"] for peer in peers] == [["10.1.0.0/24"], ["10.3.0.0/24"]]
    else:
        sas = found["b"].sas()
        assert len(sas) == 2 and all(sa["state"] == "ESTABLISHED" and sa["nat-remote"] == "yes" for sa in sas)
        seen = {f'{sa["remote-host"]}:{sa["remote-port"]}' for sa in sas}
        assert all(found[side].peer()["nat"] == {"local": True, "remote": True} for side in "ac")
    assert len(seen) == 2 and all(address.startswith("192.0.2.1:") for address in seen)
    assert {address.split(":")[1] for address in seen} == {source.split(":")[1] for source, _ in keepalives}


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_a_nat_before_each(double_nat, program, initiator):
    """The responder is reached by ports that its NAT forwards."""
    lab = double_nat
    if initiator == "adit":
        swan = StrongSwan(lab, "b", configuration(lab, "b", local_addrs=lab.inner_address))
        gateway = Gateway(lab, program, "a").start()
        gateway.up()
    else:
        gateway = Gateway(lab, program, "b").start()
        swan = StrongSwan(lab, "a", configuration(lab, "a"))
        assert "completed successfully" in swan.initiate()
    assert_traffic(lab, count=5)
    assert gateway.peer()["nat"] == {"local": True, "remote": True}
    assert swan.sa()["nat-local"] == "yes" and swan.sa()["nat-remote"] == "yes"
    assert int(gateway.child()["spi_in"], 16) == int(swan.sa()["children"][0]["spi-out"], 16)
    assert int(gateway.child()["spi_out"], 16) == int(swan.sa()["children"][0]["spi-in"], 16)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_a_firewall_that_lets_no_esp_through(lab, program, initiator):
    """No NAT, but a firewall that knows UDP only: encapsulation is forced; once the tunnel stands, 4500 is enough."""
    def let_through(ports):
        for side in "ab":
            lab.nft(side, "table ip firewall; flush table ip firewall; table ip firewall { chain input { "
                          "type filter hook input priority 0; iif eth0 meta l4proto != udp drop; "
                          f"iif eth0 udp dport != {{ {ports} }} drop; }}; }}")
    let_through("500, 4500")
    swan = StrongSwan(lab, "b", configuration(lab, "b", connection="encap = yes"))
    gateway = Gateway(lab, program, "a").start()
    if initiator == "adit":
        gateway.up()
    else:
        assert "completed successfully" in swan.initiate()
    let_through("4500")
    assert_traffic(lab, count=5)
    assert "remote host is behind NAT" in swan.log_text() and swan.sa()["children"][0]["encap"] == "yes"
    assert gateway.peer()["nat"] == {"local": False, "remote": True}
    assert_agreement(gateway, swan)
    swan.control("--rekey", "--child", "net")
    wait_until("there is a new child", lambda: len(gateway.peer()["children"]) == 1 and
               "generating CREATE_CHILD_SA" in swan.log_text())
    assert_traffic(lab, count=5)


def test_the_nat_forgets_and_adit_follows(nat_lab, program):
    """strongSwan's mapping changes: its next packet shows Adit the way, without any exchange of IKE."""
    gateway = Gateway(nat_lab, program, "b").start()
    swan = StrongSwan(nat_lab, "a", configuration(nat_lab, "a"))
    assert "completed successfully" in swan.initiate()
    assert_traffic(nat_lab, count=3)
    before, child = gateway.peer(), gateway.child()
    nat_lab.forget_mappings()
    # The first packet from inside opens the new mapping. Its own answer may be quicker than the way it shows.
    nat_lab.ping("a", count=1, patience=0.1)
    wait_until("the new port is known", lambda: gateway.peer()["remote"]["address"] != before["remote"]["address"],
               seconds=0.5)
    assert nat_lab.clean_ping("a", count=5).received == 5
    assert nat_lab.clean_ping("b", count=5).received == 5
    assert gateway.peer()["remote"]["address"].startswith("192.0.2.1:")
    assert gateway.child()["spi_in"] == child["spi_in"] and gateway.peer()["ike_spi"] == before["ike_spi"]
    assert int(swan.sa()["children"][0]["spi-out"], 16) == int(child["spi_in"], 16)


def test_the_nat_forgets_and_strongswan_is_told(nat_lab, program):
    """Adit's mapping changes: its next liveness check shows strongSwan the way; traffic goes on in both directions."""
    swan = StrongSwan(nat_lab, "b", configuration(nat_lab, "b"))
    gateway = Gateway(nat_lab, program, "a", {"peer": connection(nat_lab, "a", dpd_delay="1s")}).start()
    gateway.up()
    assert_traffic(nat_lab, count=3)
    before = swan.sa()
    nat_lab.forget_mappings()
    wait_until("strongSwan has learned the new port", lambda: swan.sa()["remote-port"] != before["remote-port"],
               seconds=10, pause=0.1)
    wait_until("traffic is back", lambda: nat_lab.ping("b", count=1, patience=0.2).received == 1, seconds=5, pause=0.1)
    assert_traffic(nat_lab, count=5)
    after = swan.sa()
    assert after["initiator-spi"] == before["initiator-spi"] and after["remote-host"] == "192.0.2.1"
    assert gateway.peer()["ike_spi"]["initiator"] == before["initiator-spi"]
    with contextlib.suppress(StopIteration):
        # strongSwan's userspace ESP cannot move an SA: it rekeys the child, and both must know the new one.
        child = next(child for child in after["children"] if child["state"] == "INSTALLED")
        assert int(child["spi-in"], 16) in [int(entry["spi_out"], 16) for entry in gateway.peer()["children"]]
