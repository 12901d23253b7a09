# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""Measures tunnels between two network namespaces of this machine, all in one run and in alternating order."""
import argparse
import json
import os
import platform
import shlex
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "Tests", "Interop")]

import measure  # noqa: E402
import report  # noqa: E402
import tunnels  # noqa: E402
from lab import Lab, LabError, remove_leftovers  # noqa: E402

# Measured when it is asked for by name.
OPTIONAL = {"udp_1200_runs"}
# Words of the command line that say where things are and go, each with a value.
ELSEWHERE = ("--adit", "--output", "--page", "--compare")
QUICK = ("tcp", "udp_1200", "udp_64", "rtt_idle")
# An idle round trip depends on which processors the threads happen to wake up on, and that stays so while a tunnel
# stands: it is measured in so many further openings of each tunnel in a round.
REOPENED, OPENINGS = "rtt_idle", 3


def plan(seconds, only):
    """The measurements of one turn: name → function of a tunnel and of the earlier figures of the same kind."""
    def packets(sizes, how="send"):
        def measured(tunnel, earlier):
            known = [run["packets_per_second"] for run in earlier if run["packets_per_second"]]
            return measure.datagrams(tunnel, sizes, guess=known[-1] * 0.9 if known else None, how=how)
        return measured

    every = {
        "rtt_idle": lambda t, _: measure.round_trip(t),
        "tcp": lambda t, _: measure.tcp(t, seconds),
        "tcp_reverse": lambda t, _: measure.tcp(t, seconds, reverse=True),
        "tcp_4": lambda t, _: measure.tcp(t, seconds, streams=4),
        "rtt_loaded": lambda t, _: measure.round_trip(t, load=True),
        "udp_1200": packets("1200"),
        "udp_64": packets("64"),
        "udp_imix": packets(measure.IMIX),
        "udp_1200_runs": packets("1200", how="runs"),
        # Once is enough: memory grows or it does not.
        "overload": lambda t, earlier: measure.overload(t) if t.processes() and not earlier else None,
    }
    unknown = set(only) - set(every)
    if unknown:
        sys.exit(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    chosen = only or set(every) - OPTIONAL
    return {name: every[name] for name in every if name in chosen}


def turn(kind, measurements, results, versions, is_short=False):
    """One tunnel, opened, measured and closed; a short turn says nothing of memory and drops."""
    with Lab() as lab:
        tunnel, first = tunnels.open_tunnel(kind, lab)
        versions[kind.name] = tunnel.version
        mine = results.setdefault(kind.name, {})
        mine.setdefault("first_packet", []).append({"seconds": first})
        for name, function in measurements.items():
            print(f"  {name} …", end="", flush=True, file=sys.stderr)
            figures = function(tunnel, mine.get(name, []))
            if figures is None:
                print("\r", end="", file=sys.stderr)
                continue
            shown = ", ".join(f"{key} {value:.4g}" for key, value in figures.items()
                              if isinstance(value, (int, float)) and not isinstance(value, bool))
            print(f"\r  {name}: {shown}", file=sys.stderr, flush=True)
            mine.setdefault(name, []).append(figures)
        if is_short:
            return
        if hasattr(tunnel, "drops"):
            mine.setdefault("drops", []).append(tunnel.drops())
        if tunnel.processes():
            mine.setdefault("memory", []).append({"resident_bytes": measure.resident_bytes(tunnel)})


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "?")
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}, {time.strftime('%Y-%m-%d')}"


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/perf", description=__doc__)
    parser.add_argument("tunnels", nargs="*", metavar="TUNNEL",
                        help=f"which (all that are installed): {', '.join(repr(name) for name in tunnels.TUNNELS)}")
    parser.add_argument("--adit", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each tunnel, alternating (3)")
    parser.add_argument("--seconds", type=int, default=5, help="seconds of one TCP measurement (5)")
    parser.add_argument("--quick", action="store_true", help=f"one round of 2 s, of {', '.join(QUICK)} only")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only this measurement; repeatable")
    parser.add_argument("--output", default="perf", metavar="STEM", help="writes STEM.json, .md, .svg and .png (perf)")
    parser.add_argument("--page", metavar="FILE",
                        help="puts the report between the figures marks of this Markdown page")
    parser.add_argument("--compare", metavar="FILE", help="hold the run against an earlier one's JSON")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rounds, chosen.seconds, chosen.only = 1, 2, chosen.only or list(QUICK)
    unknown = [name for name in chosen.tunnels if name not in tunnels.TUNNELS]
    if unknown:
        parser.error(f"no such tunnel: {unknown[0]!r}")
    return chosen


def left_out(chosen, measurements):
    """What the command line names leave out: tunnels, and measurements but those that are always asked for by name."""
    tunnel_names = [name for name in tunnels.TUNNELS if chosen.tunnels and name not in chosen.tunnels]
    return tunnel_names + [name for name in plan(chosen.seconds, []) if name not in measurements]


def command():
    """The command line that gives this run again, but for where its output goes."""
    words, skips = [], False
    for word in sys.argv[1:]:
        name = word.split("=")[0]
        if not skips and name not in ELSEWHERE:
            words.append(word)
        skips = not skips and word in ELSEWHERE
    return shlex.join(["scripts/perf", *words])


def schedule(kinds, measurements, chosen):
    """The turns: (round, tunnel, whether it is a short one). In each round the short ones come after the whole ones."""
    turns = []
    for number in range(1, chosen.rounds + 1):
        # Every other pass goes the other way, so that no tunnel always follows the same one.
        turns += [(number, kind, False) for kind in (kinds if number % 2 else reversed(kinds))]
        for again in range(OPENINGS if REOPENED in measurements and not chosen.quick else 0):
            turns += [(number, kind, True) for kind in (kinds if (number + again) % 2 == 0 else reversed(kinds))]
    return turns


def measured(chosen):
    """All rounds; what was measured before a Ctrl-C is kept."""
    kinds = [tunnels.TUNNELS[name] for name in chosen.tunnels or tunnels.TUNNELS]
    measurements = plan(chosen.seconds, chosen.only)
    results, versions, skipped, loads, is_whole = {}, {}, {}, [], True
    began, done = time.monotonic(), 0
    turns = schedule(kinds, measurements, chosen)
    # A whole turn takes much longer than a short one.
    whole = sum(1 if is_short else 10 for _, _, is_short in turns)
    try:
        for number, kind, is_short in turns:
            if kind.name in skipped:
                continue
            left = (time.monotonic() - began) / done * (whole - done) / 60 if done > 20 else 0
            rest = f", about {left:.0f} min left" if left else ""
            print(f"round {number} of {chosen.rounds}: {kind.name}{rest}", file=sys.stderr, flush=True)
            loads.append(os.getloadavg()[0])
            try:
                chosen_ones = {REOPENED: measurements[REOPENED]} if is_short else measurements
                turn(kind, chosen_ones, results, versions, is_short)
            except tunnels.Unavailable as reason:
                skipped[kind.name] = str(reason)
                print(f"  skipped: {reason}", file=sys.stderr)
            except (LabError, AssertionError) as error:
                print(f"\n  failed: {error}", file=sys.stderr)
                skipped[kind.name] = f"failed in round {number}: {str(error).splitlines()[0][:200]}"
            done += 1 if is_short else 10
    except KeyboardInterrupt:
        print("\nstopped; this is what was measured until then", file=sys.stderr)
        is_whole = False
    return {"machine": machine(), "load_average": loads, "command": command(), "rounds": chosen.rounds,
            "seconds": chosen.seconds, "is_whole": is_whole, "versions": versions, "skipped": skipped,
            "left_out": left_out(chosen, measurements), "results": results}


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    chosen = arguments()
    signal.signal(signal.SIGTERM, interrupted)
    tunnels.Adit.binary = tunnels.AditToStrongSwan.binary = os.path.abspath(chosen.adit)
    remove_leftovers()
    document = measured(chosen)
    if not document["results"]:
        sys.exit("nothing was measured")
    with open(f"{chosen.output}.json", "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    earlier = None
    if chosen.compare:
        with open(chosen.compare) as file:
            earlier = json.load(file)
    text = report.page(document, earlier)
    with open(f"{chosen.output}.md", "w") as file:
        file.write(text)
    import chart  # it needs matplotlib, which nothing else does
    chart.draw(document, chosen.output)
    if chosen.page:
        report.insert(chosen.page, chosen.output, text)
    print(text)


if __name__ == "__main__":
    main()
