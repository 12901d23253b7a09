# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""A flood of first messages from made-up addresses, beside a tunnel with traffic and a new peer that comes and goes."""
import argparse
import json
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "Tests", "Interop")]

import flooding  # noqa: E402
from lab import remove_leftovers  # noqa: E402


def page(figures):
    """The figures for a person."""
    flood = figures["flood"]
    lines = [
        f"{flood['sent']} first messages from {flood['sources']} addresses in {flood['seconds']} s: "
        f"{flood['bytes_in']} bytes; answers: {flood['cookies']} cookies, {flood['other_answers']} others, "
        f"{flood['bytes_out']} bytes; {flood['amplified_sources']} sources got more than they sent",
        f"half-open IKE SAs: {figures['largest_half_open']} at most; RSS {figures['resident_before'] / 2**20:.1f} MiB "
        f"before, {figures['resident_most'] / 2**20:.1f} at most, {figures['resident_after'] / 2**20:.1f} after",
        f"handshakes of a new peer meanwhile: {len(figures['handshakes'])}, the slowest {max(figures['handshakes']):.3f} s "
        f"({figures['handshake_before']:.3f} s before)",
    ]
    for way, one in figures["datagrams"].items():
        lines.append(f"the tunnel, {way}: {one['sent']} datagrams sent, {one['lost']} lost, {one['duplicates']} doubled, "
                     f"longest gap {one['longest_gap_seconds'] * 1000:.0f} ms")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="scripts/flood", description=__doc__)
    parser.add_argument("--adit", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--messages", type=int, default=50_000, help="how many first messages (50000)")
    parser.add_argument("--seconds", type=float, default=20, help="in how long (20)")
    parser.add_argument("--rate", type=float, default=2000, help="datagrams a second through the tunnel, each way (2000)")
    parser.add_argument("--output", metavar="FILE", help="writes every figure as JSON")
    chosen = parser.parse_args()

    def interrupted(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupted)
    remove_leftovers()
    try:
        with flooding.FloodLab() as lab:
            figures = flooding.run(lab, os.path.abspath(chosen.adit), chosen.messages, chosen.seconds, chosen.rate)
    except KeyboardInterrupt:
        sys.exit(130)
    found = flooding.problems(figures)
    print(page(figures))
    for problem in found:
        print(f"FAIL {problem}")
    if chosen.output:
        with open(chosen.output, "w") as file:
            json.dump({**figures, "problems": found}, file, indent=1)
            file.write("\n")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
