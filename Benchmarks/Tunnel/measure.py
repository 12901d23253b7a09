# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""The measurements: each takes an open tunnel and gives one figure (or a few) as a dictionary."""
import bisect
import json
import os
import re
import statistics
import sys
import time

from lab import OTHER, LabError, end, wait_until

LOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "load.py")
PORT = 5001
IMIX = "64,64,64,64,64,64,64,570,570,570,570,1200"
TICKS = os.sysconf("SC_CLK_TCK")
# A datagram counts as arrived when it does so until this long after the last was sent: a queue is no throughput.
GRACE_NANOSECONDS = 20_000_000
# Where the search for a packet rate begins, and how near it ends.
FIRST_RATE, NEARNESS, STEPS = 25_000.0, 0.08, 12
ATTEMPTS, HOPELESS = 2, 0.5


def cpu_seconds(tunnel):
    """CPU time of the tunnel's processes so far, of all their threads and of both ends."""
    total = 0.0
    for pid in tunnel.processes():
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def resident_bytes(tunnel):
    """The largest resident size that any of the tunnel's processes had so far."""
    peaks = []
    for pid in tunnel.processes():
        with open(f"/proc/{pid}/status") as file:
            found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
        peaks.append(int(found[1]) * 1024 if found else 0)
    return max(peaks, default=0)


def congestion_control():
    """cubic where the kernel has it: the default may be one that measures the path instead of filling it."""
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as file:
        return ["-C", "cubic"] if "cubic" in file.read().split() else []


class Stream:
    """iperf3 over TCP between the two sites, in the background."""

    def __init__(self, tunnel, seconds, reverse=False, streams=1, port=5201, options=()):
        self.seconds, self.lab = seconds, tunnel.lab
        lab, side = tunnel.lab, "a"
        mine, theirs = lab.sites[side], lab.sites[OTHER[side]]
        self.log = os.path.join(lab.folder, f"iperf3-{port}.json")
        open(self.log, "w").close()
        self.server = lab.start(OTHER[side], "iperf3", "-s", "-1", "-p", str(port), "-B", theirs.host4,
                                log=os.path.join(lab.folder, "iperf3-server.log"))
        wait_until("iperf3 listens", lambda: f":{port} " in lab.run(OTHER[side], "ss", "-ltn"))
        self.client = lab.start(side, "iperf3", "-c", theirs.host4, "-B", mine.host4, "-p", str(port),
                                "-t", str(seconds), "-P", str(streams), "--json", *congestion_control(), *(["-R"] if reverse else []),
                                *options, log=self.log)

    def result(self):
        """Waits for its end; gives iperf3's report."""
        self.client.wait(self.seconds + 30)
        self.stop()
        with open(self.log) as file:
            report = json.load(file)
        if "error" in report:
            raise LabError(f"iperf3: {report['error']}")
        return report

    def stop(self):
        end(self.client)
        end(self.server)


def tcp(tunnel, seconds, reverse=False, streams=1):
    """iperf3; bits a second that arrived, and the daemons' CPU seconds for a gigabyte of them."""
    before = cpu_seconds(tunnel)
    report = Stream(tunnel, seconds, reverse, streams).result()
    used = cpu_seconds(tunnel) - before
    received = report["end"]["sum_received"]
    gigabytes = received["bytes"] / 1e9
    return {"bits_per_second": received["bits_per_second"],
            "cpu_seconds_per_gb": used / gigabytes if gigabytes and tunnel.processes() else None}


class Sink:
    """The receiver's counts: how many datagrams had reached its socket at which moment."""

    def __init__(self, tunnel):
        self.lab = lab = tunnel.lab
        self.log = os.path.join(lab.folder, "sink.log")
        open(self.log, "w").close()
        self.process = lab.start("b", sys.executable, LOAD, "sink", str(PORT), log=self.log)
        wait_until("the sink listens", lambda: len(self.samples()) > 1)
        self.damaged = self.checksum_errors()

    def checksum_errors(self):
        """Datagrams with a wrong checksum, which the socket's count holds too."""
        text = self.lab.run("b", "cat", "/proc/net/snmp")
        names, values = [line.split() for line in text.splitlines() if line.startswith("Udp:")][:2]
        return int(dict(zip(names, values))["InCsumErrors"])

    def samples(self):
        with open(self.log) as file:
            lines = [line.split() for line in file if line.endswith("\n")]
        return [(int(moment), int(count)) for moment, count in (line for line in lines if len(line) == 2)]

    def at(self, moment):
        """What had arrived at a moment, between the samples before and after it."""
        samples = wait_until("a later sample", lambda: [s for s in [self.samples()] if s[-1][0] > moment])[0]
        index = bisect.bisect(samples, (moment, 0))
        if index == 0:
            return samples[0][1]
        (before, low), (after, high) = samples[index - 1], samples[index]
        return low + (high - low) * (moment - before) / max(after - before, 1)

    def stop(self):
        end(self.process)
        if self.checksum_errors() != self.damaged:
            raise LabError("datagrams arrived with a wrong checksum")


