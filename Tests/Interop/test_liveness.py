# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""A peer that is gone: who notices, what is left, and what comes back by itself."""
import pytest
from adit import Gateway, connection
from agreement import assert_agreement
from capture import Capture, conversations
from lab import wait_until
from strongswan import StrongSwan, configuration
from test_strongswan import assert_traffic

# A dead peer is known after 1 + 1.8 s of silence on a request.
QUICK = {"retransmit_timeout": "1s", "retransmit_tries": 2}
QUICK_SWAN = "retransmit_timeout = 0.4\n retransmit_tries = 2"


def tunnel(lab, program, action, swan_connection="", swan_child="", start_action="none", swan_options=QUICK_SWAN):
    swan = StrongSwan(lab, "b", configuration(lab, "b", connection=swan_connection, child=swan_child), swan_options)
    keys = connection(lab, "a", dpd_delay="1s", dpd_action=action, start_action=start_action)
    gateway = Gateway(lab, program, "a", {"peer": keys}, **QUICK).start()
    return gateway, swan


@pytest.mark.parametrize("action", ["clear", "trap", "restart"])
def test_strongswan_is_gone(lab, program, action):
    """Adit notices within its budget of retransmissions and keeps nothing; what follows is dpd_action's."""
    gateway, swan = tunnel(lab, program, action)
    gateway.up()
    assert_traffic(lab, count=3)
    before = gateway.peer()["ike_spi"]
    for side in "ab":
        lab.cut(side)
    wait_until("Adit has noticed", lambda: not gateway.peer()["children"], seconds=8, pause=0.1)
    assert gateway.peer()["last_failure"]["code"] == "dead_peer"
    assert "dead_peer" in gateway.command("explain", "peer").stdout
    # The peer comes back without its state.
    swan.kill()
    for side in "ab":
        lab.mend(side)
    swan.start()
    if action == "clear":
        capture = Capture(lab, "a")
        assert lab.ping("a", count=2, patience=0.3).received == 0
        assert not conversations(capture.stop(), "isakmp") and swan.sas() == []
        assert gateway.peer()["state"] == "waiting"
        return
    if action == "trap":
        assert swan.sas() == []
        assert lab.ping("a", count=1, patience=5).received == 1, "the next packet brings the tunnel up, and is kept"
    gateway.wait_for("established", seconds=12)
    assert gateway.peer()["ike_spi"] != before
    assert_traffic(lab, count=3)
    assert_agreement(gateway, swan)


@pytest.mark.parametrize("action", ["clear", "restart"])
def test_adit_is_gone(lab, program, action):
    """strongSwan notices; with restart it comes back by itself, and Adit takes the new IKE SA for the old one."""
    gateway, swan = tunnel(lab, program, "clear", swan_connection="dpd_delay = 1s",
                           swan_child=f"dpd_action = {action}")
    assert "completed successfully" in swan.initiate()
    assert_traffic(lab, count=3)
    before = swan.sa()["initiator-spi"]
    lab.cut("a")
    lab.cut("b")
    wait_until("strongSwan has noticed", lambda: "giving up after" in swan.log_text(), seconds=8, pause=0.1)
    if action == "clear":
        wait_until("strongSwan keeps nothing", lambda: swan.sas() == [])
    lab.mend("a")
    lab.mend("b")
    if action == "clear":
        wait_until("Adit has noticed too", lambda: not gateway.peer()["children"], seconds=8, pause=0.1)
        assert gateway.peer()["last_failure"]["code"] == "dead_peer"
        return
    wait_until("a new IKE SA stands", lambda: [sa["initiator-spi"] for sa in swan.sas()
                                               if sa["state"] == "ESTABLISHED"] not in ([], [before]),
               seconds=10, pause=0.1)
    gateway.wait_for("established")
    wait_until("Adit has one tunnel only", lambda: len(gateway.peer()["children"]) == 1, seconds=10, pause=0.1)
    assert_traffic(lab, count=3)
    assert_agreement(gateway, swan)


def test_the_first_packet(lab, program):
    """A trap: the packet that wakes the tunnel up is not lost. (strongSwan's userspace ESP has no traps.)"""
    swan = StrongSwan(lab, "b", configuration(lab, "b"))
    gateway = Gateway(lab, program, "a", {"peer": connection(lab, "a", start_action="trap")}).start()
    assert gateway.peer()["state"] == "trap" and swan.sas() == []
    assert lab.ping("a", count=1, patience=5).received == 1
    assert_traffic(lab, count=5)
    assert_agreement(gateway, swan)
    assert gateway.peer()["role"] == "initiator"


@pytest.mark.parametrize("daemon", ["adit", "strongswan"])
def test_the_tunnel_starts_by_itself(lab, program, daemon):
    """The one who starts finds nobody at first, and tries again."""
    if daemon == "adit":
        keys = connection(lab, "a", start_action="start")
        gateway = Gateway(lab, program, "a", {"peer": keys}, **QUICK).start()
        swan = StrongSwan(lab, "b", configuration(lab, "b"))
    else:
        swan = StrongSwan(lab, "b", configuration(lab, "b", connection="keyingtries = 0", child="start_action = start"),
                          "retransmit_timeout = 0.3")
        gateway = Gateway(lab, program, "a").start()
    gateway.wait_for("established", seconds=15)
    assert_traffic(lab, count=5)
    assert_agreement(gateway, swan)
