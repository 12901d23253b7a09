# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""What scripts/perf sends and says: datagrams like the kernel's, no target met by a ratio of two lower bounds, and nothing
left out in silence."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Benchmarks", "Tunnel"))

import load  # noqa: E402
import report  # noqa: E402

TITLE = "UDP 64 B ÷ C prototype"


def document(adit, prototype, **more):
    def runs(rates):
        return {"udp_64": [{"packets_per_second": rate, "generator_limited": limited} for rate, limited in rates]}
    return {"machine": "one", "rounds": 2, "seconds": 5, "versions": {}, "skipped": {},
            "results": {"Adit": runs(adit), "C prototype": runs(prototype)}, **more}


def target(adit, prototype):
    """The value and the verdict of the one target that such a run can tell of."""
    line, = [line for line in report.targets(document(adit, prototype)).splitlines() if TITLE in line]
    return tuple(cell.strip() for cell in line.split("|")[3:5])


def test_a_generator_at_its_limit_meets_no_target():
    free, full = [(400, False), (400, False)], [(400, False), (400, True)]
    assert target(free, free) == ("1.00", "met")
    assert target(full, free) == ("≥ 1.00", "met")
    assert target(free, full) == ("≤ 1.00", "generator-limited")
    assert target(full, full) == ("? 1.00", "generator-limited")
    slow = [(100, False), (100, False)]
    assert target(slow, free) == ("0.25", "**not met**")
    assert target(slow, full) == ("≤ 0.25", "**not met**")
    assert target([(100, True)], free) == ("≥ 0.25", "generator-limited")


def test_ratios_say_what_they_are():
    text = report.ratios(document([(400, True)], [(200, False)]))
    assert "| ≥ 2.00 |" in text


def test_the_page_tells_how_it_was_made_and_what_is_missing():
    rates = [(400, False)]
    text = report.page(document(rates, rates, command="scripts/perf --rounds 2", left_out=["OpenVPN"], is_whole=False))
    assert "`scripts/perf --rounds 2`" in text and "OpenVPN" in text and "Interrupted" in text
    assert "Interrupted" not in report.page(document(rates, rates))


def test_datagrams_are_those_of_the_kernel():
    # Read from a TUN device (virtio header, IPv4, UDP) to which a UDP socket had sent 64 zeros.
    sent = bytes.fromhex("01000000000014000600" "4500005cacce40004011791f0a4d00010a4d0009" "99db1389004814fd")
    assert load.head(("10.77.0.1", 0x99db), ("10.77.0.9", 5001), 64, 0xacce) == sent