def offer(tunnel, sink, sizes, rate, seconds, how):
    """Sends at `rate`; gives (sent a second, arrived a second, lost share, CPU microseconds a packet)."""
    target, before = tunnel.lab.sites["b"].host4, cpu_seconds(tunnel)
    words = tunnel.lab.run("a", sys.executable, LOAD, how, target, str(PORT), sizes, str(rate), str(seconds)).split()
    sent, began, ended = (int(word) for word in words)
    got = sink.at(ended + GRACE_NANOSECONDS) - sink.at(began)
    used, took = cpu_seconds(tunnel) - before, (ended - began) / 1e9
    # What a queue still holds leaves before the next attempt.
    wait_until("the queues are empty", lambda: sink.at(time.monotonic_ns() - 300_000_000)
               == sink.at(time.monotonic_ns() - 20_000_000), seconds=20, pause=0.1)
    return sent / took, got / took, max(0.0, 1 - got / sent) if sent else 1.0, used / max(got, 1) * 1e6


def datagrams(tunnel, sizes, guess=None, seconds=0.7, tolerated=0.01, how="send"):
    """The highest rate with less than 1 % lost, by doubling and bisection, and the most that ever arrived.

    `guess` is where to begin. When the generator could send no faster, the figure is only a lower bound and says so.
    """
    sink = Sink(tunnel)
    try:
        low, high, best, most, cost, limited = 0.0, None, 0.0, 0.0, None, False
        rate = guess or FIRST_RATE
        for _ in range(STEPS):
            # A loss may be a moment in which the machine was elsewhere: a rate has a second chance.
            for _ in range(ATTEMPTS):
                sent, got, lost, price = offer(tunnel, sink, sizes, rate, seconds, how)
                most = max(most, got)
                if lost < tolerated or lost > HOPELESS:
                    break
            offered = min(rate, sent)
            if lost < tolerated:
                low = max(low, offered)
                if got > best:
                    best, cost, limited = got, price, sent < 0.95 * rate
                if limited:
                    break  # the generator is at its end, not the tunnel
            else:
                high = offered if high is None else min(high, offered)
            if high is not None and (high - low < NEARNESS * high or high < 1000):
                break
            # From a rate that was measured before it is not far.
            rate = rate * (1.2 if guess else 2) if high is None else (low + high) / 2 if low else high / 2
        return {"packets_per_second": best, "most_delivered": most, "cpu_microseconds_per_packet": cost,
                "generator_limited": limited}
    finally:
        sink.stop()


def overload(tunnel, rate=1_000_000, seconds=3):
    """Far more small and large datagrams than any tunnel carries; what the daemons' memory grew to."""
    sink = Sink(tunnel)
    try:
        delivered = [offer(tunnel, sink, sizes, rate, seconds, "send")[1] for sizes in ("1200", "64")]
    finally:
        sink.stop()
    return {"resident_bytes": resident_bytes(tunnel), "delivered_1200": delivered[0], "delivered_64": delivered[1]}


def round_trip(tunnel, count=100, load=False):
    """ping's median in milliseconds, idle or beside one TCP stream."""
    lab, stream = tunnel.lab, None
    target, source = lab.sites["b"].host4, lab.sites["a"].host4
    if load:
        stream = Stream(tunnel, 60)
        time.sleep(1)
    try:
        text = lab.run("a", "ping", "-n", "-c", str(count), "-i", "0.02", "-W", "1", "-I", source, target, check=False)
    finally:
        if stream:
            stream.stop()
    times = [float(value) for value in re.findall(r"time=([\d.]+)", text)]
    return {"median_ms": statistics.median(times) if times else None,
            "worst_ms": max(times) if times else None, "answered": len(times), "asked": count}
