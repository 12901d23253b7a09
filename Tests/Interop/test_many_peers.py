# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Several peers of one gateway: which secret is whose, and a gateway between two others."""
import pytest
from adit import Gateway, connection
from agreement import assert_agreement
from capture import Capture, cleartext, conversations
from strongswan import StrongSwan, configuration
from test_strongswan import assert_traffic
from topologies import Chain

# What the client calls itself; its secret is its own.
CLIENTS = {"by-name": "a.example.com", "by-address": "192.0.2.1", "without-idr": "alice@example.com"}


def secret(name):
    return f"the secret of the client known {name}"


@pytest.mark.parametrize("server", ["adit", "strongswan"])
@pytest.mark.parametrize("name", CLIENTS)
def test_the_secret_of_an_identity(lab, program, server, name):
    """One listener, three peers from anywhere with secrets of their own: the identity decides, also when the client does
    not say whom it wants (no IDr)."""
    said, wanted = CLIENTS[name], "%any" if name == "without-idr" else "b.example.com"
    if server == "adit":
        gateway = Gateway(lab, program, "b", {
            key: connection(lab, "b", remote_addrs=["%any"], remote_id=identity, psk=secret(key))
            for key, identity in CLIENTS.items()}).start()
        swan = StrongSwan(lab, "a", configuration(lab, "a", local_id=said, remote_id=wanted, secret=secret(name)))
        assert "completed successfully" in swan.initiate()
        states = {key: gateway.peer(key)["state"] for key in CLIENTS}
        peer, sa = gateway.peer(name), swan.sa()
        assert sa["remote-id"] == "b.example.com"
    else:
        swan = StrongSwan(lab, "b", "".join(
            configuration(lab, "b", name=key, remote_id=identity, remote_addrs="%any", secret=secret(key))
            for key, identity in CLIENTS.items()))
        gateway = Gateway(lab, program, "a", {
            "peer": connection(lab, "a", local_id=said, remote_id=wanted, psk=secret(name))}).start()
        gateway.up()
        peer, sa = gateway.peer(), swan.sa()
        states = {key: "established" if sa["name"] == key else "waiting" for key in CLIENTS}
        assert peer["remote"]["id"] == "b.example.com"
    assert states == {key: "established" if key == name else "waiting" for key in CLIENTS}
    assert peer["ike_spi"]["initiator"] == sa["initiator-spi"]
    assert said in (peer["remote"]["id"], sa["remote-id"])
    assert_traffic(lab, count=3)


@pytest.mark.parametrize("server", ["adit", "strongswan"])
def test_the_secret_of_somebody_else(lab, program, server):
    """The right identity with another peer's secret is nobody. (strongSwan itself takes any secret that it shares with
    whomsoever under its own identity; so beside it nobody's is tried.)"""
    if server == "adit":
        gateway = Gateway(lab, program, "b", {
            key: connection(lab, "b", remote_addrs=["%any"], remote_id=identity, psk=secret(key))
            for key, identity in CLIENTS.items()}).start()
        swan = StrongSwan(lab, "a", configuration(lab, "a", secret=secret("without-idr")))
        assert "AUTH_FAILED" in swan.initiate() + swan.log_text()
        assert "authentication_failed" in gateway.command("explain", "by-name").stdout
        assert not any(gateway.peer(key)["children"] for key in CLIENTS)
    else:
        swan = StrongSwan(lab, "b", "".join(
            configuration(lab, "b", name=key, remote_id=identity, remote_addrs="%any", secret=secret(key))
            for key, identity in CLIENTS.items()))
        gateway = Gateway(lab, program, "a", {"peer": connection(lab, "a", psk=secret("nowhere"))}).start()
        done = gateway.command("up", "peer")
        assert done.returncode == 1 and "authentication_failed" in done.stdout + done.stderr
        assert "MAC mismatched" in swan.log_text()
    assert swan.sas() == []


@pytest.fixture
def chain():
    with Chain() as made:
        yield made


@pytest.mark.parametrize("middle", ["adit", "strongswan"])
def test_a_gateway_between(chain, program, middle):
    """a to c through b, which opens what one sends and seals it for the other."""
    lab = chain
    net = {side: lab.sites[side].net4 for side in "abc"}
    if middle == "adit":
        ends = [StrongSwan(lab, "a", configuration(lab, "a", remote_ts=net["c"])),
                StrongSwan(lab, "c", configuration(lab, "c", remote_ts=net["a"],
                                                   remote_addrs=lab.towards_c.outer4))]
        gateway = Gateway(lab, program, "b", {
            "to-a": connection(lab, "b", local_ts=[net["c"]], remote_ts=[net["a"]], start_action="start"),
            "to-c": connection(lab, "b", local_ts=[net["a"]], remote_ts=[net["c"]], start_action="start",
                               remote_addrs=[lab.sites["c"].outer4], remote_id=lab.sites["c"].identity)}).start()
        for name in ("to-a", "to-c"):
            gateway.wait_for("established", name=name)
        spis = {entry["remote"]["id"]: {int(entry["children"][0][key], 16) for key in ("spi_in", "spi_out")}
                for entry in gateway.status()["connections"]}
        for side, swan in zip("ac", ends):
            child = swan.sa()["children"][0]
            assert spis[f"{side}.example.com"] == {int(child["spi-in"], 16), int(child["spi-out"], 16)}
    else:
        for address in ("10.1.0.254", "10.3.0.254"):
            lab.ip("b", f"addr add {address}/32 dev lo")  # strongSwan wants an address of its own in each
        StrongSwan(lab, "b", configuration(lab, "b", local_ts=net["c"], remote_ts=net["a"], name="to-a") + configuration(
            lab, "b", local_addrs=lab.towards_c.outer4, local_ts=net["a"], remote_ts=net["c"], name="to-c", to="c"))
        for side, other in (("a", "c"), ("c", "a")):
            address = lab.towards_c.outer4 if side == "c" else lab.sites["b"].outer4
            Gateway(lab, program, side, {"peer": connection(
                lab, side, remote_ts=[net[other]], remote_addrs=[address], start_action="start")}).start().wait_for(
                    "established")
    captures = [Capture(lab, "a"), Capture(lab, "c")]
    for side, other in (("a", "c"), ("c", "a")):
        ping = lab.clean_ping(side, to=other, count=5, apart=True)
        assert ping.received == 5, ping.text
    for capture in captures:
        pcap = capture.stop()
        assert cleartext(pcap) == {} and sum(conversations(pcap, "esp").values()) >= 20
