# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Several Child SAs of one configured child (RFC 7296 §2.9): a trap for a network, and a strongSwan that has two hosts
of it as two children with a suite each."""
import pytest
from adit import Gateway, connection
from lab import wait_until
from strongswan import StrongSwan, configuration

HOSTS = {"10.2.0.1": ("net", "aes128gcm16"), "10.2.0.2": ("other", "aes256gcm16")}


def narrowed(lab, program, **changes):
    """Adit with one child for 10.2.0.0/24, and strongSwan with a child for each of two hosts."""
    lab.ip("b", "addr add 10.2.0.2/32 dev lo")
    other = """
connections {
  peer {
    children {
      other {
        local_ts = 10.2.0.2/32
        remote_ts = 10.1.0.0/24
        esp_proposals = aes256gcm16
      }
    }
  }
}
"""
    swan = StrongSwan(lab, "b", configuration(lab, "b", local_ts="10.2.0.1/32") + other)
    keys = connection(lab, "a", esp_proposals=["aes128gcm16", "aes256gcm16"], **changes)
    return Gateway(lab, program, "a", {"peer": keys}).start(), swan


def reaches(lab, host, count=3, patience=1):
    text = lab.run("a", "ping", "-n", "-q", "-c", str(count), "-i", "0.05", "-W", str(patience), "-I", "10.1.0.1", host,
                   check=False)
    return f"{count} received" in text


def pairs(gateway, swan):
    """What both ends have in use, by our SPI; nothing where they differ (a rekey is under way)."""
    ours = {child["spi_in"]: (child["remote_ts"], child["proposal"].split("-")[0])
            for child in gateway.peer()["children"] if child["state"] == "installed"}
    theirs = {child["spi-out"]: (child["local-ts"], child["name"]) for sa in swan.sas() if sa["state"] == "ESTABLISHED"
              for child in sa["children"] if child["state"] == "INSTALLED"}
    return ours if set(ours) == set(theirs) else None


def assert_two(lab, gateway, swan, besides=()):
    """Both hosts are reached, each by a Child SA of its own with its own suite, none of them in `besides`."""
    found = wait_until("both ends have the same two Child SAs, and new ones", lambda: (
        lambda now: now if now and len(now) == 2 and not set(now) & set(besides) else None)(pairs(gateway, swan)))
    assert sorted((remote[0], suite) for remote, suite in found.values()) == [
        (f"{host}/32", suite) for host, (_, suite) in HOSTS.items()]
    before = {child["spi_in"]: child["packets_out"] for child in gateway.peer()["children"]}
    for host in HOSTS:
        assert any(reaches(lab, host) for _ in range(3)), host
    for child in gateway.peer()["children"]:
        assert child["name"] == "peer" and child["packets_out"] >= before[child["spi_in"]] + 3
    assert gateway.peer()["last_failure"] is None
    return set(found)


@pytest.mark.parametrize("trap", ["adit", "strongswan"])
def test_two_narrowings_survive_rekeys(lab, program, trap):
    """Each side opens the two, then each side rekeys both, and the IKE SA."""
    gateway, swan = narrowed(lab, program, start_action="trap" if trap == "adit" else "none")
    for host, (child, _) in HOSTS.items():
        if trap == "adit":
            assert reaches(lab, host, count=1, patience=5), "the first packet is not lost"
        else:
            assert "completed successfully" in swan.control("--initiate", "--child", child, "--timeout", "10")
    known = assert_two(lab, gateway, swan)
    assert gateway.command("rekey", "peer").returncode == 0
    known |= assert_two(lab, gateway, swan, besides=known)
    for child in ("net", "other"):
        swan.control("--rekey", "--child", child)
    known |= assert_two(lab, gateway, swan, besides=known)
    assert gateway.command("rekey", "peer", "--ike").returncode == 0
    assert_two(lab, gateway, swan)


def test_two_narrowings_survive_authenticating_anew(lab, program):
    gateway, swan = narrowed(lab, program, start_action="trap", reauth_time="5s")
    for host in HOSTS:
        assert reaches(lab, host, count=1, patience=5)
    spi = gateway.peer()["ike_spi"]
    known = {child["spi_in"] for child in gateway.peer()["children"]}
    wait_until("there is a new IKE SA", lambda: gateway.peer()["ike_spi"] not in (None, spi), seconds=10)
    assert_two(lab, gateway, swan, besides=known)


def test_what_the_peer_has_nothing_for(lab, program):
    """A third host is asked for once, leaves no Child SA behind, and disturbs nothing."""
    lab.ip("b", "addr add 10.2.0.3/32 dev lo")
    gateway, swan = narrowed(lab, program, start_action="trap")
    assert reaches(lab, "10.2.0.1", count=1, patience=5)
    assert not reaches(lab, "10.2.0.3", count=3)
    assert gateway.peer()["last_failure"]["code"] == "ts_unacceptable"
    assert swan.log_text().count("parsed CREATE_CHILD_SA request") == 1
    assert wait_until("one Child SA is left", lambda: len(pairs(gateway, swan) or ()) == 1)
    assert reaches(lab, "10.2.0.2", count=1, patience=5) and reaches(lab, "10.2.0.1")
