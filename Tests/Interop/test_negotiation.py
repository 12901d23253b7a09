# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""How tunnels are negotiated and kept: shapes of selectors, childless IKE SAs, authenticating anew, idle children,
several peers of one responder, and several IKE SAs of one peer. With Adit and with strongSwan at the other end."""
import re
import time

import pytest
from adit import Gateway, connection
from agreement import assert_agreement, assert_mirrored
from lab import OTHER, wait_until
from strongswan import SECRET, StrongSwan, configuration

IKE, ESP = "aes128gcm16-prfsha256-x25519", "aes128gcm16"


def pair(lab, program, first=None, second=None, **both):
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a", **{**both, **(first or {})})}).start()
    b = Gateway(lab, program, "b", {"peer": connection(lab, "b", **{**both, **(second or {})})}).start()
    return a, b


def with_strongswan(lab, program, swan_options=None, charon="", esp=ESP, **changes):
    swan = StrongSwan(lab, "b", configuration(lab, "b", IKE, esp, **(swan_options or {})), options=charon)
    keys = connection(lab, "a", proposals=[IKE], esp_proposals=[esp], **changes)
    return Gateway(lab, program, "a", {"peer": keys}).start(), swan


def bring_up(initiator, gateway, swan):
    if initiator == "adit":
        gateway.up()
    else:
        said = swan.initiate()
        assert "completed successfully" in said, said
    gateway.wait_for("established")


def assert_traffic(lab, count=10, family=4):
    for side in ("a", "b"):
        ping = lab.clean_ping(side, count=count, family=family)
        assert ping.received == count, f"from {side}: {ping.text}"


class Pinging:
    """A ping in the background, every 20 ms, so that nothing lost goes unnoticed."""

    def __init__(self, lab, side, seconds):
        mine, theirs = lab.sites[side], lab.sites[OTHER[side]]
        self.log = f"{lab.folder}/ping-{side}.out"
        open(self.log, "w").close()
        self.process = lab.start(side, "ping", "-n", "-q", "-c", str(int(seconds * 50)), "-i", "0.02", "-W", "2",
                                 "-I", mine.host4, theirs.host4, log=self.log)

    def result(self):
        self.process.wait(60)
        text = open(self.log).read()
        sent, received = re.search(r"(\d+) packets transmitted, (\d+) received", text).groups()
        return int(sent), int(received)


# Several peers, and several IKE SAs of one peer

def responder(lab, program, sides, **changes):
    """b, which waits for any peer: a connection for each of `sides`, told apart by the identity, each with a secret of
    its own."""
    connections = {}
    for side in sides:
        site = lab.sites[side]
        connections[f"to-{side}"] = connection(
            lab, "b", remote_addrs=["%any"], remote_id=site.identity, remote_ts=[site.net4], psk=f"{SECRET} {side}",
            **changes)
    return Gateway(lab, program, "b", connections).start()


def initiator(lab, program, side, **changes):
    keys = {"psk": f"{SECRET} {side}", **changes}
    return Gateway(lab, program, side, {"peer": connection(lab, side, **keys)}).start()


def test_many_peers_of_one_listener(lab, program):
    """Secrets and connections are chosen by identity; a peer with another's secret is refused."""
    for side in "cd":
        lab.add_gateway(side)
    b = responder(lab, program, "acd")
    gateways = {side: initiator(lab, program, side) for side in "acd"}
    for gateway in gateways.values():
        gateway.up()
    for side in "acd":
        assert lab.ping(side, count=5).received == 5
        back = lab.run("b", "ping", "-n", "-q", "-c", "3", "-i", "0.05", "-I", "10.2.0.1", lab.sites[side].host4)
        assert "3 received" in back
        peer = b.peer(f"to-{side}")
        assert peer["remote"]["id"] == lab.sites[side].identity and len(peer["children"]) == 1
        assert peer["children"][0]["remote_ts"] == [lab.sites[side].net4]
    gateways["d"].terminate()
    wrong = initiator(lab, program, "d", psk=f"{SECRET} c")
    done = wrong.command("up", "peer")
    assert done.returncode == 1 and "authentication_failed" in done.stdout + done.stderr
    assert b.peer("to-d")["state"] != "established" and b.peer("to-c")["state"] == "established"


