# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Two Adit gateways: traffic, status, the ways to start and to end."""
import glob
import os
import time

import pytest
from adit import Gateway, connection
from agreement import assert_mirrored
from lab import wait_until


def pair(lab, program, first=None, second=None, **both):
    """Gateways a and b, running, with one connection between them."""
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a", **{**both, **(first or {})})}).start()
    b = Gateway(lab, program, "b", {"peer": connection(lab, "b", **{**both, **(second or {})})}).start()
    return a, b


def assert_traffic(lab, family=4, count=20):
    for side in ("a", "b"):
        ping = lab.ping(side, family=family, count=count)
        assert ping.received == count, f"from {side}: {ping.text}"


@pytest.mark.alone
def test_traffic_status_and_a_clean_end(lab, program):
    a, b = pair(lab, program)
    assert a.peer()["state"] == "waiting" or a.peer()["state"] == "down"
    a.up()
    assert_traffic(lab)
    assert_mirrored(a, b)
    assert a.child()["esn"] and "0% packet loss" in lab.run(
        "a", "ping", "-n", "-q", "-f", "-c", "200", "-I", "10.1.0.1", "10.2.0.1"), "a flood with extended numbers"
    before = a.child()
    assert lab.iperf3("a", seconds=2) > 50e6
    assert lab.iperf3("a", seconds=2, reverse=True) > 50e6
    after = a.child()
    for counter in ("packets_in", "bytes_in", "packets_out", "bytes_out"):
        assert after[counter] > before[counter], counter
    assert "10.2.0.0/24" in lab.ip("a", "route show table all dev adit0")

    status, seconds = a.terminate()
    assert status == 0 and seconds < 2
    assert a.leftovers() == ""
    wait_until("b has heard of the end", lambda: not b.peer()["children"], seconds=2)
    status, seconds = b.terminate()
    assert status == 0 and seconds < 2
    assert b.leftovers() == ""


def test_status_has_the_documented_shape(lab, program):
    a, _ = pair(lab, program)
    a.up()
    status = a.status()
    assert {"version", "uptime_seconds", "interface", "mtu", "workers", "connections", "drops"} <= set(status)
    assert status["interface"] == "adit0" and status["workers"] >= 1 and 1280 <= status["mtu"] <= 1500
    peer = a.peer()
    assert {"name", "state", "ike_version", "role", "local", "remote", "nat", "ike_spi", "proposal",
            "established_seconds", "rekey_in_seconds", "children", "last_failure"} <= set(peer)
    assert peer["ike_version"] == 2 and peer["last_failure"] is None and len(peer["ike_spi"]["initiator"]) == 16
    child = a.child()
    assert {"name", "state", "mode", "encap", "spi_in", "spi_out", "proposal", "esn", "replay_window", "local_ts",
            "remote_ts", "packets_in", "bytes_in", "packets_out", "bytes_out", "rekey_in_seconds"} <= set(child)
    assert child["state"] == "installed" and len(child["spi_in"]) == 8 and child["replay_window"] == 4096
    assert {"replayed", "bad_icv", "unknown_spi"} <= set(status["drops"])
    table = a.command("status")
    assert table.returncode == 0 and "peer" in table.stdout and "established" in table.stdout


@pytest.mark.alone
@pytest.mark.parametrize("family, inner", [(6, 4), (4, 6), (6, 6)])
def test_ipv6(lab, program, family, inner):
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a", family, inner)}).start()
    b = Gateway(lab, program, "b", {"peer": connection(lab, "b", family, inner)}).start()
    a.up()
    assert_traffic(lab, family=inner, count=10)
    assert_mirrored(a, b)
    assert lab.iperf3("a", seconds=1, family=inner) > 50e6


def test_nat_between(nat_lab, program):
    a, b = pair(nat_lab, program)
    a.up()
    assert_traffic(nat_lab)
    assert a.peer()["nat"]["local"] is True
    assert b.peer()["nat"]["remote"] is True
    assert b.peer()["remote"]["address"].startswith("192.0.2.1:")


