# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""Minutes of TCP in both directions at once through one Adit tunnel: no stall, no growth, no drop without a reason."""
import argparse
import json
import os
import re
import signal
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "Tests", "Interop")]

import measure  # noqa: E402
import tunnels  # noqa: E402
from lab import Lab, remove_leftovers  # noqa: E402

# A second with less than this share of the median second is a stall.
STALL_SHARE = 0.05
# The daemons may grow by so much after the first fifth of the run.
GROWTH_BYTES = 2 << 20
# Packets that a queue which was full for a moment may drop, as a share of all.
QUEUE_SHARE = 1e-4
QUEUE_REASONS = {"device_full", "send_failed"}


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def watch(tunnel, streams, seconds):
    """Samples the daemons once a second while the streams run."""
    samples, began = [], time.monotonic()
    while any(stream.client.poll() is None for stream in streams):
        passed = time.monotonic() - began
        if passed > seconds + 30:
            break
        samples.append({"second": round(passed, 1), "resident_bytes": [resident(pid) for pid in tunnel.processes()],
                        "descriptors": [descriptors(pid) for pid in tunnel.processes()]})
        shown = ", ".join(f"{size / 2**20:.1f}" for size in samples[-1]["resident_bytes"])
        print(f"\r  {passed:4.0f} of {seconds} s, RSS {shown} MiB", end="", file=sys.stderr, flush=True)
        time.sleep(1)
    print(file=sys.stderr)
    return samples


def rates(report):
    """Bits in every whole second."""
    return [entry["sum"]["bits_per_second"] for entry in report["intervals"] if entry["sum"]["seconds"] > 0.5]


def problems(result):
    """Everything that is not as it should be, in words."""
    found = []
    for direction, seconds in result["bits_per_second"].items():
        floor = statistics.median(seconds) * STALL_SHARE
        stalls = [number for number, rate in enumerate(seconds) if rate < floor]
        if stalls:
            found.append(f"{direction}: {len(stalls)} stalled seconds: {stalls[:10]}")
    samples = result["samples"]
    for index in (0, 1):
        sizes = [sample["resident_bytes"][index] for sample in samples]
        growth = max(sizes[-max(len(sizes) // 10, 1):]) - max(sizes[:max(len(sizes) // 5, 1)])
        if growth > GROWTH_BYTES:
            found.append(f"daemon {'ab'[index]} grew by {growth / 2**20:.1f} MiB")
        if samples[-1]["descriptors"][index] > samples[0]["descriptors"][index]:
            found.append(f"daemon {'ab'[index]} has more descriptors than at the beginning")
    for side, drops in result["drops"].items():
        for reason, count in drops.items():
            if count > (result["packets"] * QUEUE_SHARE if reason in QUEUE_REASONS else 0):
                found.append(f"side {side} dropped {count} packets: {reason}")
    return found


def run(kind, seconds):
    with Lab() as lab:
        tunnel, _ = tunnels.open_tunnel(kind, lab)
        before = tunnel.drops()
        streams = [measure.Stream(tunnel, seconds, port=5201, options=["-i", "1"]),
                   measure.Stream(tunnel, seconds, reverse=True, port=5202, options=["-i", "1"])]
        samples = watch(tunnel, streams, seconds)
        reports = [stream.result() for stream in streams]
        after = tunnel.drops()
        children = [gateway.child() for gateway in tunnel.gateways]
        drops = {side: {reason: count - before[side].get(reason, 0) for reason, count in after[side].items()
                        if count != before[side].get(reason, 0)} for side in after}
        return {"version": tunnel.version, "seconds": seconds, "samples": samples, "drops": drops,
                "packets": sum(child["packets_in"] + child["packets_out"] for child in children),
                "retransmits": [report["end"]["sum_sent"].get("retransmits", 0) for report in reports],
                "bits_per_second": {"a to b": rates(reports[0]), "b to a": rates(reports[1])}}


def main():
    parser = argparse.ArgumentParser(prog="scripts/endure", description=__doc__)
    parser.add_argument("--adit", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=600, help="how long (600)")
    parser.add_argument("--workers", type=int, choices=(1, 2), default=1, help="packet threads of each gateway (1)")
    parser.add_argument("--output", metavar="FILE", help="writes every second's figures as JSON")
    chosen = parser.parse_args()

    def interrupted(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupted)
    tunnels.Adit.binary = os.path.abspath(chosen.adit)
    remove_leftovers()
    try:
        result = run(tunnels.Adit if chosen.workers == 1 else tunnels.AditTwoWorkers, chosen.seconds)
    except KeyboardInterrupt:
        sys.exit(130)
    for direction, seconds in result["bits_per_second"].items():
        print(f"{direction}: {statistics.median(seconds) / 1e9:.2f} Gbit/s "
              f"(a second at least {min(seconds) / 1e9:.2f}, at most {max(seconds) / 1e9:.2f}), {len(seconds)} s")
    sizes = [[sample["resident_bytes"][index] / 2**20 for sample in result["samples"]] for index in (0, 1)]
    print(f"RSS: first {sizes[0][0]:.1f} and {sizes[1][0]:.1f} MiB, last {sizes[0][-1]:.1f} and {sizes[1][-1]:.1f}, "
          f"most {max(sizes[0]):.1f} and {max(sizes[1]):.1f}")
    print(f"ESP packets sealed and opened: {result['packets']}; drops: {result['drops']}")
    if chosen.output:
        with open(chosen.output, "w") as file:
            json.dump(result, file)
            file.write("\n")
    found = problems(result)
    for problem in found:
        print(f"FAIL {problem}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
