# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Certificates and signatures with strongSwan, in both roles."""
import os
import re
import subprocess

import pytest
from adit import Gateway, connection, run_program
from agreement import assert_agreement
from capture import Capture, conversations
from credentials import Authority, bundle
from lab import wait_until
from strongswan import SECRET, StrongSwan
from test_strongswan import assert_traffic

A, B = "a.example.com", "b.example.com"


@pytest.fixture
def authority(lab):
    return Authority(os.path.join(lab.folder, "pki"))


def swanctl(lab, local, remote, extra="", secrets="", ike="aes256gcm16-prfsha384-x25519", family=4):
    """swanctl.conf of strongSwan at b with its sides' lines as they are."""
    mine, theirs = lab.sites["b"], lab.sites["a"]
    outer = (lambda site: site.outer4) if family == 4 else (lambda site: site.outer6)
    return f"""
connections {{
  peer {{
    version = 2
    local_addrs = {outer(mine)}
    remote_addrs = {outer(theirs)}
    proposals = {ike}
    mobike = no
    {extra}
    local {{
      {local}
    }}
    remote {{
      {remote}
    }}
    children {{
      net {{
        local_ts = {mine.net4}
        remote_ts = {theirs.net4}
        esp_proposals = aes128gcm16
      }}
    }}
  }}
}}
secrets {{
  {secrets}
}}
"""


def strongswan(lab, authority, certificate, key, extra="", options="", files=None, local="", remote="auth = pubkey",
               family=4):
    text = swanctl(lab, f"auth = pubkey\n certs = b.crt\n id = {B}\n {local}",
                   f"id = {A}\n {remote}", extra, family=family)
    return StrongSwan(lab, "b", text, options, {
        "x509/b.crt": certificate, "private/b.key": key, "x509ca/root.crt": authority.certificate, **(files or {})})


def adit(lab, program, authority, certificate, key, **changes):
    keys = connection(lab, "a", psk=None, cert_file=certificate, key_file=key, ca_file=authority.certificate, **changes)
    return Gateway(lab, program, "a", {"peer": keys}).start()


def bring_up(gateway, swan, initiator):
    if initiator == "adit":
        gateway.up()
    else:
        said = swan.initiate()
        assert "completed successfully" in said, said
    gateway.wait_for("established")


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
@pytest.mark.parametrize("kind", ["ecdsa256", "ecdsa384", "ecdsa521", "rsa3072", "ed25519"])
def test_kinds_of_keys(lab, program, authority, initiator, kind):
    gateway = adit(lab, program, authority, *authority.peer(A, kind))
    swan = strongswan(lab, authority, *authority.peer(B, kind))
    bring_up(gateway, swan, initiator)
    assert_traffic(lab, count=5)
    assert_agreement(gateway, swan)
    # Initiating with RSA we sign as RFC 8247 wants it; responding, as the peer did.
    expected = {"ecdsa256": "ECDSA_WITH_SHA256", "ecdsa384": "ECDSA_WITH_SHA384", "ecdsa521": "ECDSA_WITH_SHA512",
                "ed25519": "ED25519",
                "rsa3072": "RSA_EMSA_PSS" if initiator == "adit" else "RSA_EMSA_PKCS1_SHA2_"}[kind]
    assert re.search(rf"authentication of '{re.escape(A)}' with {expected}\S* successful", swan.log_text())
    assert gateway.peer()["remote"]["id"] == B


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_each_side_has_its_own_hash(lab, program, authority, initiator):
    gateway = adit(lab, program, authority, *authority.peer(A, "ecdsa384"))
    swan = strongswan(lab, authority, *authority.peer(B, "ecdsa521"))
    bring_up(gateway, swan, initiator)
    log = swan.log_text()
    assert f"authentication of '{A}' with ECDSA_WITH_SHA384_DER successful" in log
    assert f"authentication of '{B}' (myself) with ECDSA_WITH_SHA512_DER successful" in log
    # Each was asked for a certificate of the authority that both know; strongSwan sends its own only then.
    assert 'received cert request for "O=Adit, CN=root"' in log and 'sending end entity cert "O=Adit, CN=b' in log
    assert_traffic(lab, count=3)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
@pytest.mark.parametrize("mine, theirs", [("192.0.2.1", "192.0.2.2"), ("alice@example.com", "bob@example.com")],
                         ids=["addresses", "mail"])
