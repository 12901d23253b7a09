# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""What goes wrong, and what the person in front of it is told."""
import os
import re

import pytest
from adit import Gateway, connection, document, run_program
from lab import wait_until
from strongswan import SECRET
from test_gateways import pair


def failed_attempt(a, b):
    """`adit up` at a fails; gives its words and both `adit explain`."""
    up = a.command("up", "peer", timeout=60)
    assert up.returncode == 1, up.stdout
    explanations = [gateway.command("explain", *names).stdout for gateway in (a, b) for names in (["peer"], [])]
    for gateway in (a, b):
        assert gateway.peer()["children"] == [], "something is left behind"
    return up.stdout + up.stderr, explanations


def test_wrong_secret(lab, program):
    a, b = pair(lab, program, second={"psk": "another secret altogether"})
    said, (mine, _, theirs, _) = failed_attempt(a, b)
    assert "authentication_failed" in said
    assert "authentication_failed" in mine and "psk" in mine.lower()
    assert "authentication_failed" in theirs
    failure = a.peer()["last_failure"]
    assert failure["code"] == "authentication_failed" and failure["stage"] == "ike_auth"
    assert {"message", "suggestion", "at"} <= set(failure) and failure["suggestion"]
    for gateway in (a, b):
        assert SECRET not in gateway.log_text() and "another secret" not in gateway.log_text()


def test_wrong_identity(lab, program):
    a, b = pair(lab, program, second={"remote_id": "somebody.else.example.com"})
    said, (mine, _, _, any_of_theirs) = failed_attempt(a, b)
    assert "authentication_failed" in said
    assert "a.example.com" in any_of_theirs


def test_no_common_ike_proposal(lab, program):
    a, b = pair(lab, program, first={"proposals": ["aes256gcm16-prfsha384-ecp384"]},
                second={"proposals": ["aes128gcm16-prfsha256-x25519"]})
    said, (mine, _, theirs, any_of_theirs) = failed_attempt(a, b)
    assert "no_proposal_chosen" in said and "no_proposal_chosen" in mine
    assert "aes256gcm16" in any_of_theirs and "aes128gcm16" in any_of_theirs
    assert a.peer()["last_failure"]["stage"] == "ike_sa_init"


def test_no_common_esp_proposal(lab, program):
    a, b = pair(lab, program, first={"esp_proposals": ["aes256gcm16"]}, second={"esp_proposals": ["aes128gcm16"]})
    said, (mine, _, theirs, _) = failed_attempt(a, b)
    assert "no_proposal_chosen" in said and "no_proposal_chosen" in mine
    assert "aes256gcm16" in theirs and "aes128gcm16" in theirs


def test_no_common_selectors(lab, program):
    a, b = pair(lab, program, first={"remote_ts": ["10.99.0.0/24"]})
    said, (mine, _, theirs, _) = failed_attempt(a, b)
    assert "ts_unacceptable" in said and "ts_unacceptable" in mine
    assert "10.99.0.0/24" in theirs and "10.2.0.0/24" in theirs


def test_nobody_answers(lab, program):
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a", remote_addrs=["192.0.2.77"])}).start()
    assert a.command("down", "peer").returncode in (0, 1)
    assert a.terminate()[1] < 2


def test_the_next_address_is_tried(lab, program):
    a, _ = pair(lab, program, first={"remote_addrs": ["192.0.2.77", "192.0.2.2"]})
    said = a.up().splitlines()
    assert "no answer from 192.0.2.77:500, trying the next address" in said and said[-1].startswith("peer is up")


@pytest.mark.parametrize("ends", ["SIGTERM", "reload"])
def test_nobody_reads_the_log(lab, program, ends):
    a, b = pair(lab, program)
    a.stop()
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "wb", buffering=0):
        a.log = f"/proc/self/fd/{write}"
        a.launch()
        wait_until("adit answers", lambda: a.command("status").returncode == 0, seconds=10)
        # What is in the pipe stays there, and nothing more has room.
        os.set_blocking(write, False)
        for size in (4096, 64, 1):
            try:
                while True:
                    os.write(write, b"x" * size)
            except BlockingIOError:
                pass
        os.set_blocking(write, True)
        a.up()
        if ends == "reload":
            assert a.command("reload", timeout=5).returncode == 0
        status, seconds = a.terminate()
    assert status == 0 and seconds < 2 and a.leftovers() == ""
    wait_until("b has heard of the end", lambda: not b.peer()["children"], seconds=2)


BROKEN = f"""[gateway]
interfase = "adit0"
mtu = "large"

[connections.hq]
remote_addrs = ["203.0.113.777"]
psk = "{SECRET}"
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.1.2.0/24"]
start_action = "sometimes"

[connections.other]
remote_addrs = ["%any"]
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.3.0.0/16"]
start_action = "start"
"""


