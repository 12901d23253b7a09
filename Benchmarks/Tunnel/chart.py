# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""The picture: throughput and latency of every tunnel as bars, as SVG and PNG."""
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

from report import median  # noqa: E402

PANELS = [
    ("tcp", "bits_per_second", 1e-9, "TCP, 1 stream\nGbit/s", "{:.2f}"),
    ("udp_1200", "packets_per_second", 1e-3, "UDP 1200 B, < 1 % loss\nkpps", "{:.0f}"),
    ("udp_64", "packets_per_second", 1e-3, "UDP 64 B, < 1 % loss\nkpps", "{:.0f}"),
    ("tcp", "cpu_seconds_per_gb", 1, "CPU, both ends\nseconds per GB (less is better)", "{:.1f}"),
    ("rtt_idle", "median_ms", 1, "RTT, idle\nms (less is better)", "{:.2f}"),
    ("rtt_loaded", "median_ms", 1, "RTT beside one TCP stream\nms (less is better)", "{:.2f}"),
]
SUBJECT, VARIANTS, OTHERS, INK, PALE = "#d9480f", "#ffa94d", "#adb5bd", "#343a40", "#868e96"


def colour(name):
    if name == "Adit":
        return SUBJECT
    return VARIANTS if name.startswith("Adit") else OTHERS


def draw(document, stem):
    """Writes `stem`.svg and `stem`.png; the tunnel-less ceiling is left out, it would flatten the rest."""
    names = [name for name in document["results"] if name != "no tunnel"]
    figure, axes = plt.subplots(1, len(PANELS), figsize=(2.9 * len(PANELS), 0.5 * len(names) + 1.6), sharey=True)
    for axis, (measurement, field, scale, title, form) in zip(axes, PANELS):
        bars = [(median(document["results"], name, measurement, field) or 0) * scale for name in names]
        drawn = axis.barh(range(len(names)), bars, color=[colour(name) for name in names], height=0.62)
        axis.bar_label(drawn, [form.format(bar) if bar else "–" for bar in bars], padding=3, fontsize=9, color=INK)
        axis.set_title(title, fontsize=10, color=INK, loc="left")
        axis.set_xlim(0, max(bars + [1e-9]) * 1.25)
        axis.xaxis.set_visible(False)
        for side in ("top", "right", "bottom", "left"):
            axis.spines[side].set_visible(False)
        axis.tick_params(left=False)
    axes[0].set_yticks(range(len(names)), names, fontsize=10, color=INK)
    axes[0].invert_yaxis()
    figure.text(0.01, 0.01, f"{document['machine']}; both ends, the source and the sink on the same cores; medians of "
                f"{document['rounds']} alternating rounds", fontsize=7, color=PALE)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(f"{stem}.svg")
    figure.savefig(f"{stem}.png", dpi=150)
    plt.close(figure)
