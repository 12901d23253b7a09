# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""The tunnels that are measured: each joins the lab's two sites, and tells which processes carry the packets.

Every tunnel carries 10.1.0.1 (side a) to 10.2.0.1 (side b). Programs other than Debian's are named by environment:
ADIT_PERF_WIREGUARD_GO (measured beside Debian's), ADIT_PERF_OPENVPN, and ADIT_PERF_PROTOTYPE for a static-key prototype
to compare with.
"""
import os
import re
import shutil
import subprocess
import time

import adit
import strongswan
from lab import OTHER, LabError, sh, wait_until

INNER_MTU = 1400  # of the peers that do not know their own overhead
# Packets that wait before the TUN device of every tunnel (Adit's own choice): it is the tunnels that are compared, and a
# longer queue alone doubles the rate at which a busy machine loses nothing.
QUEUE = 1000


class Unavailable(Exception):
    """What a tunnel needs is not installed; the text says what."""


class Tunnel:
    """One way from site a to site b. `open` raises Unavailable or LabError; `processes` are [(side, pid)]."""
    name = ""
    packages = ()

    def __init__(self, lab):
        self.lab = lab
        self.started = []
        self.version = ""

    def open(self):
        raise NotImplementedError

    def processes(self):
        """The pids of the daemons, those that `ip netns exec` became."""
        return [process.pid for process in self.started]

    def start(self, side, *command, environment=None):
        log = os.path.join(self.lab.folder, f"{self.name}-{side}.log".replace(" ", "-"))
        process = self.lab.start(side, *command, log=log, environment=environment)
        self.started.append(process)
        return process

    def wait_for_ping(self, seconds=10):
        wait_until(f"{self.name} carries a ping",
                   lambda: self.lab.ping("a", count=1, patience=1).received == 1, seconds=seconds, pause=0)


def program(variable, name, package):
    """A program by environment or from PATH."""
    path = os.environ.get(variable) or shutil.which(name)
    if not path or not os.access(path, os.X_OK):
        raise Unavailable(f"{name} is not there: apt-get install {package}, or name it by {variable}")
    return path


class Plain(Tunnel):
    """No tunnel: the two sites routed over the veth, the ceiling of the machine."""
    name = "no tunnel"

    def open(self):
        for side in ("a", "b"):
            mine, theirs = self.lab.sites[side], self.lab.sites[OTHER[side]]
            self.lab.ip(side, f"route add {theirs.net4} via {theirs.outer4} src {mine.host4}")
        self.version = f"kernel {os.uname().release}"


class Adit(Tunnel):
    """Adit on both sides, as many workers as it chooses by itself."""
    name = "Adit"
    binary = None
    settings = {}

    def open(self):
        gateways = []
        for side in ("a", "b"):
            keys = adit.connection(self.lab, side, start_action="none", esp_proposals=["aes128gcm16"])
            gateways.append(adit.Gateway(self.lab, self.binary, side, {"peer": keys}, **self.settings).start())
        self.started = [gateway.process for gateway in gateways]
        gateways[0].up()
        self.gateways = gateways
        self.version = sh(self.binary, "--version").strip()

    def drops(self):
        """What both gateways have dropped so far, by reason, what is zero left out."""
        return {side: {reason: count for reason, count in gateway.drops().items() if count}
                for side, gateway in zip("ab", self.gateways)}


class AditTwoWorkers(Adit):
    """Adit on both sides with two packet threads each."""
    name = "Adit, 2 workers"
    settings = {"workers": 2}


def charon(lab, side):
    """A strongSwan as a user runs it: little logged, and the AEAD of its aesni plugin, which is the faster one."""
    if not os.access(strongswan.CHARON, os.X_OK):
        raise Unavailable("strongSwan is not there: apt-get install " + " ".join(StrongSwan.packages))
    plugins = strongswan.PLUGINS
    try:
        strongswan.PLUGINS = plugins.replace(" openssl ", " aesni openssl ")
        return strongswan.StrongSwan(lab, side, strongswan.configuration(lab, side))
    finally:
        strongswan.PLUGINS = plugins


def charon_version():
    found = re.search(r"\d+\.\d+\.\d+", sh(strongswan.CHARON, "--version", check=False))
    return f"strongSwan {found[0]}" if found else "strongSwan"


class StrongSwan(Tunnel):
    """strongSwan on both sides, ESP by its kernel-libipsec plugin."""
    name = "strongSwan libipsec"
    packages = ("strongswan-charon", "strongswan-swanctl", "libcharon-extra-plugins", "libstrongswan-extra-plugins")

    def open(self):
        peers = [charon(self.lab, side) for side in ("a", "b")]
        self.started = [peer.process for peer in peers]
        answer = peers[0].initiate()
        if not peers[0].sas():
            raise LabError(f"strongSwan: {answer[-500:]}")
        for side in ("a", "b"):
            self.lab.ip(side, f"link set ipsec0 mtu {INNER_MTU} txqueuelen {QUEUE}")
        self.version = charon_version()


class AditToStrongSwan(Tunnel):
    """Adit sends (side a), strongSwan receives."""
    name = "Adit to strongSwan"
    binary = None

    def open(self):
        peer = charon(self.lab, "b")
        keys = adit.connection(self.lab, "a", start_action="none", esp_proposals=["aes128gcm16"])
        gateway = adit.Gateway(self.lab, self.binary, "a", {"peer": keys}).start()
        self.started = [gateway.process, peer.process]
        gateway.up()
        self.lab.ip("b", f"link set ipsec0 mtu {INNER_MTU} txqueuelen {QUEUE}")
        self.version = f"{sh(self.binary, '--version').strip()}, {charon_version()}"


class WireGuardGo(Tunnel):
    """wireguard-go on both sides: Debian's, which is of 2022 and has no offloads."""
    name = "wireguard-go"
    packages = ("wireguard-tools", "wireguard-go")

    def path(self):
        return program("ADIT_PERF_WIREGUARD_GO_OLD", "wireguard-go", "wireguard-go")

    def open(self):
        path = self.path()
        wg = program("ADIT_PERF_WG", "wg", "wireguard-tools")
        private = {side: sh(wg, "genkey").strip() for side in ("a", "b")}
        public = {side: sh("sh", "-c", f"echo '{key}' | {wg} pubkey").strip() for side, key in private.items()}
        for side in ("a", "b"):
            device = f"wg{side}{os.getpid()}"
            other = OTHER[side]
            mine, theirs = self.lab.sites[side], self.lab.sites[other]
            self.start(side, path, "-f", device, environment={"LOG_LEVEL": "error"})
            socket = f"/var/run/wireguard/{device}.sock"
            wait_until("wireguard-go listens", lambda: os.path.exists(socket))
            self.lab.on_exit(lambda path=socket: os.path.exists(path) and os.unlink(path))
            file = os.path.join(self.lab.folder, f"wg-{side}.conf")
            with open(file, "w") as out:
                out.write(f"[Interface]\nPrivateKey = {private[side]}\nListenPort = 51820\n[Peer]\n"
                          f"PublicKey = {public[other]}\nEndpoint = {theirs.outer4}:51820\nAllowedIPs = {theirs.net4}\n")
            self.lab.run(side, wg, "setconf", device, file)
            self.lab.ip(side, f"link set {device} mtu 1420 txqueuelen {QUEUE} up")
            self.lab.ip(side, f"route add {theirs.net4} dev {device} src {mine.host4}")
        self.version = sh(path, "--version", check=False).splitlines()[0].strip()


class NewerWireGuardGo(WireGuardGo):
    """Another wireguard-go, such as one of 2025, which has offloads."""
    name = "wireguard-go, newer"

    def path(self):
        path = os.environ.get("ADIT_PERF_WIREGUARD_GO")
        if not path or not os.access(path, os.X_OK):
            raise Unavailable("no newer wireguard-go: name one by ADIT_PERF_WIREGUARD_GO")
        return path


class OpenVPN(Tunnel):
    """OpenVPN on both sides, point to point over UDP, AES-128-GCM."""
    name = "OpenVPN"
    packages = ("openvpn", "openssl")

    def open(self):
        path = program("ADIT_PERF_OPENVPN", "openvpn", "openvpn")
        folder = self.lab.folder
        for who in ("a", "b"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-keyout", f"{folder}/{who}.key", "-out", f"{folder}/{who}.crt", "-subj", f"/CN={who}",
                            "-days", "2"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for side in ("b", "a"):
            other = OTHER[side]
            mine, theirs = self.lab.sites[side], self.lab.sites[other]
            fingerprint = sh("openssl", "x509", "-fingerprint", "-sha256", "-noout", "-in", f"{folder}/{other}.crt")
            role = ["--tls-server"] if side == "b" else ["--tls-client"]
            self.start(side, path, "--dev", "tunovpn", "--dev-type", "tun", "--proto", "udp", "--local", mine.outer4,
                       "--remote", theirs.outer4, "--ifconfig", f"10.8.0.{1 if side == 'a' else 2}",
                       f"10.8.0.{2 if side == 'a' else 1}", "--route", theirs.net4.split("/")[0], "255.255.255.0",
                       "--cert", f"{folder}/{side}.crt", "--key", f"{folder}/{side}.key",
                       "--peer-fingerprint", fingerprint.split("=", 1)[1].strip(), "--dh", "none",
                       "--data-ciphers", "AES-128-GCM", "--cipher", "AES-128-GCM", "--tun-mtu", str(INNER_MTU),
                       "--fast-io", "--txqueuelen", str(QUEUE), "--sndbuf", "2097152", "--rcvbuf", "2097152",
                       "--disable-dco", "--verb", "1", *role)
        self.version = sh(path, "--version", check=False).splitlines()[0].strip()[:40]


class Prototype(Tunnel):
    """A static-key C prototype of the same packet path: `PROGRAM -r a|b -t DEVICE -l LOCAL -p PEER`."""
    name = "C prototype"

    def open(self):
        path = os.environ.get("ADIT_PERF_PROTOTYPE")
        if not path or not os.access(path, os.X_OK):
            raise Unavailable("no prototype: name one by ADIT_PERF_PROTOTYPE")
        for side in ("a", "b"):
            mine, theirs = self.lab.sites[side], self.lab.sites[OTHER[side]]
            self.start(side, path, "-r", side, "-t", "tunproto", "-l", mine.outer4, "-p", theirs.outer4, "-T", "1")
        for side in ("a", "b"):
            mine, theirs = self.lab.sites[side], self.lab.sites[OTHER[side]]
            wait_until("the prototype's device", lambda: "tunproto" in self.lab.ip(side, "-o link"))
            self.lab.ip(side, f"link set tunproto mtu 1438 txqueuelen {QUEUE} up")
            self.lab.ip(side, f"route add {theirs.net4} dev tunproto src {mine.host4}")
        self.version = "static keys"


TUNNELS = {kind.name: kind for kind in
           (Plain, Adit, AditTwoWorkers, Prototype, StrongSwan, AditToStrongSwan, WireGuardGo, NewerWireGuardGo,
            OpenVPN)}


def open_tunnel(kind, lab):
    """Opens one; gives it with the seconds from the daemons' start to the first answered ping."""
    tunnel = kind(lab)
    began = time.monotonic()
    tunnel.open()
    tunnel.wait_for_ping()
    return tunnel, time.monotonic() - began