def test_bad_configuration_is_told_whole(lab, program):
    gateway = Gateway(lab, program, "a", text=BROKEN)
    for arguments in (("check", "--config", gateway.file), ("run", "--config", gateway.file)):
        done = run_program(lab, "a", program, *arguments)
        said = done.stdout + done.stderr
        assert done.returncode == 1, said
        places = {int(line) for line in re.findall(re.escape(os.path.basename(gateway.file)) + r":(\d+)", said)}
        for line, words in {2: ["interfase", "interface"], 3: ["mtu"], 6: ["203.0.113.777"], 9: ["10.1.2.0/24"],
                            10: ["sometimes", "trap"]}.items():
            assert line in places, f"no error for line {line} in:\n{said}"
            for word in words:
                assert word in said, f"{word} is not named in:\n{said}"
        assert "psk" in said and SECRET not in said
    assert gateway.leftovers() == ""


def test_good_configuration_is_called_good(lab, program):
    gateway = Gateway(lab, program, "a")
    assert run_program(lab, "a", program, "check", "--config", gateway.file).returncode == 0


def test_empty_and_absent_configuration(lab, program):
    gateway = Gateway(lab, program, "a", text="")
    assert run_program(lab, "a", program, "check", "--config", gateway.file).returncode == 1
    absent = run_program(lab, "a", program, "run", "--config", gateway.file + ".absent")
    assert absent.returncode == 1 and "absent" in absent.stdout + absent.stderr


def test_secret_that_others_can_read_is_refused(lab, program):
    secret = os.path.join(lab.folder, "peer.psk")
    with open(secret, "w") as file:
        file.write(SECRET + "\n")
    keys = connection(lab, "a", psk=None, psk_file=secret)
    gateway = Gateway(lab, program, "a", {"peer": keys})
    os.chmod(secret, 0o644)
    refused = run_program(lab, "a", program, "check", "--config", gateway.file)
    assert refused.returncode == 1 and "peer.psk" in refused.stdout + refused.stderr
    os.chmod(secret, 0o600)
    accepted = run_program(lab, "a", program, "check", "--config", gateway.file)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr


def assert_one_sentence(gateway, *words):
    """The process ended with 1 and one line that names `words`; a stack trace is not one."""
    assert gateway.process.wait(10) == 1, gateway.log_text()
    lines = [line for line in gateway.log_text().splitlines() if line.strip()]
    assert any(all(word.lower() in line.lower() for word in words) for line in lines), gateway.log_text()
    assert "Fatal error" not in gateway.log_text() and len(lines) < 12, gateway.log_text()
    assert gateway.leftovers() == ""


def test_port_in_use(lab, program):
    first = Gateway(lab, program, "a").start()
    second = Gateway(lab, program, "a", text=document(
        {"interface": "adit1", "control": first.control + "2"}, {"peer": connection(lab, "a")}))
    second.log = first.log + "2"
    second.launch()
    second.process.wait(10)
    said = second.log_text()
    assert second.process.returncode == 1 and "500" in said and "in use" in said, said
    assert "adit1" not in lab.ip("a", "-o link show"), "the second left its interface behind"
    assert first.status()["interface"] == "adit0"


def test_without_the_right_to_make_an_interface(lab, program):
    gateway = Gateway(lab, program, "a")
    gateway.launch("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
    assert_one_sentence(gateway, "CAP_NET_ADMIN")


def test_without_tun(lab, program):
    gateway = Gateway(lab, program, "a")
    gateway.launch("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$0" "$@"')
    assert_one_sentence(gateway, "/dev/net/tun")


def test_address_that_is_not_ours(lab, program):
    gateway = Gateway(lab, program, "a", {"peer": connection(lab, "a")}, listen=["203.0.113.9"])
    gateway.launch()
    assert_one_sentence(gateway, "203.0.113.9")


def test_status_without_a_gateway(lab, program):
    gateway = Gateway(lab, program, "a")
    done = gateway.command("status")
    assert done.returncode == 3 and len((done.stdout + done.stderr).splitlines()) <= 3


@pytest.mark.parametrize("arguments", [("fly",), ("up",), ("run", "--no-such-option")])
def test_usage_errors(lab, program, arguments):
    assert run_program(lab, "a", program, *arguments).returncode == 2


def test_commands_without_a_gateway(lab, program):
    first = run_program(lab, "a", program, "genpsk").stdout.strip()
    second = run_program(lab, "a", program, "genpsk").stdout.strip()
    assert len(first) == 44 and first != second
    for shell in ("bash", "zsh", "fish"):
        assert "adit" in run_program(lab, "a", program, "completions", shell).stdout
    assert re.match(r"\d+\.\d+", run_program(lab, "a", program, "--version").stdout.replace("adit ", ""))


def test_the_control_socket_is_private(lab, program):
    gateway = Gateway(lab, program, "a").start()
    assert os.stat(gateway.control).st_mode & 0o777 == 0o600
    gateway.terminate()
    assert not os.path.exists(gateway.control)


def test_what_a_crash_left_is_adopted(lab, program):
    gateway = Gateway(lab, program, "a").start()
    gateway.kill()
    gateway.start()
    wait_until("it answers", lambda: gateway.status()["interface"] == "adit0")
    assert gateway.terminate()[0] == 0 and gateway.leftovers() == ""