def test_identities_in_subject_alternative_names(lab, program, authority, initiator, mine, theirs):
    certificate, key = authority.peer("b", "ecdsa256", [theirs])
    gateway = adit(lab, program, authority, *authority.peer("a", "ecdsa256", [mine]), local_id=mine, remote_id=theirs)
    text = swanctl(lab, f"auth = pubkey\n certs = b.crt\n id = {theirs}", f"auth = pubkey\n id = {mine}")
    swan = StrongSwan(lab, "b", text, files={
        "x509/b.crt": certificate, "private/b.key": key, "x509ca/root.crt": authority.certificate})
    bring_up(gateway, swan, initiator)
    assert_traffic(lab, count=3)
    assert_agreement(gateway, swan)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_rsa_pss_on_both_sides(lab, program, authority, initiator):
    gateway = adit(lab, program, authority, *authority.peer(A, "rsa3072"))
    swan = strongswan(lab, authority, *authority.peer(B, "rsa3072"), options="rsa_pss = yes")
    bring_up(gateway, swan, initiator)
    assert swan.log_text().count("RSA_EMSA_PSS") >= 2
    assert_traffic(lab, count=3)


def test_a_responder_that_takes_no_pss(lab, program, authority):
    """strongSwan insists on PKCS #1 v1.5: Adit's first attempt is refused, its second comes at once and is not."""
    gateway = adit(lab, program, authority, *authority.peer(A, "rsa3072"))
    swan = strongswan(lab, authority, *authority.peer(B, "rsa3072"), remote="auth = ike:rsa-sha256")
    bring_up(gateway, swan, "adit")
    log = swan.log_text()
    assert f"authentication of '{A}' with RSA_EMSA_PSS" in log
    assert f"authentication of '{A}' with RSA_EMSA_PKCS1_SHA2_256 successful" in log
    assert gateway.peer()["last_failure"] is None
    assert_traffic(lab, count=3)
    assert_agreement(gateway, swan)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_different_kinds_on_the_two_sides(lab, program, authority, initiator):
    gateway = adit(lab, program, authority, *authority.peer(A, "ed25519"))
    swan = strongswan(lab, authority, *authority.peer(B, "rsa3072"))
    bring_up(gateway, swan, initiator)
    assert_traffic(lab, count=3)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
@pytest.mark.parametrize("kind", ["ecdsa256", "ecdsa384", "ecdsa521"])
def test_without_rfc_7427(lab, program, authority, initiator, kind):
    """The older methods 9 to 11, with signatures as r and s."""
    gateway = adit(lab, program, authority, *authority.peer(A, kind))
    swan = strongswan(lab, authority, *authority.peer(B, kind), options="signature_authentication = no")
    bring_up(gateway, swan, initiator)
    assert re.search(r"authentication of '\S+' with ECDSA-\d+ signature successful", swan.log_text())
    assert_traffic(lab, count=3)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_rsa_without_rfc_7427_is_legacy(lab, program, authority, initiator):
    mine = authority.peer(A, "rsa3072")
    swan = strongswan(lab, authority, *authority.peer(B, "rsa3072"), options="signature_authentication = no")
    gateway = adit(lab, program, authority, *mine)
    if initiator == "adit":
        assert gateway.command("up", "peer").returncode == 1
    else:
        swan.initiate()
    said = gateway.command("explain", "peer").stdout
    assert "authentication_failed" in said and "SHA-1" in said and "allow_legacy" in said
    gateway.terminate()
    gateway = adit(lab, program, authority, *mine, allow_legacy=True)
    bring_up(gateway, swan, initiator)
    assert_traffic(lab, count=3)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_intermediates(lab, program, authority, initiator):
    """Each side sends the authority below the root that both know."""
    below = Authority(authority.folder, "below", parent=authority)
    certificate, key = below.peer(A)
    chain = bundle(below.path("chain.pem"), certificate, below.certificate)
    gateway = adit(lab, program, authority, chain, key)
    swan = strongswan(lab, authority, *below.peer(B), files={"x509ca/below.crt": below.certificate})
    bring_up(gateway, swan, initiator)
    assert_traffic(lab, count=3)
    assert_agreement(gateway, swan)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
