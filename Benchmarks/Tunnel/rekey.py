# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""Numbered datagrams and a TCP stream through a tunnel whose keys are replaced every few seconds: nothing may be lost."""
import argparse
import json
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "Tests", "Interop")]

import rekeying  # noqa: E402
from lab import Lab, LabError, remove_leftovers  # noqa: E402

WHO = {"a": "Adit (a) rekeys", "b": "the other side (b) rekeys", "both": "both rekey", "": "control: nobody rekeys"}


def problems(figures, control):
    """What is not as it should be, in words."""
    found = []
    for way, one in figures["datagrams"].items():
        allowed = control["datagrams"][way]["lost"] if control else 0
        if one["lost"] > allowed:
            beside = f", {allowed} in the run without rekeying" if control else ""
            found.append(f"{way}: {one['lost']} of {one['sent']} lost{beside}; numbers {one['missing'][:20]}")
        if one["duplicates"]:
            found.append(f"{way}: {one['duplicates']} came twice")
    if figures["who"]:
        wanted = {"children": figures["seconds"] / figures["child"], "ike_sas": figures["seconds"] / figures["ike"]}
        for kind, number in wanted.items():
            if figures["rekeys"][kind] < int(number * 0.8):
                found.append(f"only {figures['rekeys'][kind]} rekeys of {kind}, {number:.0f} were due")
    if figures["tcp"] and figures["tcp"]["slowest_second"] == 0:
        found.append("the TCP stream stood still for a second")
    return found


def measure(chosen, peer):
    """All runs with one peer; gives their figures."""
    rate = chosen.rate if peer == "adit" else chosen.strongswan_rate
    # strongSwan's own packet path drops packets on a busy machine: its control run tells how many.
    runs, control = [], None
    for who in ([""] if peer != "adit" else []) + chosen.who:
        print(f"{peer}: {WHO[who]}, {chosen.seconds} s, {rate:.0f} datagrams/s", file=sys.stderr, flush=True)
        with Lab() as lab:
            try:
                figures = rekeying.run(lab, chosen.adit, peer, who, chosen.seconds, rate, rate * chosen.back,
                                       chosen.megabits, chosen.child, chosen.ike)
            except (LabError, AssertionError) as error:
                figures = None
                runs.append({"peer": peer, "who": who, "problems": [f"the run failed: {str(error)[-2000:]}"]})
        if figures is None:
            print(f"  FAIL {runs[-1]['problems'][0]}", flush=True)
            continue
        figures |= {"child": chosen.child, "ike": chosen.ike}
        control = figures if not who else control
        figures["problems"] = problems(figures, control if who and peer != "adit" else figures if not who else None)
        print(f"{peer}, {WHO[who]}: {rekeying.explain(figures)}", flush=True)
        for problem in figures["problems"]:
            print(f"  FAIL {problem}", flush=True)
        runs.append(figures)
    return runs


def main():
    parser = argparse.ArgumentParser(prog="scripts/rekey", description=__doc__)
    parser.add_argument("--adit", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=60, help="how long each run is (60)")
    parser.add_argument("--rate", type=float, default=20_000, help="datagrams a second from a to b (20000)")
    parser.add_argument("--strongswan-rate", type=float, default=20_000, help="the same beside strongSwan (20000)")
    parser.add_argument("--back", type=float, default=0.1, help="the share of the rate that goes from b to a (0.1)")
    parser.add_argument("--megabits", type=float, default=20, help="rate of the TCP stream, 0 for none (20)")
    parser.add_argument("--child", type=float, default=3, help="seconds between rekeys of the child (3)")
    parser.add_argument("--ike", type=float, default=7, help="seconds between rekeys of the IKE SA (7)")
    parser.add_argument("--peer", action="append", choices=("adit", "strongswan"), help="only this peer; repeatable")
    parser.add_argument("--who", action="append", choices=("a", "b", "both"), help="only this one rekeys; repeatable")
    parser.add_argument("--output", metavar="FILE", help="writes every figure as JSON")
    chosen = parser.parse_args()
    chosen.who = chosen.who or ["a", "b", "both"]

    def interrupted(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupted)
    chosen.adit = os.path.abspath(chosen.adit)
    remove_leftovers()
    runs = []
    try:
        for peer in chosen.peer or ("adit", "strongswan"):
            runs += measure(chosen, peer)
    except KeyboardInterrupt:
        sys.exit(130)
    if chosen.output:
        with open(chosen.output, "w") as file:
            json.dump(runs, file, indent=1)
            file.write("\n")
    sys.exit(1 if any(run["problems"] for run in runs) else 0)


if __name__ == "__main__":
    main()
