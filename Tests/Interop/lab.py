# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Network namespaces for one test: two gateways, `a` and `b`, joined by a veth pair, or by a NAT router between them.

    a: 192.0.2.1, 2001:db8::1   site 10.1.0.0/24, fd01::/64 (its host is .1, on lo)
    b: 192.0.2.2, 2001:db8::2   site 10.2.0.0/24, fd02::/64
    with nat=True a is 198.51.100.2, seen by b as 192.0.2.1 with other ports

The names carry this process's id, so that several runs share one machine; whoever ends without cleaning up
(kill -9) is cleaned up after by the next run.
"""
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

PREFIX = "aditlab"
_numbers = itertools.count(1)


class LabError(Exception):
    """Something of the lab itself failed, not of what is tested."""


def sh(*command, check=True, timeout=30, **options):
    """Runs a program; gives its output, or raises with it."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def wait_until(what, condition, seconds=5.0, pause=0.02):
    """Waits for `condition` and gives its value; raises when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"not within {seconds} s: {what}")
        time.sleep(pause)


@dataclass(frozen=True)
class Site:
    """The addresses of one side."""
    outer4: str
    outer6: str
    host4: str
    net4: str
    host6: str
    net6: str
    identity: str


SITES = {
    "a": Site("192.0.2.1", "2001:db8::1", "10.1.0.1", "10.1.0.0/24", "fd01::1", "fd01::/64", "a.example.com"),
    "b": Site("192.0.2.2", "2001:db8::2", "10.2.0.1", "10.2.0.0/24", "fd02::1", "fd02::/64", "b.example.com"),
}
# Further gateways that reach b's outer address over a link of their own.
FURTHER = {
    "c": Site("192.0.3.1", "", "10.3.0.1", "10.3.0.0/24", "fd03::1", "fd03::/64", "c.example.com"),
    "d": Site("192.0.4.1", "", "10.4.0.1", "10.4.0.0/24", "fd04::1", "fd04::/64", "d.example.com"),
}
NATTED = Site("198.51.100.2", "", "10.1.0.1", "10.1.0.0/24", "fd01::1", "fd01::/64", "a.example.com")
OTHER = {"a": "b", "b": "a", "c": "b", "d": "b"}


@dataclass
class Ping:
    """What ping counted."""
    sent: int
    received: int
    text: str


class Lab:
    """The namespaces of one test; a context manager."""

    def __init__(self, nat=False, mtu=1500):
        self.nat, self.mtu = nat, mtu
        self.prefix = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
        self.sites = {"a": NATTED if nat else SITES["a"], "b": SITES["b"]}
        self.folder = tempfile.mkdtemp(prefix=self.prefix + "-")
        self._closers = []
        # What a failed test shows besides the logs: (name, function that gives a text).
        self.witnesses = []
        self._namespaces = []

    def namespace(self, side):
        return f"{self.prefix}-{side}"

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for close in reversed(self._closers):
            try:
                close()
            except Exception as error:  # the rest is to be closed all the same
                print(f"while closing: {error}")
        for name in self._namespaces:
            sh("ip", "netns", "del", name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def on_exit(self, close):
        """`close` is called at the end, last come first served."""
        self._closers.append(close)

    def _build(self):
        for side in ("a", "b") + (("n",) if self.nat else ()):
            self.add_namespace(side)
        if self.nat:
            self._join("a", "eth0", "n", "inside")
            self._join("b", "eth0", "n", "outside")
            self.ip("n", "addr add 198.51.100.1/24 dev inside")
            self.ip("n", "addr add 192.0.2.1/24 dev outside")
            self.ip("a", "addr add 198.51.100.2/24 dev eth0")
            self.ip("a", "route add default via 198.51.100.1")
            self.forward("n")
            self.masquerade("n")
        else:
            self._join("a", "eth0", "b", "eth0")
            self.ip("a", "addr add 192.0.2.1/24 dev eth0")
            self.ip("a", "addr add 2001:db8::1/64 dev eth0 nodad")
            self.ip("b", "addr add 2001:db8::2/64 dev eth0 nodad")
        self.ip("b", "addr add 192.0.2.2/24 dev eth0")
        for side in ("a", "b"):
            self.add_site(side)

    def add_namespace(self, side):
        sh("ip", "netns", "add", self.namespace(side))
        self._namespaces.append(self.namespace(side))
        self.ip(side, "link set lo up")

    def add_site(self, side):
        """The host of a side's site, on its gateway's loopback."""
        self.ip(side, f"addr add {self.sites[side].host4}/32 dev lo")
        self.ip(side, f"addr add {self.sites[side].host6}/128 dev lo")

    def forward(self, side):
        self.run(side, "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def masquerade(self, side):
        """The side hides who is inside behind its address on device `outside`, with other ports."""
        self.nft(side, "table ip nat { chain post { type nat hook postrouting priority 100; "
                       "oif outside masquerade random; }; }")

    def forget_mappings(self, side="n"):
        """The NAT forgets all its mappings, as when it restarts; the next packets get other ports."""
        self.ip(side, "link set outside down")  # masquerading ends with the device
        self.ip(side, "link set outside up")
        target = self.sites["b"].outer4
        wait_until("the path is back", lambda: " 0% packet loss" in self.run(
            side, "ping", "-n", "-q", "-c", "1", "-W", "0.1", target, check=False))

    def add_gateway(self, side):
        """Another gateway, `c` or `d`, with a site of its own and a link to b."""
        self.sites[side] = site = FURTHER[side]
        self.add_namespace(side)
        self._join(side, "eth0", "b", f"eth-{side}")
        network = site.outer4.rsplit(".", 1)[0]
        self.ip(side, f"addr add {site.outer4}/24 dev eth0")
        self.ip("b", f"addr add {network}.2/24 dev eth-{side}")
        self.ip(side, f"route add {self.sites['b'].outer4}/32 via {network}.2")
        self.add_site(side)

    def _join(self, one, one_device, two, two_device):
        self.ip(one, f"link add {one_device} mtu {self.mtu} type veth "
                     f"peer name {two_device} mtu {self.mtu} netns {self.namespace(two)}")
        self.ip(one, f"link set {one_device} up")
        self.ip(two, f"link set {two_device} up")

    def ip(self, side, arguments, check=True):
        """`ip ARGUMENTS` in a side's namespace."""
        return sh("ip", "-n", self.namespace(side), *arguments.split(), check=check)

    def run(self, side, *command, **options):
        """A program in a side's namespace, to its end."""
        return sh("ip", "netns", "exec", self.namespace(side), *command, **options)

    def nft(self, side, ruleset):
        self.run(side, "nft", ruleset)

    def lose(self, side, percent):
        """From now on this share of the IKE and ESP datagrams towards `side` is lost."""
        self._drop(side, "loss", f"numgen random mod 100 < {percent}")

    def cut(self, side):
        """From now on no IKE or ESP datagram reaches `side`."""
        self._drop(side, "cut", "")

    def _drop(self, side, table, condition):
        self.nft(side, f"table inet {table} {{ chain input {{ type filter hook input priority 0; "
                       f"udp dport {{ 500, 4500 }} {condition} drop; }}; }}")

    def mend(self, side):
        """Ends `cut`."""
        self.nft(side, "delete table inet cut")

    def start(self, side, *command, log, environment=None):
        """A program in a side's namespace, in the background; it is ended with the lab at the latest."""
        with open(log, "ab") as output:
            process = subprocess.Popen(["ip", "netns", "exec", self.namespace(side), *command],
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                       env={**os.environ, **(environment or {})})
        self.on_exit(lambda: end(process))
        return process

    def ping(self, side, family=4, count=20, size=56, patience=1, to=None, apart=False):
        """Host to host, from a side's site to the other: all at once, and `patience` seconds for what is missing. (Of
        spaced packets ping gives up the last ones after the interval, or twice the longest round trip: on a busy
        machine that looks like loss.) With `apart` each waits for the answer to the one before, so that no two leave
        as one super-packet, which a capture would show as one."""
        mine, theirs = self.sites[side], self.sites[to or OTHER[side]]
        source, target = (mine.host4, theirs.host4) if family == 4 else (mine.host6, theirs.host6)
        repeated, together = (count, 1) if apart else (1, count)
        text = self.run(side, "sh", "-c", 'n=$1; shift; while [ "$n" -gt 0 ]; do "$@"; n=$((n - 1)); done; true', "sh",
                        str(repeated), "ping", f"-{family}", "-n", "-q", "-c", str(together), "-l", str(together),
                        "-i", str(max(patience, 1)), "-W", str(patience), "-s", str(size), "-I", source, target,
                        check=False)
        counted = re.findall(r"(\d+) packets transmitted, (\d+) received", text)
        if len(counted) != repeated:
            raise LabError(f"ping did not run: {text}")
        return Ping(sum(int(sent) for sent, _ in counted), sum(int(received) for _, received in counted), text)

    def clean_ping(self, side, attempts=3, **options):
        """`ping` beside a peer that drops packets of its own on a busy machine (strongSwan's userspace ESP does): the
        first run that lost nothing, or the last. A run of which nothing arrived is not tried again."""
        for attempt in range(1, attempts + 1):
            counted = self.ping(side, **options)
            if counted.received in (0, counted.sent) or attempt == attempts:
                return counted
            print(f"attempt {attempt}: {counted.sent - counted.received} of {counted.sent} lost from {side}")
            time.sleep(1)

    def iperf3(self, side, seconds=2, reverse=False, streams=1, family=4):
        """TCP from a side's host to the other's (or back, with `reverse`); gives bits a second."""
        other = OTHER[side]
        mine, theirs = self.sites[side], self.sites[other]
        source, target = (mine.host4, theirs.host4) if family == 4 else (mine.host6, theirs.host6)
        log = os.path.join(self.folder, "iperf3.log")
        server = self.start(other, "iperf3", "-s", "-1", "-B", target, log=log)
        try:
            wait_until("iperf3 listens", lambda: ":5201 " in self.run(other, "ss", "-ltn"))
            text = self.run(side, "iperf3", "-c", target, "-B", source, "-t", str(seconds), "-P", str(streams),
                            "--json", *(["-R"] if reverse else []), timeout=seconds + 20, check=False)
        finally:
            end(server)
        result = json.loads(text)
        if "error" in result:
            raise LabError(f"iperf3: {result['error']}")
        return result["end"]["sum_received"]["bits_per_second"]


def end(process, patience=5.0):
    """Ends a program that we started, gently at first; gives its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def remove_leftovers():
    """Deletes the namespaces of runs that are no more."""
    for name in re.findall(rf"^({PREFIX}-(?:\d+)-\S+)", sh("ip", "netns", "list"), re.M):
        if not os.path.exists(f"/proc/{name.split('-')[1]}"):
            sh("ip", "netns", "del", name, check=False)
