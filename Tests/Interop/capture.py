# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""A capture of the wire, opened by tshark with the keys that strongSwan wrote into its log: an independent reader."""
import os
import re
import signal
import subprocess
import time

from lab import LabError, wait_until

# The names of tshark's tables; it knows no ChaCha20-Poly1305.
IKE_ENCRYPTION = {"AES_GCM_16": "AES-GCM-{} with 16 octet ICV [RFC5282]", "AES_CBC": "AES-CBC-{} [RFC3602]"}
ESP_ENCRYPTION = {"AES_GCM_16": "AES-GCM with 16 octet ICV [RFC4106]", "AES_CBC": "AES-CBC [RFC3602]"}
IKE_INTEGRITY = {"HMAC_SHA1_96": "HMAC_SHA1_96 [RFC2404]", "HMAC_SHA2_256_128": "HMAC_SHA2_256_128 [RFC4868]"}
ESP_INTEGRITY = {"HMAC_SHA1_96": "HMAC-SHA-1-96 [RFC2404]", "HMAC_SHA2_256_128": "HMAC-SHA-256-128 [RFC4868]"}


class Capture:
    """Everything on a side's outer interface, until `stop`."""

    def __init__(self, lab, side, device="eth0"):
        self.path = os.path.join(lab.folder, f"capture-{side}.pcap")
        self._log = self.path + ".log"
        # A packet takes as much of the kernel's buffer as the largest may have: the usual 2 MiB hold eight.
        self._process = lab.start(side, "tcpdump", "--immediate-mode", "-U", "-n", "-s", "0", "-B", "65536", "-Z", "root",
                                  "-i", device, "-w", self.path, log=self._log)
        wait_until("tcpdump listens", lambda: "listening on" in open(self._log).read())

    def stop(self):
        # What tcpdump has not read yet when it is asked to end is lost: on a busy machine it is some way behind.
        size, end = -1, time.monotonic() + 1
        while size != (size := os.path.getsize(self.path)) and time.monotonic() < end:
            time.sleep(0.1)
        self._process.send_signal(signal.SIGINT)
        self._process.wait(10)
        return self.path


class Keys:
    """The keys of every SA in a charon log (levels ike = 4, chd = 4), in the order in which they were derived."""

    def __init__(self, log_text, spis):
        """`spis`: the IKE SPIs (initiator's, responder's) of each IKE SA in the log, in order."""
        self.ike_lines, self.esp_lines = [], []
        ike, child, label, began = {}, {}, None, "initiator"
        proposals = {"IKE": "", "ESP": ""}
        spis = list(spis)
        for line in log_text.splitlines():
            body = re.sub(r"^\d\d\[\w+\] (?:<[^>]*> )?", "", line)
            if match := re.match(r"(\S.*) => \d+ bytes @", body):
                label = match[1]
            elif label and (match := re.match(r"\s*\d+: ((?:[0-9A-F]{2} )+)", body)):
                self._collect(ike, child, label, match[1].replace(" ", "").lower())
            else:
                if label == "Sk_pr secret" and spis:
                    self._add_ike(ike, proposals["IKE"], *spis.pop(0))
                    ike = {}
                label = None
                if match := re.match(r"selected proposal: (IKE|ESP):(\S+)", body):
                    proposals[match[1]] = match[2]
                elif match := re.match(r"(generating|parsed) (IKE_AUTH|CREATE_CHILD_SA) request", body):
                    began = "initiator" if match[1] == "generating" else "responder"
                elif match := re.search(r"CHILD_SA \S+ established with SPIs (\w+)_i (\w+)_o", body):
                    self._add_child(child, proposals["ESP"], began, inbound=match[1], outbound=match[2])
                    child = {}

    @staticmethod
    def _collect(ike, child, label, octets):
        if match := re.match(r"Sk_(\w\w) secret", label):
            ike[match[1]] = ike.get(match[1], "") + octets
        elif match := re.match(r"(encryption|integrity) (initiator|responder) key", label):
            child[match[0][:-4]] = child.get(match[0][:-4], "") + octets

    def _add_ike(self, keys, proposal, initiator_spi, responder_spi):
        cipher, bits, integrity = split_proposal(proposal)
        if cipher in IKE_ENCRYPTION:
            aead = cipher == "AES_GCM_16"
            self.ike_lines.append(f'{initiator_spi},{responder_spi},{keys["ei"]},{keys["er"]},'
                                  f'"{IKE_ENCRYPTION[cipher].format(bits)}",{keys.get("ai", "")},{keys.get("ar", "")},'
                                  f'"{"NONE [RFC4306]" if aead else IKE_INTEGRITY[integrity]}"')

    def _add_child(self, keys, proposal, began, inbound, outbound):
        cipher, _, integrity = split_proposal(proposal)
        # The halves of a rekeyed child are reported one by one; the keys are there with the first.
        if cipher not in ESP_ENCRYPTION or not keys:
            return
        other = "responder" if began == "initiator" else "initiator"
        for spi, role in ((outbound, began), (inbound, other)):
            mac = keys.get(f"integrity {role}", "")
            for version in ("IPv4", "IPv6"):
                self.esp_lines.append(
                    f'"{version}","*","*","0x{spi:0>8}","{ESP_ENCRYPTION[cipher]}","0x{keys[f"encryption {role}"]}",'
                    f'"{ESP_INTEGRITY.get(integrity, "NULL")}","{"0x" + mac if mac else ""}"')


