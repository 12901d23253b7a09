# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""The measurements: each takes an open tunnel and gives one figure (or a few) as a dictionary."""
import os
import re
import statistics
import sys
import time

from lab import end, wait_until

LOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "load.py")
PORT = 5001
IMIX = "64,64,64,64,64,64,64,570,570,570,570,1200"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(tunnel):
    """CPU time of the tunnel's processes so far."""
    total = 0.0
    for pid in tunnel.processes():
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def resident_bytes(tunnel):
    """The largest resident size that any of the tunnel's processes had."""
    peaks = []
    for pid in tunnel.processes():
        with open(f"/proc/{pid}/status") as file:
            found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
        peaks.append(int(found[1]) * 1024 if found else 0)
    return max(peaks, default=0)


def tcp(tunnel, seconds, reverse=False, streams=1):
    """iperf3; bits a second, and the daemons' CPU seconds for a gigabyte."""
    before = cpu_seconds(tunnel)
    rate = tunnel.lab.iperf3("a", seconds=seconds, reverse=reverse, streams=streams)
    used = cpu_seconds(tunnel) - before
    return {"bits_per_second": rate, "cpu_seconds_per_gb": used / (rate * seconds / 8 / 1e9) if rate else None}


def arrived(tunnel):
    """UDP datagrams that reached side b's sockets so far, read or not."""
    text = tunnel.lab.run("b", "cat", "/proc/net/snmp")
    names, values = [line.split() for line in text.splitlines() if line.startswith("Udp:")][:2]
    counters = dict(zip(names, values))
    return int(counters["InDatagrams"]) + int(counters["RcvbufErrors"])


def offer(tunnel, sizes, rate, seconds):
    """Sends at `rate`; gives (sent a second, arrived a second, lost share)."""
    target = tunnel.lab.sites["b"].host4
    before = arrived(tunnel)
    words = tunnel.lab.run("a", sys.executable, LOAD, "send", target, str(PORT), sizes, str(rate), str(seconds)).split()
    time.sleep(0.3)
    got, sent, took = arrived(tunnel) - before, int(words[0]), float(words[1])
    return sent / took, got / took, max(0.0, 1 - got / sent) if sent else 1.0


def datagrams(tunnel, sizes, seconds=1.0, tolerated=0.01):
    """The highest rate with less than 1 % lost, by doubling and bisection, and the most that ever arrived."""
    sink = tunnel.lab.start("b", sys.executable, LOAD, "sink", str(PORT), log=os.path.join(tunnel.lab.folder, "sink"))
    try:
        wait_until("the sink listens", lambda: f":{PORT} " in tunnel.lab.run("b", "ss", "-lun"))
        low, high, best, most = 0.0, None, 0.0, 0.0
        rate = 20_000.0
        for _ in range(14):
            sent, got, lost = offer(tunnel, sizes, rate, seconds)
            most = max(most, got)
            if lost < tolerated and sent > 0.9 * rate:
                low, best = rate, max(best, got)
            else:
                high = rate
                if sent <= 0.9 * rate and lost < tolerated:
                    best = max(best, got)  # the generator is at its end, not the tunnel
            if high is not None and high - low < 0.06 * high:
                break
            rate = rate * 2 if high is None else (low + high) / 2
        return {"packets_per_second": best, "most_delivered": most}
    finally:
        end(sink)


def round_trip(tunnel, count=100, load=False):
    """ping's median in milliseconds, idle or beside one TCP stream."""
    lab, load_process = tunnel.lab, None
    target, source = lab.sites["b"].host4, lab.sites["a"].host4
    if load:
        log = os.path.join(lab.folder, "iperf3-load.log")
        server = lab.start("b", "iperf3", "-s", "-1", "-B", target, log=log)
        wait_until("iperf3 listens", lambda: ":5201 " in lab.run("b", "ss", "-ltn"))
        load_process = lab.start("a", "iperf3", "-c", target, "-B", source, "-t", "30", log=log)
        time.sleep(1)
    try:
        text = lab.run("a", "ping", "-n", "-c", str(count), "-i", "0.02", "-W", "1", "-I", source, target, check=False)
    finally:
        if load_process:
            end(load_process)
            end(server)
    times = [float(value) for value in re.findall(r"time=([\d.]+)", text)]
    return {"median_ms": statistics.median(times) if times else None, "answered": len(times), "asked": count}
