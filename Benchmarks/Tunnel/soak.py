# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""Churn for a chosen time: gateways that connect, rekey, roam, are killed, restarted and reloaded, and what is left of it.

A star: two hubs, and gateways at their edge, each in a namespace of its own. The first hub and one gateway of each hub
(the residents) are never restarted: what they keep at the end is what churn leaks.
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "Tests", "Interop")]

from lab import LabError, remove_leftovers, sh, wait_until  # noqa: E402
from star import Edge, Hub, Star  # noqa: E402

# A process may grow by so much after the first fifth of the run.
GROWTH_BYTES = 3 << 20
# How long traffic may be away after each kind of event, in seconds.
PATIENCE = {"reconnect": 5, "rekey child": 0, "rekey ike": 0, "hub rekeys": 0, "rebind": 5, "move": 10,
            "hub moves": 10, "kill": 10, "restart": 10, "reload": 10, "hub kill": 20, "hub restart": 20, "hub reload": 10}
PINGS = 10
RESIDENTS = 1


class Soak:
    """One run."""

    def __init__(self, star, hubs, edges, seed, only=()):
        self.star, self.hubs, self.edges = star, hubs, edges
        self.random, self.only = random.Random(seed), list(only)
        self.counts, self.outages, self.problems, self.samples = {}, {}, [], []
        self.began = time.monotonic()

    # What can happen. Each gives the edges whose traffic has to be back.

    def reconnect(self):
        edge = self.any_edge()
        edge.command("down", "hub")
        edge.command("up", "hub")
        return [edge]

    def rekey_child(self):
        return self.rekey(self.any_edge(), "rekey", "hub")

    def rekey_ike(self):
        return self.rekey(self.any_edge(), "rekey", "hub", "--ike")

    def hub_rekeys(self):
        edge = self.any_edge()
        return self.rekey(edge, "rekey", edge.name, *self.random.choice([[], ["--ike"]]), at=edge.hub)

    def rekey(self, edge, *words, at=None):
        """A rekey under pings, none of which may be lost."""
        pings = edge.pings(PINGS)
        done = (at or edge).command(*words)
        if done.returncode != 0:
            self.complain(f"{(at or edge).name}: adit {' '.join(words)}: {(done.stdout + done.stderr).strip()[-300:]}")
        received = pings()
        if received != PINGS:
            self.complain(f"{edge.name}: {PINGS - received} of {PINGS} pings lost by {' '.join(words)}")
        return [edge]

    def rebind(self):
        edge = self.any_edge()
        edge.rebind(self.random.randrange(20_000, 60_000))
        return [edge]

    def move(self):
        edge = self.any_edge()
        edge.move()
        return [edge]

    def hub_moves(self):
        """There and back: an edge that starts anew looks for the hub at its first address."""
        edge = self.any_edge()
        edge.move_hub()
        began = time.monotonic()
        while not edge.reaches_hub():
            if time.monotonic() - began > PATIENCE["hub moves"]:
                self.complain(f"{edge.name} has not followed its hub: {edge.summary()}")
                break
        edge.move_hub()
        return [edge]

    def kill(self):
        edge = self.mortal_edge()
        edge.kill()
        edge.start()
        return [edge]

    def restart(self):
        edge = self.mortal_edge()
        edge.stop()
        edge.start()
        return [edge]

    def change(self):
        """A key that leaves all SAs as they are, one that is the child's alone, or one that needs a new IKE SA."""
        return self.random.choice([{"dpd_delay": f"{self.random.choice([4, 5])}s"},
                                   {"esn": self.random.choice([False, True])},
                                   {"fragmentation": self.random.choice([False, True])}])

    def reload(self):
        edge = self.any_edge()
        edge.configure(**self.change())
        edge.command("reload")
        return [edge]

    def hub_reload(self):
        hub = self.random.choice(self.hubs)
        hub.configure(only=self.random.choice(hub.edges).name, **self.change())
        hub.command("reload")
        return hub.edges

    def hub_kill(self):
        hub = self.hubs[-1]
        hub.kill()
        hub.start()
        return hub.edges

    def hub_restart(self):
        hub = self.hubs[-1]
        hub.stop()
        hub.start()
        return hub.edges

    def any_edge(self):
        return self.random.choice(self.edges)

    def mortal_edge(self):
        return self.random.choice([edge for edge in self.edges if not edge.resident])

    EVENTS = {"reconnect": (reconnect, 4), "rekey child": (rekey_child, 6), "rekey ike": (rekey_ike, 5),
              "hub rekeys": (hub_rekeys, 5), "rebind": (rebind, 4), "move": (move, 4),
              "hub moves": (hub_moves, 3), "kill": (kill, 4), "restart": (restart, 4), "reload": (reload, 3),
              "hub reload": (hub_reload, 2), "hub kill": (hub_kill, 1), "hub restart": (hub_restart, 1)}

    def complain(self, text):
        self.problems.append(f"{time.monotonic() - self.began:.0f} s: {text}")
        print(f"\n  FAIL {self.problems[-1]}", file=sys.stderr, flush=True)

    def step(self):
        """One event, and the wait until traffic is back."""
        names = self.only or list(self.EVENTS)
        name = self.random.choices(names, [self.EVENTS[each][1] for each in names])[0]
        began = time.monotonic()
        waiting = self.EVENTS[name][0](self)
        self.counts[name] = self.counts.get(name, 0) + 1
        waiting = list(waiting)
        while waiting:
            waiting = [edge for edge in waiting if not edge.reaches_hub()]
            passed = time.monotonic() - began
            if waiting and passed > PATIENCE[name] + 5:
                for edge in waiting:
                    self.complain(f"{edge.name} is without traffic {passed:.0f} s after {name}: {edge.summary()}")
                break
        outage = time.monotonic() - began
        worst = self.outages.get(name, 0)
        self.outages[name] = max(worst, outage)

    def run(self, seconds, pause):
        """Events until the time is over."""
        sampled = 0
        while (passed := time.monotonic() - self.began) < seconds:
            if passed - sampled >= min(10, seconds / 20):
                sampled = passed
                self.sample(passed)
                total = sum(self.counts.values())
                shown = max(self.samples[-1]["processes"].values(), key=lambda one: one["resident_bytes"])
                print(f"\r  {passed:5.0f} of {seconds} s, {total} events, {len(self.problems)} problems, largest RSS "
                      f"{shown['resident_bytes'] / 2**20:.1f} MiB ", end="", file=sys.stderr, flush=True)
            self.step()
            time.sleep(self.random.expovariate(1 / pause) if pause else 0)
        print(file=sys.stderr)

    def sample(self, second):
        processes = {}
        for gateway in self.hubs + self.edges:
            if not gateway.alive():
                self.complain(f"{gateway.name} has ended by itself: {gateway.log_tail()}")
                gateway.start()
            processes[gateway.name] = gateway.usage()
        self.samples.append({"second": round(second, 1), "processes": processes})

    def finish(self):
        """Everything calms down; then each side must know of one SA for each edge, and of none after `down`."""
        wait_for_calm(self, lambda: all(hub.is_calm(len(hub.edges)) for hub in self.hubs)
                      and all(edge.is_calm(1) for edge in self.edges), "one IKE SA and one child each", 75)
        self.sample(time.monotonic() - self.began)
        for edge in self.edges:
            if not edge.mirrors_hub():
                self.complain(f"{edge.name} and its hub do not have the same SAs: {edge.summary()}")
            if not edge.reaches_hub():
                self.complain(f"{edge.name} has no traffic at the end")
        for hub in self.hubs:
            routes = hub.routes()
            if routes != len(hub.edges):
                self.complain(f"{hub.name} has {routes} routes for {len(hub.edges)} edges")
        for edge in self.edges:
            edge.command("down", "hub")
        wait_for_calm(self, lambda: all(gateway.is_calm(0) for gateway in self.hubs + self.edges), "no SA", 75)
        self.sample(time.monotonic() - self.began)
        self.judge_growth()
        for gateway in self.edges + self.hubs:
            status, seconds = gateway.stop()
            if status != 0 or seconds > 2.5:
                self.complain(f"{gateway.name} ended with {status} after {seconds:.1f} s")

    def judge_growth(self):
        """Residents, from the end of the first fifth on."""
        last = self.samples[-1]["processes"]
        for gateway in self.hubs + self.edges:
            own = [sample["processes"][gateway.name] for sample in self.samples
                   if sample["processes"][gateway.name]["pid"] == last[gateway.name]["pid"]]
            first = own[len(own) // 5]
            if gateway.resident and first is not own[-1]:
                growth = own[-1]["resident_bytes"] - first["resident_bytes"]
                if growth > GROWTH_BYTES:
                    self.complain(f"{gateway.name} grew by {growth / 2**20:.1f} MiB")
            for kind in ("descriptors", "threads"):
                if own[-1][kind] > own[0][kind]:
                    self.complain(f"{gateway.name} has {own[-1][kind]} {kind}, {own[0][kind]} at first")


def wait_for_calm(soak, condition, what, seconds):
    try:
        wait_until(what, condition, seconds=seconds, pause=0.5)
    except LabError:
        for gateway in soak.hubs + soak.edges:
            soak.complain(f"not within {seconds} s: {what}; {gateway.name}: {gateway.summary()}")


def summary(soak, chosen, version):
    """Everything, for JSON."""
    last = soak.samples[-1]["processes"] if soak.samples else {}
    return {"version": version, "seconds": chosen.seconds, "gateways": chosen.gateways, "seed": chosen.seed,
            "events": soak.counts, "longest_until_traffic_seconds": {k: round(v, 2) for k, v in soak.outages.items()},
            "problems": soak.problems, "first": soak.samples[0]["processes"] if soak.samples else {}, "last": last,
            "samples": soak.samples}


def page(result):
    """The same for a person."""
    lines = [f"{sum(result['events'].values())} events in {result['seconds']} s among {result['gateways']} gateways "
             f"({result['version']}, seed {result['seed']})", "",
             "| event | times | longest until traffic was back, s |", "|---|---:|---:|"]
    for name, count in sorted(result["events"].items()):
        lines.append(f"| {name} | {count} | {result['longest_until_traffic_seconds'][name]:.2f} |")
    lines += ["", "| gateway | RSS first, MiB | last | descriptors | threads |", "|---|---:|---:|---:|---:|"]
    for name, one in result["last"].items():
        first = result["first"][name]
        note = "" if first["pid"] == one["pid"] else " (restarted)"
        lines.append(f"| {name}{note} | {first['resident_bytes'] / 2**20:.1f} | {one['resident_bytes'] / 2**20:.1f} | "
                     f"{first['descriptors']} → {one['descriptors']} | {first['threads']} → {one['threads']} |")
    lines += [""] + [f"FAIL {problem}" for problem in result["problems"]]
    lines.append("clean" if not result["problems"] else f"{len(result['problems'])} problems")
    return "\n".join(lines)


def build(star, chosen):
    """Two hubs and the edges between them, all running."""
    hubs = [Hub(star, chosen.adit, f"hub{number}", number, resident=number == 0) for number in range(2)]
    edges = []
    for number in range(chosen.gateways - 2):
        hub = hubs[number % 2]
        edges.append(Edge(star, chosen.adit, hub, number, resident=len(hub.edges) < RESIDENTS))
    for gateway in hubs + edges:
        gateway.configure()
        gateway.start()
    for edge in edges:
        wait_until(f"{edge.name} has traffic", edge.reaches_hub, seconds=20)
    return hubs, edges


def main():
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--adit", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=1800, help="how long (1800)")
    parser.add_argument("--gateways", type=int, default=10, help="how many, two hubs among them (10)")
    parser.add_argument("--pause", type=float, default=0.5, help="mean pause between events in seconds (0.5)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="repeats the order")
    parser.add_argument("--only", action="append", default=[], choices=Soak.EVENTS, help="only this event; repeatable")
    parser.add_argument("--output", metavar="FILE", help="writes every sample as JSON")
    parser.add_argument("--keep-logs", metavar="FOLDER", help="copies the gateways' logs there at the end")
    chosen = parser.parse_args()
    if not 6 <= chosen.gateways <= 200:
        parser.error("--gateways takes 6 to 200")
    chosen.adit = os.path.abspath(chosen.adit)

    def interrupted(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupted)
    remove_leftovers()
    version, soak, stopped = sh(chosen.adit, "--version").strip(), None, False
    with Star(chosen.keep_logs) as star:
        try:
            hubs, edges = build(star, chosen)
            soak = Soak(star, hubs, edges, chosen.seed, chosen.only)
            soak.sample(0)
            soak.run(chosen.seconds, chosen.pause)
            soak.finish()
        except KeyboardInterrupt:
            stopped = True
            print("\nstopped; this is what was seen until then", file=sys.stderr)
        except (LabError, subprocess.SubprocessError) as error:
            if soak is None:
                sys.exit(f"soak: {error}")
            soak.complain(f"the run itself failed: {error}")
    if soak is None:
        sys.exit(130)
    result = summary(soak, chosen, version)
    print(page(result))
    if chosen.output:
        with open(chosen.output, "w") as file:
            json.dump(result, file)
            file.write("\n")
    sys.exit(130 if stopped else 1 if result["problems"] else 0)


if __name__ == "__main__":
    main()