@pytest.mark.parametrize("family", [4, 6])
def test_fragmented(lab, program, authority, initiator, family):
    """Messages with certificates are larger than a datagram: RFC 7383 both ways, no IP fragment."""
    below = Authority(authority.folder, "below", parent=authority)
    certificate, key = below.peer(A, "rsa3072")
    chain = bundle(below.path("chain.pem"), certificate, below.certificate)
    capture = Capture(lab, "b")
    gateway = adit(lab, program, authority, chain, key, **(
        {"remote_addrs": [lab.sites["b"].outer6]} if family == 6 else {}))
    swan = strongswan(lab, authority, *below.peer(B, "rsa3072"), extra="fragmentation = yes",
                      options="fragment_size = 700", files={"x509ca/below.crt": below.certificate}, family=family)
    bring_up(gateway, swan, initiator)
    assert_traffic(lab, count=3)
    log = swan.log_text()
    assert re.search(r"received fragment #1 of [2-9]", log)
    assert re.search(r"splitting IKE message .* into [2-9] fragments", log)
    pcap = capture.stop()
    assert conversations(pcap, "ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr") == {}
    mine = lab.sites["a"].outer4 if family == 4 else lab.sites["a"].outer6
    source = "ip.src" if family == 4 else "ipv6.src"
    # frame.len has the 14 octets of Ethernet.
    sent = f"isakmp.typepayload == 53 && {source} == {mine}"
    assert sum(conversations(pcap, sent).values()) >= 2, "no fragment stands alone"
    assert conversations(pcap, f"isakmp && {source} == {mine} && frame.len > 1294") == {}
    assert conversations(pcap, f"isakmp && {source} != {mine} && frame.len > 714") == {}


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_distinguished_names_are_the_default_identity(lab, program, authority, initiator):
    gateway = adit(lab, program, authority, *authority.peer(A), local_id=None, remote_id=f"O=Adit, CN={B}")
    certificate, key = authority.peer(B)
    text = swanctl(lab, "auth = pubkey\n certs = b.crt", f'auth = pubkey\n id = "O=Adit, CN={A}"')
    swan = StrongSwan(lab, "b", text, files={
        "x509/b.crt": certificate, "private/b.key": key, "x509ca/root.crt": authority.certificate})
    bring_up(gateway, swan, initiator)
    peer = gateway.peer()
    assert peer["local"]["id"] == f"O=Adit, CN={A}" and peer["remote"]["id"] == f"O=Adit, CN={B}"
    assert_traffic(lab, count=3)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
@pytest.mark.parametrize("signer", ["adit", "strongswan"])
def test_secret_on_one_side_certificate_on_the_other(lab, program, authority, initiator, signer):
    certificate, key = authority.peer(A if signer == "adit" else B)
    secrets = f'ike-1 {{\n id-1 = {A}\n id-2 = {B}\n secret = "{SECRET}"\n }}'
    if signer == "adit":
        text = swanctl(lab, f"auth = psk\n id = {B}", f"auth = pubkey\n id = {A}", secrets=secrets)
        keys = connection(lab, "a", cert_file=certificate, key_file=key)
    else:
        text = swanctl(lab, f"auth = pubkey\n certs = b.crt\n id = {B}", f"auth = psk\n id = {A}", secrets=secrets)
        keys = connection(lab, "a", ca_file=authority.certificate)
    files = {"x509ca/root.crt": authority.certificate}
    if signer == "strongswan":
        files |= {"x509/b.crt": certificate, "private/b.key": key}
    swan = StrongSwan(lab, "b", text, files=files)
    gateway = Gateway(lab, program, "a", {"peer": keys}).start()
    bring_up(gateway, swan, initiator)
    assert_traffic(lab, count=3)


# What is refused, and how it is told.

