"""What a number of seeds can show, and the guide's tables of simulations."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from suite.statistics.paired_tests import holm, paired_test
from suite.statistics.power import decidable, power_text, seeds_to_decide, smallest_effect, smallest_p
from suite.statistics.simulation import interval_table, power_table

GUIDE = Path(__file__).parents[2] / "suite" / "statistics" / "README.md"


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 10])
def test_the_smallest_p_is_that_of_equal_differences(seeds: int) -> None:
    for margin in (0.0, 0.02):
        assert paired_test([np.ones(seeds)], margin)[3] == pytest.approx(smallest_p(seeds))


def test_three_seeds_decide_nothing_and_five_decide_six_pairs() -> None:
    """The skill is 1 against 0 on every seed of one task."""
    assert [decidable(seeds) for seeds in (2, 3, 4, 5)] == [0, 0, 1, 6]
    for seeds in (3, 5, 6):
        for pairs in (1, 6, 7, 25, 26):
            adjusted = holm([paired_test([np.ones(seeds)], 0.02)[3]] * pairs)
            assert (adjusted.max() < 0.05) == (pairs <= decidable(seeds))
    assert seeds_to_decide(1) == 4
    assert seeds_to_decide(7) == 6


@pytest.mark.parametrize(("seeds", "pairs"), [(4, 1), (6, 6), (10, 36)])
def test_the_smallest_effect_is_where_significance_begins(seeds: int, pairs: int) -> None:
    shape = np.linspace(-1, 1, seeds)
    shape /= shape.std(ddof=1)
    for factor, found in ((0.999, False), (1.001, True)):
        differences = 0.02 + 0.1 * (factor * smallest_effect(seeds, pairs) + shape)
        assert (paired_test([differences], 0.02)[3] * pairs < 0.05) == found


def test_what_seeds_can_show_is_a_sentence() -> None:
    assert power_text(3, 36, 0.02) == (
        "On a single task, 3 seeds cannot decide 36 comparisons, however large a difference is: take 7 seeds or more."
    )
    assert "10 seeds show a difference once it exceeds 0.02 by 1.6 standard deviations" in power_text(10, 36, 0.02)
    assert power_text(10, 0, 0.02) == ""
    assert math.isinf(smallest_effect(1, 1))


def cells(lines: list[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_guide_s_tables_are_those_of_the_simulation() -> None:
    """With a tenth of the repetitions, every figure lies within what these can tell (five standard errors)."""
    guide = GUIDE.read_text(encoding="utf-8").splitlines()
    for table, repetitions in ((interval_table(400), 100), (power_table(400), 400)):
        start = guide.index(table[0])
        for shown, again in zip(cells(guide[start : start + len(table)])[2:], cells(table)[2:], strict=True):
            for before, after in zip(shown, again, strict=True):
                if before == after:
                    continue
                if not after or not before:  # no mean of so few shows one mode only
                    continue
                one, other = float(before), float(after)
                allowed = 5 * math.sqrt(0.25 / repetitions) if max(one, other) <= 1 else 0.1 * one
                assert abs(one - other) <= allowed, (shown, again)


def test_what_the_intervals_and_the_test_promise_holds_in_the_guide_s_tables() -> None:
    guide = GUIDE.read_text(encoding="utf-8").splitlines()
    intervals, power = (
        cells(guide[start : start + length])
        for start, length in (
            (next(i for i, line in enumerate(guide) if line.startswith(f"| {first} ")), rows)
            for first, rows in (("steady,", 15), ("5", 8))
        )
    )
    for name, covers, both, unseen, width, guaranteed, _ in intervals:
        if "very" not in name:
            near_a_third = name.startswith(("34%", "66%"))
            assert float(both or covers) >= (0.89 if near_a_third else 0.93), name
        assert float(width) <= 1.5, name
        assert float(guaranteed) >= 0.93, name
        assert not unseen or float(unseen) < 0.05  # it cannot know of a mode that no seed has shown
    *_, steady_width, _, guaranteed_width = intervals[0]
    times = "where skills are steady, it is {:.0f} times as wide as"
    assert times.format(float(guaranteed_width) / float(steady_width)) in " ".join(guide)
    for *_, bimodal, steady, below, _, _ in power:
        assert max(map(float, (bimodal, steady, below))) <= 0.05
