# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Rekeying under load loses nothing; scripts/rekey does the same for minutes."""
import pytest
import rekeying

pytestmark = pytest.mark.alone  # it loads the machine
SECONDS = 5


def assert_rekeyed(figures):
    rekeys = figures["rekeys"]
    assert rekeys["children"] >= 3 and rekeys["ike_sas"] >= 1, rekeying.explain(figures)


@pytest.mark.parametrize("who", ["a", "both"])
def test_rekeying_loses_nothing(lab, program, who):
    figures = rekeying.run(lab, program, "adit", who, SECONDS, 10_000, 2_000, megabits=10, child=1, ike=2)
    assert_rekeyed(figures)
    for way, one in figures["datagrams"].items():
        assert one["lost"] == 0 and one["duplicates"] == 0, f"{way}: {one}; {rekeying.explain(figures)}"


@pytest.mark.parametrize("who", ["a", "b"])
def test_rekeying_with_strongswan_loses_nothing(lab, program, who):
    """strongSwan's own packet path may drop packets on a busy machine: what Adit was given, it passed on."""
    figures = rekeying.run(lab, program, "strongswan", who, SECONDS, 5_000, 1_000, megabits=0, child=1, ike=2)
    assert_rekeyed(figures)
    assert rekeying.lost_by_adit(figures) == {"a to b": 0, "b to a": 0}, rekeying.explain(figures)
    for way, one in figures["datagrams"].items():
        assert one["duplicates"] == 0 and one["lost"] <= one["sent"] / 1000, f"{way}: {one}; {rekeying.explain(figures)}"