def test_the_path_narrows(nat_lab, program):
    """The MTU follows the path down, not below 1,280, and up with the next SA; packets of 1,280 bytes arrive even where
    the path is smaller."""
    lab = nat_lab
    a, b = pair(lab, program, first={"rekey_time": "5s"})
    a.up()
    assert_traffic(lab, count=3)
    assert a.status()["mtu"] == 1438
    for path, expected in ((1400, 1338), (1200, 1280)):
        lab.ip("n", f"link set outside mtu {path}")
        lab.ip("b", f"link set eth0 mtu {path}")

        def follows(expected=expected):
            largest = a.status()["mtu"]
            lab.ping("a", count=1, size=largest - 28, patience=0.2)
            return largest == expected
        wait_until("the MTU follows the path", follows, seconds=10)
        wait_until("and a packet of that size arrives",
                   lambda size=expected - 28: lab.ping("a", count=1, size=size).received == 1, seconds=5)
        ping = lab.ping("a", count=5, size=expected - 28)
        assert ping.received == 5, ping.text
    assert " mtu 1280 " in lab.ip("a", "link show adit0")
    assert lab.iperf3("a", seconds=1) > 5e6
    # The path is wide again, and the kernel has forgotten: so does the next SA.
    lab.ip("n", "link set outside mtu 1500")
    lab.ip("b", "link set eth0 mtu 1500")
    for side in ("a", "b"):
        lab.ip(side, "route flush cache")
    wait_until("the MTU rises again", lambda: a.status()["mtu"] == 1438, seconds=15, pause=0.2)
    assert_traffic(lab, count=3)


def test_the_first_packet_starts_the_tunnel_and_is_kept(lab, program):
    a, b = pair(lab, program, start_action="trap")
    assert a.peer()["state"] == "trap"
    assert lab.ping("a", count=1, patience=5).received == 1
    assert_traffic(lab, count=5)
    assert len(b.peer()["children"]) == 1


def test_the_first_packet_is_kept_while_a_dead_address_is_tried(lab, program):
    live = lab.sites["b"].outer4
    a, b = pair(lab, program, first={"remote_addrs": ["192.0.2.77", live]}, start_action="trap")
    assert lab.ping("a", count=1, patience=25).received == 1
    assert not a.drops()["no_sa"] and len(b.peer()["children"]) == 1


@pytest.mark.alone
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interface_that_is_removed_ends_the_gateway(lab, program, workers):
    a = Gateway(lab, program, "a", workers=workers).start()
    b = Gateway(lab, program, "b").start()
    a.up()
    assert_traffic(lab, count=3)
    lab.ip("a", "link del adit0")
    wait_until("adit ends", lambda: a.process.poll() is not None, seconds=3)
    assert a.process.returncode == 1
    wait_until("b has heard of the end", lambda: not b.peer()["children"], seconds=2)
    sentence = "read interface adit0: File descriptor in bad state; somebody removed it; start the gateway again"
    errors = [line for line in a.log_text().splitlines() if " error: " in line]
    assert len(errors) == 1 and sentence in errors[0], errors
    assert a.log_text().splitlines()[-1].startswith("adit: " + sentence)
    assert a.leftovers() == ""
    # And it comes again.
    a.start()
    a.up()
    assert_traffic(lab, count=3)


def threads(gateway):
    """Seconds of processor time by thread of a gateway."""
    times = {}
    for path in glob.glob(f"/proc/{gateway.process.pid}/task/*/stat"):
        with open(path) as file:
            name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
        times[name] = sum(map(int, rest.split()[11:13])) / os.sysconf("SC_CLK_TCK")
    return times


@pytest.mark.alone
def test_both_directions_of_a_tunnel_have_a_worker_each(lab, program):
    gateways = [Gateway(lab, program, side, workers=2).start() for side in ("a", "b")]
    gateways[0].up()
    before = [threads(gateway) for gateway in gateways]
    lab.iperf3("a", seconds=2)
    lab.iperf3("a", seconds=2, reverse=True)
    for gateway, earlier in zip(gateways, before):
        used = {name: seconds - earlier[name] for name, seconds in threads(gateway).items()}
        assert used["adit-worker-0"] > 0.1 and used["adit-worker-1"] > 0.1, used


def test_start_action_start(lab, program):
    b = Gateway(lab, program, "b").start()
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a", start_action="start")}).start()
    a.wait_for("established", seconds=5)
    b.wait_for("established", seconds=5)
    assert_traffic(lab, count=5)


def test_up_and_down(lab, program):
    a, b = pair(lab, program)
    assert a.command("up", "peer").returncode == 0
    assert_traffic(lab, count=3)
    assert a.command("down", "peer").returncode == 0
    wait_until("both ends are without SAs", lambda: not a.peer()["children"] and not b.peer()["children"], seconds=3)
    assert a.peer()["state"] == "down"
    assert lab.ping("a", count=2, patience=0.3).received == 0
    assert b.command("up", "peer").returncode == 1, "what an operator took down stays down"
    assert a.command("up", "peer").returncode == 0
    assert_traffic(lab, count=3)

    unknown = a.command("up", "nobody")
    assert unknown.returncode == 1 and "nobody" in unknown.stdout + unknown.stderr
    a.terminate()
    assert a.command("status").returncode == 3