@pytest.mark.parametrize("unique", ["replace", "keep", "never"])
def test_unique(lab, program, unique):
    """Two gateways with one identity."""
    lab.add_gateway("c")
    site = lab.sites["a"]
    everything = {"remote_ts": ["10.0.0.0/8"], "remote_id": site.identity, "remote_addrs": ["%any"], "unique": unique}
    b = Gateway(lab, program, "b", {"peer": connection(lab, "b", **{**everything, "local_ts": ["192.168.9.0/24"]})})
    lab.ip("b", "addr add 192.168.9.1/32 dev lo")
    b.start()
    keys = {"remote_ts": ["192.168.9.0/24"], "local_id": site.identity, "unique": unique}
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a", **keys)}).start()
    c = Gateway(lab, program, "c", {"peer": connection(lab, "c", **keys)}).start()

    def reaches(side):
        text = lab.run(side, "ping", "-n", "-q", "-c", "2", "-i", "0.05", "-W", "1", "-I", lab.sites[side].host4,
                       "192.168.9.1", check=False)
        return "2 received" in text
    a.up()
    assert reaches("a")
    done = c.command("up", "peer")
    if unique == "keep":
        assert done.returncode == 1 and "authentication_failed" in done.stdout + done.stderr
        assert "duplicate_peer" in b.command("explain", "peer").stdout
        assert reaches("a") and not c.peer()["children"]
        return
    assert done.returncode == 0, done.stderr
    assert reaches("c")
    if unique == "never":
        assert reaches("a") and len(b.peer()["children"]) == 2
    else:
        wait_until("only the newer one is left", lambda: [child["remote_ts"] for child in b.peer()["children"]] ==
                   [[lab.sites["c"].net4]], seconds=10)


def test_taken_down_by_command_says_so(lab, program):
    a, b = pair(lab, program)
    a.up()
    assert a.command("down", "peer").returncode == 0
    wait_until("b has heard of it", lambda: not b.peer()["children"], seconds=3)
    done = b.command("up", "peer")
    assert done.returncode == 1 and "no_proposal_chosen" in done.stdout + done.stderr
    said = a.command("explain", "peer").stdout
    assert "connection_down" in said and "adit up peer" in said and a.peer()["state"] == "down"


# Childless IKE SAs (RFC 6023)

def test_childless(lab, program):
    a, b = pair(lab, program, childless="prefer", esp_proposals=["aes128gcm16-x25519"])
    a.up()
    assert_traffic(lab, count=3)
    assert_mirrored(a, b)
    assert a.child()["proposal"] == "aes128gcm16-x25519", "the first child has a key exchange of its own"


@pytest.mark.parametrize("initiator, ours, theirs", [
    ("adit", "prefer", "allow"), ("adit", "force", "force"), ("strongswan", "force", "force"),
    ("strongswan", "allow", "force")])
def test_childless_with_strongswan(lab, program, initiator, ours, theirs):
    gateway, swan = with_strongswan(lab, program, {"connection": f"childless = {theirs}"}, childless=ours,
                                    esp="aes128gcm16-x25519")
    bring_up(initiator, gateway, swan)
    assert_traffic(lab, count=3)
    assert gateway.child()["proposal"] == "aes128gcm16-x25519"
    assert "CHDLESS_SUP" in swan.log_text() and "CREATE_CHILD_SA" in swan.log_text()


# Shapes of traffic selectors

SITE_A, SITE_B = ["10.1.0.0/24", "10.11.0.0/24"], ["10.2.0.0/24", "10.12.0.0/24"]


def further_hosts(lab):
    lab.ip("a", "addr add 10.11.0.1/32 dev lo")
    lab.ip("b", "addr add 10.12.0.1/32 dev lo")


def assert_all_pairs(lab):
    for source in ("10.1.0.1", "10.11.0.1"):
        for target in ("10.2.0.1", "10.12.0.1"):
            done = lab.run("a", "ping", "-n", "-q", "-c", "3", "-i", "0.05", "-I", source, target, check=False)
            assert "3 received" in done, f"{source} to {target}: {done}"


def assert_pairs(gateway, local, remote):
    children = gateway.peer()["children"]
    assert sorted((child["local_ts"], child["remote_ts"]) for child in children) == sorted(
        ([one], [other]) for one in local for other in remote)


@pytest.mark.parametrize("theirs", ["per-pair", "combined"])
def test_a_child_for_each_pair(lab, program, theirs):
    further_hosts(lab)
    a, b = pair(lab, program, {"local_ts": SITE_A, "remote_ts": SITE_B, "ts_shape": "per-pair"},
                {"local_ts": SITE_B, "remote_ts": SITE_A, "ts_shape": theirs})
    a.up()
    assert_pairs(a, SITE_A, SITE_B)
    assert [child["name"] for child in a.peer()["children"]] == [f"peer#{number}" for number in (1, 2, 3, 4)]
    assert_all_pairs(lab)
    assert all(child["packets_in"] >= 3 and child["packets_out"] >= 3 for child in a.peer()["children"])


