# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""First messages from made-up addresses disturb nobody; scripts/flood does the same with 50,000 in 20 s."""
import flooding
import pytest

pytestmark = pytest.mark.alone  # it loads the machine


def test_a_flood_of_first_messages(program):
    with flooding.FloodLab() as lab:
        figures = flooding.run(lab, program, count=10_000, seconds=4, rate=1_000)
    assert flooding.problems(figures) == [], figures
