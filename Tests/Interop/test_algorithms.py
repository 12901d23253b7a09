# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Every algorithm that Adit has, with strongSwan, in both roles: for IKE, for ESP, and in a rekey with a new key
exchange. (The suites of test_strongswan.py are the rest of them.)"""
import pytest
from adit import Gateway, connection, run_program
from agreement import assert_agreement
from lab import wait_until
from strongswan import StrongSwan, configuration
from test_strongswan import SUITES, assert_traffic

MORE = [
    ("aes192gcm16-prfsha512-ecp521", "aes192gcm16"),
    ("aes256gcm16-prfsha256-modp3072", "aes256gcm16"),
    ("aes128gcm16-prfsha1-ecp384", "aes128-sha256"),
    ("chacha20poly1305-prfsha512-x25519", "chacha20poly1305"),
    ("aes192-sha384-modp4096", "aes192-sha384"),
    ("aes256-sha512-ecp256", "aes256-sha512"),
    ("aes128-sha1-modp1024", "aes256-sha1"),
    ("aes256-sha256-modp1536", "aes192-sha256"),
    ("3des-md5-modp1024", "3des-md5"),
    ("3des-sha1-modp2048", "3des-sha1"),
    ("3des-sha256-modp1536", "3des-sha256"),
    ("aes128-md5-modp2048", "aes128-md5"),
    ("aes256-prfmd5-sha1-modp2048", "aes256-md5"),
]
LEGACY = {"3des", "md5", "prfmd5", "modp1024", "modp1536"}
KEYWORDS = """3des aes128gcm16 aes192gcm16 aes256gcm16 chacha20poly1305 aes128 aes192 aes256 md5 sha1 sha256 sha384
              sha512 prfmd5 prfsha1 prfsha256 prfsha384 prfsha512 x25519 ecp256 ecp384 ecp521 modp1024 modp1536
              modp2048 modp3072 modp4096""".split()


def test_none_is_forgotten():
    """The lists name every keyword of CONFIGURATION.md; each stands in an IKE proposal, ciphers and hashes in an ESP one."""
    ike = {word for suite, _ in SUITES + MORE for word in suite.split("-")}
    esp = {word for _, suite in SUITES + MORE for word in suite.split("-")}
    assert ike == set(KEYWORDS)
    assert esp == {word for word in KEYWORDS if not word.startswith(("prf", "x25519", "ecp", "modp"))}


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
@pytest.mark.parametrize("ike, esp", MORE)
def test_suite(lab, program, initiator, ike, esp):
    group = ike.split("-")[-1]
    swan = StrongSwan(lab, "b", configuration(lab, "b", ike, f"{esp}-{group}"))
    keys = connection(lab, "a", proposals=[ike], esp_proposals=[f"{esp}-{group}"],
                      allow_legacy=True if LEGACY & set(f"{ike}-{esp}".split("-")) else None)
    gateway = Gateway(lab, program, "a", {"peer": keys}).start()
    if initiator == "adit":
        gateway.up()
    else:
        assert "completed successfully" in swan.initiate()
    gateway.wait_for("established")
    assert_traffic(lab, count=5)
    assert_agreement(gateway, swan)
    assert gateway.peer()["proposal"] == ike and gateway.child()["proposal"] == esp
    old = gateway.child()["spi_in"]
    if initiator == "adit":
        assert gateway.command("rekey", "peer").returncode == 0
    else:
        swan.control("--rekey", "--child", "net")
    wait_until("there is one new child", lambda: [entry["spi_in"] for entry in gateway.peer()["children"]] not in
               ([], [old]) and len(gateway.peer()["children"]) == 1)
    assert_traffic(lab, count=5)
    assert gateway.child()["proposal"] == f"{esp}-{group}"
    assert_agreement(gateway, swan)


@pytest.mark.parametrize("ike, esp, weak", [
    ("3des-md5-modp1024", "3des-md5", "3des-md5-prfmd5-modp1024"), ("aes256-sha256-modp2048", "3des-md5", "3des")])
def test_legacy_is_refused(lab, program, ike, esp, weak):
    """Who offers nothing better gets NO_PROPOSAL_CHOSEN, and `adit explain` says what it would take."""
    swan = StrongSwan(lab, "b", configuration(lab, "b", ike, esp))
    keys = connection(lab, "a", proposals=["aes256-sha256-modp2048"], esp_proposals=["aes256-sha256"])
    gateway = Gateway(lab, program, "a", {"peer": keys}).start()
    assert "NO_PROPOSAL_CHOSEN" in swan.initiate() + swan.log_text()
    said = gateway.command("explain", "peer").stdout
    assert "no_proposal_chosen" in said and "allow_legacy = true" in said and weak in said
    assert not gateway.peer()["children"]


def test_check_warns_of_legacy(lab, program):
    """Refused without allow_legacy, named in a warning with it."""
    for allowed in (None, True):
        keys = connection(lab, "a", proposals=["3des-md5-modp1024"], esp_proposals=["3des-md5"], allow_legacy=allowed)
        gateway = Gateway(lab, program, "a", {"peer": keys})
        done = run_program(lab, "a", program, "check", "--config", gateway.file)
        said = done.stdout + done.stderr
        if allowed:
            assert done.returncode == 0 and said.count("has legacy algorithms") == 2, said
            assert "3des, prfmd5, md5, modp1024" in said
        else:
            assert done.returncode == 1 and '"3des" is weak and needs allow_legacy = true' in said, said
