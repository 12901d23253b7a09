# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""`adit run --key-log`: tshark reads a whole session, rekeys included, with nothing but the files that Adit wrote."""
import os
import shutil

import pytest
from adit import Gateway, connection, run_program
from capture import Capture, Reading
from lab import wait_until


class WrittenKeys:
    """The lines of a key log, as `Reading` takes them."""

    def __init__(self, folder):
        self.ike_lines, self.esp_lines = (
            open(os.path.join(folder, name)).read().splitlines() for name in ("ikev2_decryption_table", "esp_sa"))


@pytest.mark.parametrize("suite, esp", [("aes256gcm16-prfsha384-x25519", "aes128gcm16-x25519"),
                                        ("aes128-sha256-ecp256", "aes256-sha256-ecp256"),
                                        ("3des-md5-modp1024", "3des-md5-modp1024"),
                                        ("aes128-md5-modp2048", "aes128-md5")])
def test_a_session_with_rekeys_can_be_read(lab, program, suite, esp):
    # Wireshark 4.0 checks no ICV over 64-bit sequence numbers.
    keys = {"proposals": [suite], "esp_proposals": [esp], "esn": False, "allow_legacy": "md5" in suite or None}
    folder = os.path.join(lab.folder, "keys")
    b = Gateway(lab, program, "b", {"peer": connection(lab, "b", **keys)}).start()
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a", **keys)}, options=["--key-log", folder]).start()
    assert "KEYS ARE WRITTEN" in a.log_text() and "KEYS ARE WRITTEN" not in b.log_text()
    capture = Capture(lab, "b")
    a.up()
    packets = 0
    for rekey in (None, [], ["--ike"], []):
        if rekey is not None:
            done = b.command("rekey", "peer", *rekey)
            assert done.returncode == 0, done.stderr
        assert lab.ping("a", count=5, apart=True).received == 5
        packets += 10
    done = a.command("rekey", "peer", "--ike")
    assert done.returncode == 0, done.stderr
    assert a.command("down", "peer").returncode == 0
    wait_until("b is without SAs", lambda: not b.peer()["children"], seconds=3)
    path = capture.stop()

    for name in ("ikev2_decryption_table", "esp_sa"):
        assert os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600
    written = WrittenKeys(folder)
    assert len(written.ike_lines) == 3, "the first IKE SA and two successors"
    assert len(written.esp_lines) == 3 * 4, "the first child and two successors"
    seen = Reading(path, written)
    assert seen.esp == packets and seen.opened == packets and seen.authentic == packets
    assert seen.ike_encrypted >= 10 and seen.ike_opened == seen.ike_encrypted
    assert seen.malformed == 0
    # Without the keys the same capture tells nothing.
    blind = WrittenKeys(folder)
    blind.ike_lines, blind.esp_lines = [], []
    shutil.rmtree(path + ".tshark")
    seen = Reading(path, blind)
    assert seen.opened == 0 and seen.ike_opened == 0


def test_a_folder_that_others_can_write_to_is_refused(lab, program):
    folder = os.path.join(lab.folder, "keys")
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    gateway = Gateway(lab, program, "a")
    done = run_program(lab, "a", program, "run", "--config", gateway.file, "--control", gateway.control,
                       "--key-log", folder)
    assert done.returncode == 1
    assert folder in done.stderr and "others may write to it" in done.stderr
    assert os.listdir(folder) == []
