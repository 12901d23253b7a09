# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""One responder and thousands of tunnels: handshakes a second, CPU and memory of each, beside strongSwan's responder.

The initiators are simulated (Benchmarks/Initiators: Adit's IKE machine on real sockets), the same ones for every
responder. They share the machine's processors with the responder, so the rate is that of both together; the responder's
own CPU time is counted apart.
"""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "Tests", "Interop")]

import adit  # noqa: E402
import strongswan  # noqa: E402
from lab import Lab, LabError, remove_leftovers, sh  # noqa: E402

SECRET = "a secret of the benchmark"
FIRST_SOURCE, SOURCES = "192.0.2.16", 8
SWAN = f"""
connections {{
  clients {{
    version = 2
    local_addrs = 192.0.2.2
    remote_addrs = %any
    encap = yes
    unique = never
    mobike = no
    proposals = aes128gcm16-prfsha256-x25519
    rekey_time = 0
    local {{
      auth = psk
      id = hub.scale.example
    }}
    remote {{
      auth = psk
      id = *.scale.example
    }}
    children {{
      net {{
        local_ts = 10.88.0.0/16
        remote_ts = 10.64.0.0/14
        esp_proposals = aes128gcm16
        rekey_time = 0
      }}
    }}
  }}
}}
secrets {{
  ike-any {{
    secret = "{SECRET}"
  }}
}}
"""
# As ike-load measurements of strongSwan are made: no protection that slows it down, no routes, a large table.
SWAN_OPTIONS = """
  threads = 16
  dos_protection = no
  cookie_threshold = 0
  cookie_threshold_ip = 0
  block_threshold = 0
  install_routes = no
  ikesa_table_size = 16384
  ikesa_table_segments = 16
"""


def usage(pid):
    """CPU seconds and resident bytes of a process."""
    with open(f"/proc/{pid}/stat") as file:
        words = file.read().rsplit(") ", 1)[1].split()
    with open(f"/proc/{pid}/status") as file:
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"), resident


class Initiators:
    """The simulated initiators in namespace a."""

    def __init__(self, lab, program, count, parallel):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.namespace("a"), program, "192.0.2.2", FIRST_SOURCE, str(SOURCES), str(count),
             str(parallel)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lab.on_exit(self.process.kill)

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise LabError(f"the initiators ended with {self.process.wait()}")
        return json.loads(answer)


def adit_configuration(lab, count, each):
    """One connection for all, or (`each`) one for every initiator."""
    common = {"remote_addrs": "%any", "local_id": "hub.scale.example", "psk": SECRET, "local_ts": "10.88.0.0/16",
              "proposals": "aes128gcm16-prfsha256-x25519", "esp_proposals": "aes128gcm16", "dpd_delay": "10s",
              "start_action": "none"}
    if not each:
        return {"clients": {**common, "remote_ts": "10.64.0.0/14"}}
    return {f"i{number}": {**common, "remote_id": f"i{number}.scale.example",
                           "remote_ts": f"10.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"}
            for number in range(count)}


def start_adit(lab, program, count, each):
    gateway = adit.Gateway(lab, program, "b", adit_configuration(lab, count, each), workers=1)

    def launch(*prefix):
        gateway.process = lab.start("b", *prefix, program, "run", "--config", gateway.file, "--log-level", "warning",
                                    log=gateway.log)
        return gateway
    gateway.launch = launch
    return gateway.start()


def start_swan(lab):
    plugins = strongswan.PLUGINS
    try:
        strongswan.PLUGINS = plugins.replace(" openssl ", " aesni openssl ")
        swan = strongswan.StrongSwan(lab, "b", SWAN, options=SWAN_OPTIONS, levels="default = 0")
    finally:
        strongswan.PLUGINS = plugins
    return swan


def after_establishment(gateway, initiators, count, each, seconds):
    """What else has to hold with so many tunnels: status, traffic, no storm of liveness checks, rekeys spread out."""
    began = time.monotonic()
    status = gateway.status()
    took = time.monotonic() - began
    children = [child for entry in status["connections"] for child in entry["children"]]
    began = time.monotonic()
    table = gateway.command("status", timeout=60)
    figures = {"status_seconds": took, "table_seconds": time.monotonic() - began, "table_works": table.returncode == 0,
               "child_sas": status["ike"]["child_sas"], "ike_sas": status["ike"]["sas"], "listed": len(children),
               "ping": initiators.ask("ping 100")}
    due = [child["rekey_in_seconds"] for child in children if child["rekey_in_seconds"] is not None]
    if due:
        counts = {}
        for second in due:
            counts[second] = counts.get(second, 0) + 1
        figures |= {"rekeys_from": min(due), "rekeys_until": max(due), "rekeys_in_one_second": max(counts.values())}
    cpu, _ = usage(gateway.process.pid)
    served = initiators.ask(f"seconds {seconds}")["informational_and_rekeys"]
    figures["liveness_checks_each_second"] = [row[0] for row in served]
    figures["responder_cpu_share_idle"] = (usage(gateway.process.pid)[0] - cpu) / seconds
    return figures


def measure(chosen, kind):
    """One responder, all its tunnels."""
    count = chosen.tunnels if kind != "strongSwan" else chosen.strongswan_tunnels or chosen.tunnels
    with Lab() as lab:
        for number in range(SOURCES):
            lab.ip("a", f"addr add 192.0.2.{int(FIRST_SOURCE.rsplit('.', 1)[1]) + number}/24 dev eth0")
        lab.ip("b", "addr add 10.88.0.1/32 dev lo")
        each = kind == "Adit, a connection each"
        responder = start_swan(lab) if kind == "strongSwan" else start_adit(lab, chosen.adit, count, each)
        initiators = Initiators(lab, chosen.initiators, count, chosen.parallel)
        time.sleep(1)
        cpu, resident = usage(responder.process.pid)
        result = initiators.ask("connect")
        time.sleep(0.5)
        cpu_after, resident_after = usage(responder.process.pid)
        done = max(result["established"], 1)
        figures = {"kind": kind, "tunnels": count, **result, "per_second": done / max(result["seconds"], 1e-3),
                   "responder_cpu_ms_each": (cpu_after - cpu) * 1000 / done,
                   "initiator_cpu_ms_each": usage(initiators.process.pid)[0] * 1000 / done,
                   "responder_kib_each": (resident_after - resident) / 1024 / done,
                   "resident_before": resident, "resident_after": resident_after}
        if kind == "strongSwan":
            figures["child_sas"] = responder.control("--list-sas", timeout=120).count("INSTALLED")
            figures["version"] = strongswan_version()
        else:
            figures |= after_establishment(responder, initiators, count, each, chosen.watch)
            figures["version"] = sh(chosen.adit, "--version").strip()
            began = time.monotonic()
            status = responder.stop()
            figures |= {"stop_seconds": time.monotonic() - began, "stop_status": status}
        return figures


def strongswan_version():
    found = re.search(r"\d+\.\d+\.\d+", sh(strongswan.CHARON, "--version", check=False))
    return f"strongSwan {found[0]}" if found else "strongSwan"


def problems(runs):
    """What is not as it should be, in words."""
    found = []
    for one in runs:
        name, count = one["kind"], one["tunnels"]
        if one["established"] < count or one["child_sas"] < count:
            found.append(f"{name}: {one['established']} of {count} established, {one['child_sas']} children")
        if name == "strongSwan":
            continue
        if one["ping"]["answered"] < one["ping"]["sent"]:
            found.append(f"{name}: {one['ping']['answered']} of {one['ping']['sent']} tunnels carry traffic")
        if one["status_seconds"] > 3 or not one["table_works"]:
            found.append(f"{name}: status takes {one['status_seconds']:.1f} s")
        checks = one["liveness_checks_each_second"]
        # Every tunnel is asked once in 10 s; a storm is many times that at once.
        if checks and max(checks) > 5 * count / 10:
            found.append(f"{name}: {max(checks)} liveness checks in one second")
        if one.get("rekeys_in_one_second", 0) > max(count / 20, 20):
            found.append(f"{name}: {one['rekeys_in_one_second']} rekeys are due in one second")
        if one["stop_status"] != 0 or one["stop_seconds"] > 3:
            found.append(f"{name}: ended with {one['stop_status']} after {one['stop_seconds']:.1f} s")
    ours = [one for one in runs if one["kind"] == "Adit"]
    theirs = [one for one in runs if one["kind"] == "strongSwan"]
    if ours and theirs:
        rate = statistics.median(one["per_second"] for one in ours) / statistics.median(
            one["per_second"] for one in theirs)
        if rate < 2:
            found.append(f"only {rate:.2f} times strongSwan's rate")
        if statistics.median(one["responder_kib_each"] for one in ours) > statistics.median(
                one["responder_kib_each"] for one in theirs):
            found.append("more memory a tunnel than strongSwan")
    return found


def page(document):
    lines = [f"{document['machine']}; {document['parallel']} handshakes at a time; PSK, "
             "aes128gcm16-prfsha256-x25519, ESP aes128gcm16", "",
             "| responder | tunnels | a second | responder CPU, ms each | initiators' CPU, ms each | KiB each |",
             "|---|---:|---:|---:|---:|---:|"]
    for one in document["runs"]:
        lines.append(f"| {one['kind']} ({one['version']}) | {one['established']} | {one['per_second']:.0f} | "
                     f"{one['responder_cpu_ms_each']:.2f} | {one['initiator_cpu_ms_each']:.2f} | "
                     f"{one['responder_kib_each']:.1f} |")
    for one in document["runs"]:
        if one["kind"] == "strongSwan":
            continue
        checks = one["liveness_checks_each_second"]
        spread = (f", rekeys due from {one['rekeys_from']} to {one['rekeys_until']} s, at most "
                  f"{one['rekeys_in_one_second']} in one second" if "rekeys_from" in one else "")
        shown = f"liveness checks a second: {min(checks)} to {max(checks)}, " if checks else ""
        lines += ["", f"{one['kind']}, afterwards: status --json {one['status_seconds']:.2f} s, table "
                  f"{one['table_seconds']:.2f} s, {one['ping']['answered']} of {one['ping']['sent']} tunnels answer a "
                  f"ping, {shown}{one['responder_cpu_share_idle'] * 100:.1f} % of a core{spread}, "
                  f"end after {one['stop_seconds']:.1f} s"]
    lines += [""] + [f"FAIL {problem}" for problem in document["problems"]]
    return "\n".join(lines)


KINDS = ("Adit", "strongSwan", "Adit, a connection each")


def main():
    parser = argparse.ArgumentParser(prog="scripts/scale", description=__doc__)
    parser.add_argument("--adit", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--initiators", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--tunnels", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--strongswan-tunnels", type=int, help="the same for strongSwan, which slows down with them")
    parser.add_argument("--parallel", type=int, default=16, help="handshakes at a time (16)")
    parser.add_argument("--watch", type=int, default=12, help="seconds of watching the tunnels afterwards (12)")
    parser.add_argument("--only", action="append", choices=KINDS, help="only this responder; repeatable")
    parser.add_argument("--output", default="scale", metavar="STEM", help="writes STEM.json and STEM.md (scale)")
    chosen = parser.parse_args()
    chosen.adit, chosen.initiators = os.path.abspath(chosen.adit), os.path.abspath(chosen.initiators)

    def interrupted(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupted)
    remove_leftovers()
    runs, failed = [], []
    try:
        for kind in chosen.only or KINDS:
            print(f"{kind} …", file=sys.stderr, flush=True)
            try:
                runs.append(measure(chosen, kind))
            except (LabError, AssertionError, subprocess.SubprocessError) as error:
                failed.append(f"{kind}: {str(error)[-1500:]}")
    except KeyboardInterrupt:
        sys.exit(130)
    document = {"machine": f"{os.cpu_count()} cores, Linux {os.uname().release}, {time.strftime('%Y-%m-%d')}",
                "parallel": chosen.parallel, "runs": runs, "problems": problems(runs) + failed}
    text = page(document)
    with open(f"{chosen.output}.json", "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    with open(f"{chosen.output}.md", "w") as file:
        file.write(text + "\n")
    print(text)
    sys.exit(1 if document["problems"] else 0)


if __name__ == "__main__":
    main()
