# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""Measures tunnels between two network namespaces of this machine, all in one run and in alternating order."""
import argparse
import json
import os
import platform
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "Tests", "Interop")]

import measure  # noqa: E402
import report  # noqa: E402
import tunnels  # noqa: E402
from lab import Lab, LabError  # noqa: E402


def plan(seconds, only):
    """The measurements of one turn: name → function of a tunnel."""
    every = {
        "tcp": lambda t: measure.tcp(t, seconds),
        "tcp_reverse": lambda t: measure.tcp(t, seconds, reverse=True),
        "tcp_4": lambda t: measure.tcp(t, seconds, streams=4),
        "udp_1200": lambda t: measure.datagrams(t, "1200"),
        "udp_64": lambda t: measure.datagrams(t, "64"),
        "udp_imix": lambda t: measure.datagrams(t, measure.IMIX),
        "rtt_idle": measure.round_trip,
        "rtt_loaded": lambda t: measure.round_trip(t, load=True),
    }
    unknown = set(only) - set(every)
    if unknown:
        sys.exit(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    return {name: every[name] for name in every if not only or name in only}


def turn(kind, measurements, results, versions):
    """One tunnel, opened, measured and closed."""
    with Lab() as lab:
        tunnel, first = tunnels.open_tunnel(kind, lab)
        versions[kind.name] = tunnel.version
        mine = results.setdefault(kind.name, {})
        mine.setdefault("first_packet", []).append({"seconds": first})
        for name, function in measurements.items():
            print(f"  {name} …", end="", flush=True, file=sys.stderr)
            figures = function(tunnel)
            shown = ", ".join(f"{key} {value:.4g}" for key, value in figures.items() if isinstance(value, (int, float)))
            print(f"\r  {name}: {shown}", file=sys.stderr, flush=True)
            mine.setdefault(name, []).append(figures)
        if tunnel.processes():
            mine.setdefault("memory", []).append({"resident_bytes": measure.resident_bytes(tunnel)})


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}, {time.strftime('%Y-%m-%d')}"


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/perf", description=__doc__)
    parser.add_argument("tunnels", nargs="*", metavar="TUNNEL",
                        help=f"which (all that are installed): {', '.join(repr(name) for name in tunnels.TUNNELS)}")
    parser.add_argument("--adit", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each tunnel, alternating (3)")
    parser.add_argument("--seconds", type=int, default=5, help="seconds of one TCP measurement (5)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only this measurement; repeatable")
    parser.add_argument("--output", default="perf", metavar="STEM", help="writes STEM.json, .md, .svg and .png (perf)")
    parser.add_argument("--compare", metavar="FILE", help="hold the run against an earlier one's JSON")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.tunnels if name not in tunnels.TUNNELS]
    if unknown:
        parser.error(f"no such tunnel: {unknown[0]!r}")
    return chosen


def main():
    chosen = arguments()
    tunnels.Adit.binary = tunnels.AditToStrongSwan.binary = os.path.abspath(chosen.adit)
    kinds = [tunnels.TUNNELS[name] for name in chosen.tunnels or tunnels.TUNNELS]
    measurements = plan(chosen.seconds, chosen.only)
    results, versions, skipped = {}, {}, {}
    for number in range(1, chosen.rounds + 1):
        for kind in [kind for kind in kinds if kind.name not in skipped]:
            print(f"round {number} of {chosen.rounds}: {kind.name}", file=sys.stderr, flush=True)
            try:
                turn(kind, measurements, results, versions)
            except tunnels.Unavailable as reason:
                skipped[kind.name] = str(reason)
                print(f"  skipped: {reason}", file=sys.stderr)
            except (LabError, AssertionError) as error:
                print(f"  failed: {error}", file=sys.stderr)
                skipped[kind.name] = f"failed: {str(error)[:300]}"
    document = {"machine": machine(), "rounds": chosen.rounds, "seconds": chosen.seconds, "versions": versions,
                "skipped": skipped, "results": results}
    with open(f"{chosen.output}.json", "w") as file:
        json.dump(document, file, indent=1)
    parts = [report.table(document), report.ratios(document)]
    if chosen.compare:
        with open(chosen.compare) as file:
            parts.append(report.comparison(document, json.load(file)))
    text = "\n\n".join(part for part in parts if part)
    text += f"\n\n{document['machine']}; medians of {chosen.rounds} alternating rounds (least–most).\n"
    text += "".join(f"Not measured: {name}: {reason}.\n" for name, reason in skipped.items())
    with open(f"{chosen.output}.md", "w") as file:
        file.write(text)
    import chart  # it needs matplotlib, which nothing else does
    chart.draw(document, chosen.output)
    print(text)


if __name__ == "__main__":
    main()