def refused(gateway, swan, initiator):
    """An attempt that Adit refuses; gives what `adit explain` says."""
    if initiator == "adit":
        done = gateway.command("up", "peer")
        assert done.returncode == 1, done.stdout
    else:
        assert "completed successfully" not in swan.initiate()
    wait_until("the failure is known", lambda: gateway.peer()["last_failure"])
    assert not gateway.peer()["children"] and not swan.sas()
    return gateway.command("explain", "peer").stdout


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_not_yet_valid(lab, program, authority, initiator):
    gateway = adit(lab, program, authority, *authority.peer(A))
    swan = strongswan(lab, authority, *authority.peer(B, lifetime=("2090-01-01", "2091-01-01")))
    said = refused(gateway, swan, initiator)
    assert "certificate_expired" in said and f"O=Adit, CN={B}" in said and "2090-01-01" in said


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_a_key_for_signing_certificates_only(lab, program, authority, initiator):
    """An authority's certificate: its key usage allows no signatures of IKE."""
    gateway = adit(lab, program, authority, *authority.peer(A))
    swan = strongswan(lab, authority, *authority.peer(B, "ecdsa256", None, "--ca"))
    said = refused(gateway, swan, initiator)
    assert "certificate_untrusted" in said and "key usage" in said.lower() and f"CN={B}" in said


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_expired(lab, program, authority, initiator):
    gateway = adit(lab, program, authority, *authority.peer(A))
    swan = strongswan(lab, authority, *authority.peer(B, lifetime=("2020-01-01", "2021-01-01")))
    said = refused(gateway, swan, initiator)
    assert "certificate_expired" in said and f"O=Adit, CN={B}" in said and "expired on 2021-01-01" in said
    assert gateway.peer()["last_failure"]["code"] == "certificate_expired"


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_unknown_authority(lab, program, authority, initiator):
    stranger = Authority(authority.folder, "stranger")
    gateway = adit(lab, program, authority, *authority.peer(A))
    swan = strongswan(lab, authority, *stranger.peer(B))
    said = refused(gateway, swan, initiator)
    assert "certificate_untrusted" in said and "CN=stranger" in said and "ca_file" in said


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_certificate_of_somebody_else(lab, program, authority, initiator):
    gateway = adit(lab, program, authority, *authority.peer(A))
    # strongSwan does not claim what its certificate lacks: it falls back to the certificate's subject.
    swan = strongswan(lab, authority, *authority.peer("c.example.com"))
    said = refused(gateway, swan, initiator)
    assert "invalid_identity" in said and "c.example.com" in said and B in said


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_revoked(lab, program, authority, initiator):
    theirs = authority.peer(B)
    gateway = adit(lab, program, authority, *authority.peer(A), crl_file=authority.revoke(theirs[0]))
    swan = strongswan(lab, authority, *theirs)
    said = refused(gateway, swan, initiator)
    assert "certificate_untrusted" in said and "revoked" in said and f"CN={B}" in said


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_a_list_that_does_not_name_it(lab, program, authority, initiator):
    gateway = adit(lab, program, authority, *authority.peer(A), crl_file=authority.revoke(authority.peer("c")[0]))
    swan = strongswan(lab, authority, *authority.peer(B))
    bring_up(gateway, swan, initiator)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_refused_by_strongswan(lab, program, authority, initiator):
    stranger = Authority(authority.folder, "stranger")
    gateway = adit(lab, program, authority, *stranger.peer(A))
    swan = strongswan(lab, authority, *authority.peer(B))
    said = refused(gateway, swan, initiator)
    assert "authentication_failed" in said and "cert_file" in said


def test_key_files(lab, program, authority):
    """What `adit check` says of files that do not fit; and keys in every form bring the tunnel up."""
    certificate, key = authority.peer(A)
    other = authority.peer(B)

    def check(**changes):
        keys = {"cert_file": certificate, "key_file": key, "ca_file": authority.certificate, **changes}
        gateway = Gateway(lab, program, "a", {"peer": connection(lab, "a", psk=None, **keys)})
        done = run_program(lab, "a", program, "check", "--config", gateway.file)
        return done.returncode, done.stdout + done.stderr

    assert check()[0] == 0
    status, said = check(key_file=other[1])
    assert status == 1 and "does not belong" in said
    status, said = check(key_file=certificate)
    assert status == 1 and "key_file" in said
    status, said = check(ca_file=key)
    assert status == 1 and "no certificate" in said
    status, said = check(cert_file=key + ".absent")
    assert status == 1 and "absent" in said
    os.chmod(key, 0o644)
    status, said = check()
    assert status == 1 and "chmod 600" in said
    os.chmod(key, 0o600)
    expired = authority.peer("old", "ecdsa256", [A], lifetime=("2020-01-01", "2021-01-01"))
    status, said = check(cert_file=expired[0], key_file=expired[1])
    assert status == 0 and "expired on 2021-01-01" in said

    encrypted, passphrase = authority.path("encrypted.key"), authority.path("passphrase")
    subprocess.run(["openssl", "pkcs8", "-topk8", "-in", key, "-out", encrypted, "-passout", "pass:open sesame"],
                   check=True, capture_output=True)
    with open(passphrase, "w") as file:
        file.write("open sesame\n")
    os.chmod(encrypted, 0o600)
    os.chmod(passphrase, 0o600)
    status, said = check(key_file=encrypted)
    assert status == 1 and "key_passphrase_file" in said
    gateway = adit(lab, program, authority, certificate, encrypted, key_passphrase_file=passphrase)
    swan = strongswan(lab, authority, *other)
    bring_up(gateway, swan, "adit")
    assert "open sesame" not in gateway.log_text()
