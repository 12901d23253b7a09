# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""Figures as medians with their spread, as a Markdown table, and held against an earlier run."""
import os
import statistics

# key of a measurement, its field, what a person reads, scale, digits, whether more is better
ROWS = [
    ("tcp", "bits_per_second", "TCP 1 stream, Gbit/s", 1e-9, 2, True),
    ("tcp_reverse", "bits_per_second", "TCP 1 stream, reverse, Gbit/s", 1e-9, 2, True),
    ("tcp_4", "bits_per_second", "TCP 4 streams, Gbit/s", 1e-9, 2, True),
    ("udp_1200", "packets_per_second", "UDP 1200 B, kpps under 1 % loss", 1e-3, 0, True),
    ("udp_64", "packets_per_second", "UDP 64 B, kpps under 1 % loss", 1e-3, 0, True),
    ("udp_imix", "packets_per_second", "UDP IMIX, kpps under 1 % loss", 1e-3, 0, True),
    ("udp_1200_runs", "packets_per_second", "UDP 1200 B sent in runs, kpps under 1 % loss", 1e-3, 0, True),
    ("rtt_idle", "median_ms", "RTT idle, ms", 1, 3, False),
    ("rtt_loaded", "median_ms", "RTT under one TCP stream, ms", 1, 2, False),
    ("tcp", "cpu_seconds_per_gb", "CPU seconds per GB of TCP (both ends)", 1, 2, False),
    ("udp_1200", "cpu_microseconds_per_packet", "CPU µs per 1200 B datagram (both ends)", 1, 1, False),
    ("memory", "resident_bytes", "largest RSS, overload included, MiB", 1 / 2**20, 0, False),
    ("first_packet", "seconds", "start to first packet, s", 1, 2, False),
]


def values(results, tunnel, measurement, field):
    """All figures of one kind that were measured for one tunnel."""
    return [run[field] for run in results.get(tunnel, {}).get(measurement, []) if run.get(field) is not None]


def median(results, tunnel, measurement, field):
    found = values(results, tunnel, measurement, field)
    return statistics.median(found) if found else None


def limited(results, tunnel, measurement):
    """Whether in any round the generator could send no faster, so that the figure is only a lower bound."""
    return any(run.get("generator_limited") for run in results.get(tunnel, {}).get(measurement, []))


def edge(results, subject, others, measurement, field):
    """What a ratio is where the generator was the limit: "≥ " if only of the subject, "≤ " if only of the others; "? " if
    of both, which says nothing of which is faster."""
    if field != "packets_per_second":
        return ""
    mine = limited(results, subject, measurement)
    theirs = any(limited(results, other, measurement) for other in others)
    return "? " if mine and theirs else "≥ " if mine else "≤ " if theirs else ""


def cell(found, scale, digits):
    """`median (least–most)`."""
    if not found:
        return "–"
    scaled = [value * scale for value in found]
    text = f"{statistics.median(scaled):.{digits}f}"
    return text if len(scaled) == 1 else f"{text} ({min(scaled):.{digits}f}–{max(scaled):.{digits}f})"


# What is aimed at, in ratios of medians of one run: what a person reads, the measurement and its field, the others, and
# Adit's figure ÷ that of the best of them. More is better when the last word is "least", less when it is "most".
PEERS = ("strongSwan libipsec", "wireguard-go", "wireguard-go, newer", "OpenVPN")
# A packet rate at which the generator was the limit is a lower bound: see `edge`.
TARGETS = [
    ("TCP 1 stream ÷ C prototype", "tcp", "bits_per_second", ("C prototype",), 0.9, "least"),
    ("TCP 1 stream ÷ strongSwan libipsec", "tcp", "bits_per_second", ("strongSwan libipsec",), 7, "least"),
    ("TCP 1 stream ÷ wireguard-go", "tcp", "bits_per_second", ("wireguard-go",), 7, "least"),
    ("TCP 1 stream ÷ wireguard-go, newer", "tcp", "bits_per_second", ("wireguard-go, newer",), 2, "least"),
    ("UDP 1200 B ÷ C prototype", "udp_1200", "packets_per_second", ("C prototype",), 0.9, "least"),
    ("UDP 1200 B ÷ best peer", "udp_1200", "packets_per_second", PEERS, 1.5, "least"),
    ("UDP 64 B ÷ C prototype", "udp_64", "packets_per_second", ("C prototype",), 0.9, "least"),
    ("UDP 64 B ÷ best peer", "udp_64", "packets_per_second", PEERS, 1.5, "least"),
    ("RTT idle ÷ best peer", "rtt_idle", "median_ms", PEERS, 1, "most"),
    ("RTT under one TCP stream ÷ best peer", "rtt_loaded", "median_ms", PEERS, 1, "most"),
]
SENDING = ("TCP, Adit to strongSwan ÷ strongSwan libipsec", 1.3)
MEMORY = ("largest RSS with 2 workers, MiB", 64)