@pytest.mark.alone
@pytest.mark.parametrize("killed", ["a", "b"])
@pytest.mark.parametrize("action", ["start", "none", "trap"])
def test_kill_and_restart(lab, program, killed, action):
    """What the killed gateway starts by itself makes no difference: the other's traffic brings the tunnel back."""
    sides = {"first" if killed == "a" else "second": {"start_action": action}}
    gateways = dict(zip("ab", pair(lab, program, start_action="start", **sides)))
    sender = "b" if killed == "a" else "a"
    gateways[sender].wait_for("established")
    assert_traffic(lab, count=3)
    gateways[killed].kill()
    began = time.monotonic()
    gateways[killed].start()
    wait_until("traffic is back", lambda: lab.ping(sender, count=1, patience=0.2).received == 1, seconds=5, pause=0.1)
    assert time.monotonic() - began < 5
    assert_traffic(lab, count=10)
    survivor = gateways[sender]
    # The survivor may keep the old SA for some seconds, until it is sure that no handshake was under way.
    assert gateways[killed].child()["spi_out"] in [child["spi_in"] for child in survivor.peer()["children"]]
    assert gateways[killed].terminate()[0] == 0
    assert gateways[killed].leftovers() == ""


def test_handshake_under_loss(lab, program):
    a, b = pair(lab, program)
    lab.lose("a", 20)
    lab.lose("b", 20)
    a.command("up", "peer", timeout=60)
    a.wait_for("established", seconds=30)
    b.wait_for("established", seconds=30)


@pytest.mark.parametrize("ike, esp", [("aes128gcm16-prfsha256-ecp256", "aes256gcm16"),
                                      ("aes256-sha512-modp4096", "aes192-sha384"),
                                      ("chacha20poly1305-prfsha512-x25519", "chacha20poly1305"),
                                      ("aes192gcm16-prfsha384-ecp521", "aes192gcm16"),
                                      ("aes192-sha384-modp3072", "aes256-sha512")])
def test_more_suites(lab, program, ike, esp):
    a, b = pair(lab, program, proposals=[ike], esp_proposals=[esp])
    a.up()
    assert_traffic(lab, count=5)
    assert_mirrored(a, b)
    assert a.peer()["proposal"] == ike and a.child()["proposal"] == esp


def test_a_responder_for_several_peers(lab, program):
    lab.add_gateway("c")
    several = connection(lab, "b", remote_addrs=["%any"], remote_id="%any", remote_ts=["10.1.0.0/24", "10.3.0.0/24"])
    b = Gateway(lab, program, "b", {"hub": several}).start()
    peers = [Gateway(lab, program, side, {"peer": connection(lab, side)}).start() for side in ("a", "c")]
    for peer in peers:
        peer.up()
    hub = b.peer("hub")
    assert {sa["remote"]["id"] for sa in hub["ike_sas"]} == {"a.example.com", "c.example.com"}
    for child in hub["children"]:
        owner = [sa for sa in hub["ike_sas"] if sa["ike_spi"] == child["ike_spi"]]
        assert len(owner) == 1 and owner[0]["remote"] == child["remote"]
    spis = {sa["ike_spi"]["initiator"] for sa in hub["ike_sas"]}
    assert "2 IKE SAs rekeyed" in b.command("rekey", "hub", "--ike").stdout
    wait_until("the old ones are gone", lambda: len(b.peer("hub")["ike_sas"]) == 2, seconds=5)
    rekeyed = b.peer("hub")["ike_sas"]
    assert not spis & {sa["ike_spi"]["initiator"] for sa in rekeyed}
    assert all(sa["original_role"] == "responder" for sa in rekeyed)
    assert b.command("status").stdout.count("  IKE SA ") == 2


def test_rekey_on_request(lab, program):
    a, b = pair(lab, program)
    a.up()
    old = a.child()["spi_in"]
    assert lab.ping("a", count=3).received == 3
    if a.command("rekey", "--help").returncode != 0:
        pytest.skip("this adit has no rekey command yet")
    assert a.command("rekey", "peer").returncode == 0
    wait_until("a new child", lambda: [c["spi_in"] for c in a.peer()["children"]] not in ([], [old]), seconds=5)
    assert_traffic(lab, count=10)
