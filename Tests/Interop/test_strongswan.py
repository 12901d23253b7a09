# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Adit with strongSwan at the other end, in both roles."""
import time

import adit
import pytest
from adit import Gateway, connection
from agreement import assert_agreement
from capture import Capture, Keys, Reading, cleartext
from lab import wait_until
from strongswan import StrongSwan, configuration

SUITES = [
    ("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
    ("aes256gcm16-prfsha384-ecp384", "aes256gcm16"),
    ("chacha20poly1305-prfsha256-ecp256", "chacha20poly1305"),
    ("aes256-sha256-modp2048", "aes256-sha256"),
    ("aes128-sha1-modp2048", "aes128-sha1"),
]


@pytest.fixture(autouse=True, params=[["tun", "gso", "gro"], []], ids=["offloads", "plain"])
def offloads(request, monkeypatch):
    """Every test here runs with every offload, and with none."""
    monkeypatch.setitem(adit.DEFAULTS, "offloads", request.param)


def tunnel(lab, program, initiator, ike=SUITES[0][0], esp=SUITES[0][1], swan_options=None, **changes):
    """Adit at a, strongSwan at b, and the tunnel that `initiator` ("adit" or "strongswan") brought up."""
    swan = StrongSwan(lab, "b", configuration(lab, "b", ike, esp, **(swan_options or {})))
    keys = connection(lab, "a", proposals=[ike], esp_proposals=[esp], **changes)
    gateway = Gateway(lab, program, "a", {"peer": keys}).start()
    if initiator == "adit":
        gateway.up()
    else:
        said = swan.initiate()
        assert "completed successfully" in said, said
    gateway.wait_for("established")
    return gateway, swan


def assert_traffic(lab, count=20, family=4, **options):
    for side in ("a", "b"):
        ping = lab.clean_ping(side, count=count, family=family, **options)
        assert ping.received == count, f"from {side}: {ping.text}"


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
@pytest.mark.parametrize("ike, esp", SUITES)
def test_suites(lab, program, initiator, ike, esp):
    gateway, swan = tunnel(lab, program, initiator, ike, esp)
    assert_traffic(lab)
    assert_agreement(gateway, swan)
    assert gateway.peer()["proposal"] == ike and gateway.child()["proposal"] == esp
    assert gateway.child()["packets_in"] == 40 and gateway.child()["packets_out"] == 40


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_defaults_of_both(lab, program, initiator):
    swan = StrongSwan(lab, "b", configuration(lab, "b", "default", "default"))
    gateway = Gateway(lab, program, "a").start()
    if initiator == "adit":
        gateway.up()
    else:
        assert "completed successfully" in swan.initiate()
    gateway.wait_for("established")
    assert_traffic(lab, count=5)
    assert_agreement(gateway, swan)


@pytest.mark.parametrize("initiator, suite", [("adit", 0), ("strongswan", 1), ("adit", 3), ("strongswan", 4)])
def test_tshark_opens_everything(lab, program, initiator, suite):
    capture = Capture(lab, "b")
    gateway, swan = tunnel(lab, program, initiator, *SUITES[suite])
    assert_traffic(lab, apart=True)
    sa = swan.sa()
    pcap = capture.stop()
    assert cleartext(pcap) == {}, "nothing but IKE and ESP leaves"
    reading = Reading(pcap, Keys(swan.log_text(), [(sa["initiator-spi"], sa["responder-spi"])]))
    assert reading.esp >= 80 and reading.opened == reading.esp and reading.authentic == reading.esp
    assert reading.ike_encrypted >= 2 and reading.ike_opened == reading.ike_encrypted and reading.malformed == 0
    for numbers in reading.sequences.values():
        assert numbers == list(range(1, len(numbers) + 1)), "sequence numbers leave in order, from 1"


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_child_rekeyed_by_strongswan(lab, program, initiator):
    gateway, swan = tunnel(lab, program, initiator)
    old = gateway.child()["spi_in"]
    assert lab.clean_ping("a", count=5).received == 5
    swan.control("--rekey", "--child", "net")
    wait_until("there is one new child", lambda: [
        child["spi_in"] for child in gateway.peer()["children"]] not in ([], [old]) and
        len(gateway.peer()["children"]) == 1, seconds=5)
    assert_traffic(lab)
    assert_agreement(gateway, swan)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_child_rekeyed_with_a_new_key_exchange(lab, program, initiator):
    gateway, swan = tunnel(lab, program, initiator, esp="aes128gcm16-x25519")
    old = gateway.child()["spi_in"]
    swan.control("--rekey", "--child", "net")
    wait_until("there is a new child", lambda: len(gateway.peer()["children"]) == 1 and
               gateway.child()["spi_in"] != old, seconds=5)
    assert_traffic(lab, count=10)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_ike_rekeyed_by_strongswan(lab, program, initiator):
    gateway, swan = tunnel(lab, program, initiator)
    old = gateway.peer()["ike_spi"]
    child = gateway.child()["spi_in"]
    swan.control("--rekey", "--ike", "peer")
    wait_until("there is a new IKE SA", lambda: gateway.peer()["ike_spi"] != old, seconds=5)
    wait_until("strongSwan has dropped the old one", lambda: len(swan.sas()) == 1, seconds=5)
    assert gateway.child()["spi_in"] == child, "the child has moved to the new IKE SA"
    assert_traffic(lab)
    swan.control("--rekey", "--child", "net")
    wait_until("the new IKE SA works", lambda: len(gateway.peer()["children"]) == 1 and
               gateway.child()["spi_in"] != child, seconds=5)
    assert_traffic(lab, count=5)


def test_traffic_does_not_stop_for_a_rekey(lab, program):
    gateway, swan = tunnel(lab, program, "strongswan")
    pinging = lab.start("a", "ping", "-n", "-q", "-c", "100", "-i", "0.02", "-I", "10.1.0.1", "10.2.0.1",
                        log=lab.folder + "/ping.log")
    for _ in range(3):
        time.sleep(0.3)
        swan.control("--rekey", "--child", "net")
    pinging.wait(10)
    assert "100 received" in open(lab.folder + "/ping.log").read()


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_deleted_by_strongswan(lab, program, initiator):
    gateway, swan = tunnel(lab, program, initiator)
    swan.control("--terminate", "--ike", "peer", check=False)
    wait_until("Adit has let go", lambda: not gateway.peer()["children"], seconds=5)
    assert swan.sas() == []


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_deleted_by_adit(lab, program, initiator):
    gateway, swan = tunnel(lab, program, initiator)
    assert gateway.command("down", "peer").returncode == 0
    wait_until("strongSwan has let go", lambda: not swan.sas(), seconds=5)
    assert gateway.peer()["state"] == "down" and not gateway.peer()["children"]
    gateway.up()
    assert_traffic(lab, count=5)
    status, seconds = gateway.terminate()
    assert status == 0 and seconds < 2
    wait_until("strongSwan has let go again", lambda: not swan.sas(), seconds=5)


def test_child_deleted_by_strongswan(lab, program):
    gateway, swan = tunnel(lab, program, "strongswan")
    swan.control("--terminate", "--child", "net", check=False)
    wait_until("Adit has let go of the child", lambda: not gateway.peer()["children"], seconds=5)


def test_liveness_asked_by_strongswan(lab, program):
    gateway, swan = tunnel(lab, program, "adit", swan_options={"connection": "dpd_delay = 1s"})
    wait_until("strongSwan has its answer", lambda: "INFORMATIONAL response" in swan.log_text())
    assert_traffic(lab, count=3)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_wrong_secret(lab, program, initiator):
    swan = StrongSwan(lab, "b", configuration(lab, "b", secret="not the same"))
    gateway = Gateway(lab, program, "a").start()
    if initiator == "adit":
        done = gateway.command("up", "peer")
        assert done.returncode == 1 and "authentication_failed" in done.stdout + done.stderr
    else:
        assert "AUTHENTICATION_FAILED" in swan.initiate().upper().replace(" ", "_")
    # Who checks the initiator's proof says so; who is refused is told.
    assert ("MAC mismatched" if initiator == "adit" else "received AUTHENTICATION_FAILED notify") in swan.log_text()
    assert "authentication_failed" in gateway.command("explain", "peer").stdout
    assert not gateway.peer()["children"] and not swan.sas()


def test_no_common_proposal(lab, program):
    StrongSwan(lab, "b", configuration(lab, "b", "aes256-sha256-modp2048"))
    keys = connection(lab, "a", proposals=["aes128gcm16-prfsha256-x25519"])
    gateway = Gateway(lab, program, "a", {"peer": keys}).start()
    done = gateway.command("up", "peer")
    assert done.returncode == 1 and "no_proposal_chosen" in done.stdout + done.stderr
    assert "aes128gcm16" in gateway.command("explain", "peer").stdout


def test_no_common_proposal_of_strongswan(lab, program):
    swan = StrongSwan(lab, "b", configuration(lab, "b", "aes256-sha256-modp2048"))
    keys = connection(lab, "a", proposals=["aes128gcm16-prfsha256-x25519"])
    gateway = Gateway(lab, program, "a", {"peer": keys}).start()
    assert "NO_PROP" in swan.initiate()
    said = gateway.command("explain").stdout
    assert "no_proposal_chosen" in said and "aes256" in said and "aes128gcm16" in said


def test_another_key_exchange_is_asked_for(lab, program):
    """INVALID_KE_PAYLOAD in both roles: each first guess is the other's second choice."""
    StrongSwan(lab, "b", configuration(lab, "b", "aes128gcm16-prfsha256-ecp256"))
    keys = connection(lab, "a", proposals=["aes128gcm16-prfsha256-x25519-ecp256"])
    gateway = Gateway(lab, program, "a", {"peer": keys}).start()
    gateway.up()
    assert gateway.peer()["proposal"].endswith("-ecp256")
    assert_traffic(lab, count=3)


def test_we_ask_for_another_key_exchange(lab, program):
    swan = StrongSwan(lab, "b", configuration(lab, "b", "aes128gcm16-prfsha256-x25519-ecp256"))
    keys = connection(lab, "a", proposals=["aes128gcm16-prfsha256-ecp256"])
    gateway = Gateway(lab, program, "a", {"peer": keys}).start()
    assert "completed successfully" in swan.initiate()
    assert gateway.peer()["proposal"].endswith("-ecp256")
    assert_traffic(lab, count=3)


def test_cookie_asked_by_strongswan(lab, program):
    """One half-open IKE SA is enough for this strongSwan: it comes from a gateway that hears no answer and dies."""
    swan = StrongSwan(lab, "b", configuration(lab, "b"), options="cookie_threshold = 1")
    lab.cut("a")
    gateway = Gateway(lab, program, "a", {"peer": connection(lab, "a", start_action="start")}).start()
    wait_until("strongSwan has a half-open IKE SA", lambda: "IKE_SA_INIT response" in swan.log_text())
    gateway.kill()
    lab.mend("a")
    gateway.start()
    gateway.wait_for("established")
    assert "N(COOKIE)" in swan.log_text()
    assert_traffic(lab, count=3)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_selectors_are_narrowed(lab, program, initiator):
    gateway, swan = tunnel(lab, program, initiator, local_ts=["10.1.0.0/16"], remote_ts=["10.2.0.0/16"])
    assert_traffic(lab, count=5)
    assert gateway.child()["local_ts"] == ["10.1.0.0/24"] and gateway.child()["remote_ts"] == ["10.2.0.0/24"]
    assert_agreement(gateway, swan)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_several_selectors(lab, program, initiator):
    lab.ip("a", "addr add 10.11.0.1/32 dev lo")
    lab.ip("b", "addr add 10.12.0.1/32 dev lo")  # strongSwan wants an address of its own in each
    gateway, swan = tunnel(
        lab, program, initiator, local_ts=["10.1.0.0/24", "10.11.0.0/24"], remote_ts=["10.2.0.0/24", "10.12.0.0/24"],
        swan_options={"local_ts": "10.2.0.0/24,10.12.0.0/24", "remote_ts": "10.1.0.0/24,10.11.0.0/24"})
    assert_traffic(lab, count=5)
    assert_agreement(gateway, swan)
    assert len(gateway.child()["local_ts"]) == 2
    assert "5 received" in lab.run("a", "ping", "-n", "-q", "-c", "5", "-i", "0.05", "-I", "10.11.0.1", "10.12.0.1")


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
@pytest.mark.parametrize("family, inner", [(6, 4), (4, 6), (6, 6)])
def test_ipv6(lab, program, initiator, family, inner):
    swan = StrongSwan(lab, "b", configuration(lab, "b", family=family, inner=inner))
    gateway = Gateway(lab, program, "a", {"peer": connection(lab, "a", family, inner)}).start()
    if initiator == "adit":
        gateway.up()
    else:
        assert "completed successfully" in swan.initiate()
    gateway.wait_for("established")
    assert_traffic(lab, count=5, family=inner)
    assert_agreement(gateway, swan)


def test_nat_between(nat_lab, program):
    """Adit behind the NAT."""
    swan = StrongSwan(nat_lab, "b", configuration(nat_lab, "b"))
    gateway = Gateway(nat_lab, program, "a").start()
    gateway.up()
    assert_traffic(nat_lab, count=10)
    assert gateway.peer()["nat"]["local"] is True
    assert swan.sa()["nat-remote"] == "yes"


def test_strongswan_behind_the_nat(nat_lab, program):
    gateway = Gateway(nat_lab, program, "b").start()
    swan = StrongSwan(nat_lab, "a", configuration(nat_lab, "a"))
    assert "completed successfully" in swan.initiate()
    assert_traffic(nat_lab, count=10)
    assert gateway.peer()["nat"]["remote"] is True


@pytest.mark.alone
@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_tcp(lab, program, initiator):
    tunnel(lab, program, initiator)
    assert lab.iperf3("a", seconds=2) > 20e6
    assert lab.iperf3("a", seconds=2, reverse=True) > 20e6