def test_the_first_packet_starts_its_own_pair_only(lab, program):
    further_hosts(lab)
    a, _ = pair(lab, program, {"local_ts": SITE_A, "remote_ts": SITE_B, "start_action": "trap"},
                {"local_ts": SITE_B, "remote_ts": SITE_A}, ts_shape="per-pair")
    assert "1 received" in lab.run("a", "ping", "-n", "-q", "-c", "1", "-W", "5", "-I", "10.11.0.1", "10.2.0.1")
    assert_pairs(a, SITE_A[1:], SITE_B[:1])
    assert_all_pairs(lab)
    assert_pairs(a, SITE_A, SITE_B)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_a_child_for_each_pair_with_strongswan(lab, program, initiator):
    """strongSwan has all selectors in one child when Adit begins, and asks for one pair when it begins itself."""
    further_hosts(lab)
    local, remote = (",".join(SITE_B), ",".join(SITE_A)) if initiator == "adit" else (SITE_B[0], SITE_A[0])
    gateway, swan = with_strongswan(lab, program, {"local_ts": local, "remote_ts": remote}, local_ts=SITE_A,
                                    remote_ts=SITE_B, ts_shape="per-pair")
    bring_up(initiator, gateway, swan)
    if initiator == "adit":
        assert_pairs(gateway, SITE_A, SITE_B)
        installed = [child for child in swan.sa()["children"] if child["state"] == "INSTALLED"]
        assert sorted((child["local-ts"], child["remote-ts"]) for child in installed) == sorted(
            ([one], [other]) for one in SITE_B for other in SITE_A)
    else:
        assert_pairs(gateway, SITE_A[:1], SITE_B[:1])
        assert gateway.child()["name"] == "peer#1" and not gateway.child()["narrowed"]
    assert_traffic(lab, count=3)


def test_any_to_any(lab, program):
    """All addresses are agreed; only the configured ones are routed and let through."""
    further_hosts(lab)
    a, b = pair(lab, program, ts_shape="any-to-any")
    a.up()
    for gateway, local, remote in ((a, "10.1.0.0/24", "10.2.0.0/24"), (b, "10.2.0.0/24", "10.1.0.0/24")):
        child = gateway.child()
        assert child["local_ts"] == ["0.0.0.0/0"] and child["remote_ts"] == ["0.0.0.0/0"] and not child["narrowed"]
        assert child["passed_local_ts"] == [local] and child["passed_remote_ts"] == [remote]
        routes = lab.ip(gateway.side, "route show table all dev adit0")
        assert remote in routes and "default" not in routes
        assert f"lets through {local} to {remote}" in gateway.command("status").stdout
    assert_traffic(lab, count=5)
    # A source outside local_ts is not let in, though the Child SA would take it.
    lab.ip("a", "route add 10.12.0.0/24 dev adit0")
    assert "0 received" in lab.run("a", "ping", "-n", "-q", "-c", "2", "-i", "0.1", "-W", "1", "-I", "10.11.0.1",
                                   "10.12.0.1", check=False)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_any_to_any_with_strongswan(lab, program, initiator):
    gateway, swan = with_strongswan(lab, program, {"local_ts": "0.0.0.0/0", "remote_ts": "0.0.0.0/0"},
                                    ts_shape="any-to-any")
    bring_up(initiator, gateway, swan)
    child = gateway.child()
    assert child["local_ts"] == ["0.0.0.0/0"] and child["remote_ts"] == ["0.0.0.0/0"]
    assert child["passed_local_ts"] == ["10.1.0.0/24"] and child["passed_remote_ts"] == ["10.2.0.0/24"]
    assert_traffic(lab, count=5)
    assert_agreement(gateway, swan)


@pytest.mark.parametrize("initiator", ["adit", "strongswan"])
def test_narrowing_is_shown(lab, program, initiator):
    gateway, swan = with_strongswan(lab, program, local_ts=["10.1.0.0/16"], remote_ts=["10.2.0.0/16"])
    bring_up(initiator, gateway, swan)
    child = gateway.child()
    assert child["local_ts"] == ["10.1.0.0/24"] and child["narrowed"]
    # Who asks for less than what we have is given all of it.
    wanted = ("asked" if initiator == "adit" else "configured") + " 10.1.0.0/16 to 10.2.0.0/16"
    assert f"peer/peer is narrowed: {wanted}, given 10.1.0.0/24 to 10.2.0.0/24" in gateway.command("status").stdout
    assert f"child peer narrowed: {wanted}, given 10.1.0.0/24 to 10.2.0.0/24" in gateway.log_text()


# Idle children

def assert_idle_and_back(lab, gateway):
    wait_until("the child is gone", lambda: not gateway.peer()["children"], seconds=8, pause=0.1)
    assert gateway.peer()["state"] == "established", "the IKE SA stays"
    assert lab.ping("a", count=1, patience=5).received == 1, "the next packet brings it back, and is not lost"


