# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""Figures as medians with their spread, as a Markdown table, and held against an earlier run."""
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


def cell(found, scale, digits):
    """`median (least–most)`."""
    if not found:
        return "–"
    scaled = [value * scale for value in found]
    text = f"{statistics.median(scaled):.{digits}f}"
    return text if len(scaled) == 1 else f"{text} ({min(scaled):.{digits}f}–{max(scaled):.{digits}f})"


def table(document):
    """The whole run as Markdown."""
    names = list(document["results"])
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for measurement, field, title, scale, digits, _ in ROWS:
        cells = [cell(values(document["results"], name, measurement, field), scale, digits) for name in names]
        for index, name in enumerate(names):
            limited = values(document["results"], name, measurement, "generator_limited")
            if field == "packets_per_second" and any(limited):
                cells[index] = "≥ " + cells[index]  # the generator could send no faster
        if any(text != "–" for text in cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(document, earlier=None):
    """The whole report."""
    parts = [table(document), ratios(document)]
    if earlier:
        parts.append(comparison(document, earlier))
    text = "\n\n".join(part for part in parts if part)
    loads = document.get("load_average") or [0]
    text += (f"\n\n{document['machine']}; medians of {document['rounds']} alternating rounds (least–most), TCP for "
             f"{document['seconds']} s each; load average at the start of the turns {min(loads):.1f}–{max(loads):.1f}.\n")
    text += "".join(f"- {name}: {version}\n" for name, version in document["versions"].items())
    return text + "".join(f"- Not measured: {name}: {reason}\n" for name, reason in document["skipped"].items())


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
            cells.append(f"{mine / theirs:.2f}" if mine and theirs else "–")
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