def split_proposal(text):
    """`AES_GCM_16_128/…` as cipher, bits, and the algorithm that stands second."""
    parts = text.split("/") + [""]
    match = re.match(r"(AES_\w+?)_(128|192|256)$", parts[0])
    return (match[1], match[2], parts[1]) if match else (parts[0], "", parts[1])


def tshark(path, keys, *arguments):
    """tshark over a capture with these keys; gives its lines."""
    home = path + ".tshark"
    os.makedirs(os.path.join(home, "wireshark"), exist_ok=True)
    for name, lines in (("ikev2_decryption_table", keys.ike_lines), ("esp_sa", keys.esp_lines)):
        with open(os.path.join(home, "wireshark", name), "w") as table:
            table.write("".join(line + "\n" for line in lines))
    done = subprocess.run(["tshark", "-r", path, "-o", "esp.enable_encryption_decode:TRUE",
                           "-o", "esp.enable_authentication_check:TRUE", *arguments],
                          env={**os.environ, "XDG_CONFIG_HOME": home}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise LabError(f"tshark: {done.stderr}")
    return done.stdout.splitlines()


class Reading:
    """What tshark could make of a capture."""

    def __init__(self, path, keys):
        rows = [line.split("\t") for line in tshark(
            path, keys, "-Y", "esp", "-T", "fields", "-e", "esp.spi", "-e", "esp.sequence", "-e", "esp.icv_good",
            "-e", "icmp.type", "-e", "icmpv6.type")]
        self.esp = len(rows)
        self.opened = sum(1 for row in rows if row[3] or row[4])
        self.authentic = sum(1 for row in rows if row[2] in ("1", "True"))
        self.sequences = {}
        for row in rows:
            self.sequences.setdefault(row[0], []).append(int(row[1]))
        self.ike_encrypted = len(tshark(path, keys, "-Y", "isakmp.typepayload == 46 || isakmp.typepayload == 53"))
        self.ike_opened = len(tshark(path, keys, "-Y", "isakmp.enc.decrypted"))
        self.malformed = len(tshark(path, keys, "-Y", "_ws.malformed && (isakmp || esp)"))


def conversations(path, condition):
    """How many packets of a capture meet a condition in tshark's words, by (source, destination) with ports."""
    done = subprocess.run(["tshark", "-r", path, "-Y", condition, "-T", "fields", "-e", "ip.src", "-e", "ipv6.src",
                           "-e", "udp.srcport", "-e", "ip.dst", "-e", "ipv6.dst", "-e", "udp.dstport"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise LabError(f"tshark: {done.stderr}")
    counts = {}
    for line in done.stdout.splitlines():
        source4, source6, source_port, target4, target6, target_port = (line.split("\t") + [""] * 6)[:6]
        pair = (f"{source4 or source6}:{source_port}", f"{target4 or target6}:{target_port}")
        counts[pair] = counts.get(pair, 0) + 1
    return counts


def cleartext(path):
    """The packets of a capture that are neither IKE, nor ESP in UDP, nor the talk between neighbours."""
    return conversations(path, "!(udp.port == 500 || udp.port == 4500) && !arp && !(icmpv6.type >= 130)")