def test_idle_child(lab, program):
    a, b = pair(lab, program, inactivity="2s", start_action="trap")
    a.up()
    began = time.monotonic()
    while time.monotonic() - began < 3:
        assert lab.ping("a", count=2, apart=True).received == 2
    assert len(a.peer()["children"]) == 1, "what carries something stays"
    assert_idle_and_back(lab, a)
    assert "carried nothing for 2 s" in a.log_text() + b.log_text()


@pytest.mark.parametrize("idle", ["adit", "strongswan"])
def test_idle_child_with_strongswan(lab, program, idle):
    ours = {"inactivity": "2s"} if idle == "adit" else {}
    theirs = {"child": "inactivity = 2s"} if idle == "strongswan" else {}
    gateway, swan = with_strongswan(lab, program, theirs, start_action="trap", **ours)
    gateway.up()
    assert lab.clean_ping("a", count=3).received == 3
    assert_idle_and_back(lab, gateway)
    assert len(swan.sas()) == 1


# Authenticating anew

def ike_spi(gateway):
    return gateway.peer()["ike_spi"]["initiator"]


def anew(gateway, old, seconds=10):
    wait_until("there is a new IKE SA, and one child", lambda: ike_spi(gateway) not in (None, old) and
               len(gateway.peer()["children"]) == 1, seconds=seconds, pause=0.05)


@pytest.mark.parametrize("announced", [False, True], ids=["ours", "announced"])
def test_authenticating_anew_loses_nothing(lab, program, announced):
    """Make before break, by the initiator's own time or by the one that the responder announces (RFC 4478)."""
    times = {"second" if announced else "first": {"reauth_time": "6s" if announced else "4s"}}
    a, b = pair(lab, program, **times)
    a.up()
    old, before = ike_spi(a), a.child()["spi_in"]
    pings = [Pinging(lab, side, 7 if announced else 6) for side in "ab"]
    anew(a, old)
    assert a.child()["spi_in"] != before
    for ping in pings:
        sent, received = ping.result()
        assert sent == received
    assert a.peer()["last_failure"] is None and b.peer()["last_failure"] is None


def test_authenticating_anew_with_strongswan(lab, program):
    """strongSwan answers; its userspace ESP gets three runs."""
    gateway, swan = with_strongswan(lab, program, reauth_time="4s")
    gateway.up()
    for _ in range(3):
        old = ike_spi(gateway)
        ping = Pinging(lab, "a", 5)
        anew(gateway, old)
        sent, received = ping.result()
        if sent == received:
            break
        print(f"{sent - received} of {sent} lost")
    assert sent == received
    wait_until("strongSwan has one IKE SA", lambda: len(swan.sas()) <= 2, seconds=3)


@pytest.mark.parametrize("first", ["make", "break"])
def test_strongswan_authenticates_anew(lab, program, first):
    charon = f"make_before_break = {'yes' if first == 'make' else 'no'}"
    times = {"connection": "reauth_time = 4s\n    over_time = 5s\n    rand_time = 0s"}
    gateway, swan = with_strongswan(lab, program, times, charon)
    assert "completed successfully" in swan.initiate()
    gateway.wait_for("established")
    for _ in range(3):
        old = ike_spi(gateway)
        ping = Pinging(lab, "b", 5)
        anew(gateway, old)
        sent, received = ping.result()
        if sent == received:
            break
        print(f"{sent - received} of {sent} lost")
    assert sent == received if first == "make" else received >= sent * 0.8
    assert gateway.peer()["last_failure"] is None


def test_strongswan_hears_of_the_lifetime(lab, program):
    gateway, swan = with_strongswan(lab, program, reauth_time="30s")
    assert "completed successfully" in swan.initiate()
    assert re.search(r"received AUTH_LIFETIME of 30s", swan.log_text())


# Several addresses of one peer

def test_the_next_address_is_tried(lab, program):
    lab.ip("b", "addr add 192.0.2.9/24 dev eth0")
    b = Gateway(lab, program, "b").start()
    lab.nft("b", "table inet gone { chain input { type filter hook input priority 0; ip daddr 192.0.2.9 drop; }; }")
    keys = connection(lab, "a", remote_addrs=["192.0.2.9", "192.0.2.2"], start_action="start")
    a = Gateway(lab, program, "a", {"peer": keys}).start()
    a.wait_for("established", seconds=20)
    assert a.peer()["remote"]["address"] == "192.0.2.2:4500"
    assert lab.ping("a", count=3).received == 3 and len(b.peer()["children"]) == 1