def targets(document):
    """Which targets the run meets, as Markdown."""
    results = document["results"]
    lines = []

    def line(title, value, limit, bound, edge=""):
        met = value >= limit if bound == "least" else value <= limit
        # A ratio of at least so much can be enough, one of at most so much too little; else the run does not tell.
        is_known = edge == "" or (edge == "≥ " and met) or (edge == "≤ " and not met)
        sign = "≥" if bound == "least" else "≤"
        verdict = "generator-limited" if not is_known else "met" if met else "**not met**"
        lines.append(f"| {title} | {sign} {limit:g} | {edge}{value:.2f} | {verdict} |")

    def ratio(title, subject, measurement, field, others, limit, bound):
        mine = median(results, subject, measurement, field)
        theirs = {other: median(results, other, measurement, field) for other in others}
        theirs = {other: found for other, found in theirs.items() if found}
        if mine and theirs:
            best = max(theirs.values()) if bound == "least" else min(theirs.values())
            line(title, mine / best, limit, bound, edge(results, subject, list(theirs), measurement, field))

    for title, measurement, field, others, limit, bound in TARGETS:
        ratio(title, "Adit", measurement, field, others, limit, bound)
    ratio(SENDING[0], "Adit to strongSwan", "tcp", "bits_per_second", ("strongSwan libipsec",), SENDING[1], "least")
    memory = median(results, "Adit, 2 workers", "memory", "resident_bytes")
    if memory:
        line(MEMORY[0], memory / 2**20, MEMORY[1], "most")
    if not lines:
        return ""
    return "\n".join(["| target | bound | measured | |", "|---|---:|---:|---|", *lines])


def table(document):
    """The whole run as Markdown."""
    names = list(document["results"])
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for measurement, field, title, scale, digits, _ in ROWS:
        cells = [cell(values(document["results"], name, measurement, field), scale, digits) for name in names]
        for index, name in enumerate(names):
            if field == "packets_per_second" and limited(document["results"], name, measurement):
                cells[index] = "≥ " + cells[index]  # the generator could send no faster
        if any(text != "–" for text in cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(document, earlier=None):
    """The whole report."""
    parts = [table(document), ratios(document), targets(document)]
    if earlier:
        parts.append(comparison(document, earlier))
    text = "\n\n".join(part for part in parts if part)
    loads = document.get("load_average") or [0]
    seconds = f", TCP for {document['seconds']} s each" if any("tcp" in kind for run in document["results"].values()
                                                            for kind in run) else ""
    openings = max((len(values(document["results"], name, "rtt_idle", "median_ms")) for name in document["results"]),
                   default=0)
    reopened = f", the idle round trip in {openings} openings of each tunnel" if openings > document["rounds"] else ""
    text += (f"\n\n{document['machine']}; medians of {document['rounds']} alternating rounds (least–most){seconds}{reopened}; "
             f"load average at the start of the turns {min(loads):.1f}–{max(loads):.1f}.\n")
    if document.get("command"):
        text += f"Made by `{document['command']}`.\n"
    if not document.get("is_whole", True):
        text += "**Interrupted: not every turn was measured.**\n"
    text += "".join(f"- {name}: {version}\n" for name, version in document["versions"].items())
    text += "".join(f"- Not measured: {name}: {reason}\n" for name, reason in document["skipped"].items())
    for what in document.get("left_out", []):
        text += f"- Left out by the command line: {what}\n"
    return text


def ratios(document, subject="Adit"):
    """The subject's medians divided by each other tunnel's."""
    results = document["results"]
    others = [name for name in results if name != subject]
    if subject not in results or not others:
        return ""
    lines = [f"| {subject} ÷ | " + " | ".join(others) + " |", "|---|" + "---:|" * len(others)]
    for measurement, field, title, *_ in ROWS:
        mine = median(results, subject, measurement, field)
        cells = []
        for other in others:
            theirs = median(results, other, measurement, field)
            cells.append(f"{edge(results, subject, [other], measurement, field)}{mine / theirs:.2f}"
                         if mine and theirs else "–")
        if any(text != "–" for text in cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def comparison(document, earlier, subject="Adit"):
    """This run against an earlier one; the ratio to the tunnel-less rate takes out part of the machine's drift."""
    lines = ["| | earlier | now | now ÷ earlier | the same, relative to no tunnel |", "|---|---:|---:|---:|---:|"]
    for measurement, field, title, scale, digits, _ in ROWS:
        now, then = (median(run["results"], subject, measurement, field) for run in (document, earlier))
        if not now or not then:
            continue
        ceilings = [median(run["results"], "no tunnel", measurement, field) for run in (document, earlier)]
        relative = f"{now / then * ceilings[1] / ceilings[0]:.2f}" if all(ceilings) else "–"
        lines.append(f"| {title} | {then * scale:.{digits}f} | {now * scale:.{digits}f} | {now / then:.2f} | {relative} |")
    return "\n".join(lines)


MARKS = ("<!-- figures: by scripts/perf --page -->", "<!-- end of figures -->")


def insert(page, stem, text):
    """Puts a report, its picture and where the raw figures are between the marks of a page."""
    with open(page) as file:
        before, found, rest = file.read().partition(MARKS[0])
    _, ended, after = rest.partition(MARKS[1])
    if not found or not ended:
        raise SystemExit(f"{page} has no line {MARKS[0]!r} with {MARKS[1]!r} after it")
    path = os.path.relpath(stem, os.path.dirname(os.path.abspath(page)))
    picture = f"![TCP throughput, packet rates, CPU and round trips of Adit and its peers]({path}.svg)"
    with open(page, "w") as file:
        raw = f"The raw figures: [{path}.json]({path}.json)."
        file.write(f"{before}{MARKS[0]}\n{picture}\n\n{text.strip()}\n\n{raw}\n{MARKS[1]}{after}")
