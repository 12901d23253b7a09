# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""The lab against itself, strongSwan with strongSwan: when these fail, no other result here means anything."""
import pytest
from capture import Capture, Keys, Reading
from strongswan import StrongSwan, configuration, parse_vici


def test_vici_text_is_understood():
    text = "{peer {version=2 local-id=a.example.com empty= ts=[10.1.0.0/16 10.2.0.0/16] child-sas {n-1 {spi-in=c0}}}}"
    assert parse_vici(text) == {"peer": {
        "version": "2", "local-id": "a.example.com", "empty": "", "ts": ["10.1.0.0/16", "10.2.0.0/16"],
        "child-sas": {"n-1": {"spi-in": "c0"}}}}


@pytest.mark.parametrize("ike, esp", [("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
                                      ("aes256-sha256-modp2048", "aes256-sha256")])
def test_two_strongswans_and_tshark(lab, ike, esp):
    capture = Capture(lab, "b")
    responder = StrongSwan(lab, "b", configuration(lab, "b", ike, esp))
    initiator = StrongSwan(lab, "a", configuration(lab, "a", ike, esp))
    assert "completed successfully" in initiator.initiate()
    assert lab.ping("a").received == 20
    assert lab.ping("b").received == 20
    sa = initiator.sa()
    assert sa["children"][0]["spi-in"] == responder.sa()["children"][0]["spi-out"]

    keys = Keys(responder.log_text(), [(sa["initiator-spi"], sa["responder-spi"])])
    reading = Reading(capture.stop(), keys)
    assert reading.esp == 80 and reading.opened == 80 and reading.authentic == 80
    assert reading.ike_encrypted == 2 and reading.ike_opened == 2 and reading.malformed == 0


def test_nat_and_loss(nat_lab):
    StrongSwan(nat_lab, "b", configuration(nat_lab, "b"))
    initiator = StrongSwan(nat_lab, "a", configuration(nat_lab, "a"))
    assert "completed successfully" in initiator.initiate()
    assert nat_lab.ping("a", count=5).received == 5
    nat_lab.cut("b")
    assert nat_lab.ping("a", count=3, patience=0.2).received == 0
    nat_lab.mend("b")
    assert nat_lab.ping("a", count=5).received == 5
