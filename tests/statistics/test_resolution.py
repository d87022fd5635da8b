"""What the seeds of a leaderboard can tell apart."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from suite.statistics.paired_tests import MARGIN, compare, holm
from suite.statistics.resolution import MOST_SEEDS, _smallest, resolution
from suite.statistics.student import mean_test

SPREAD = 0.05
"""The standard deviation of the made-up skills over seeds."""


def table(skills: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return runs with the skills ``[tasks, seeds]`` of each architecture."""
    return pd.DataFrame(
        [
            {"architecture": name, "task": f"task{k}", "seed": seed, "skill": float(skill)}
            for name, values in skills.items()
            for k, of_task in enumerate(values)
            for seed, skill in enumerate(of_task)
        ]
    ).assign(solved=False, steps_to_solve=np.nan, steps_budget=100)


def drawn(rng: np.random.Generator, means: dict[str, float], seeds: int, tasks: int = 1) -> pd.DataFrame:
    return table({name: mean + SPREAD * rng.standard_normal((tasks, seeds)) for name, mean in means.items()})


FOUND = {
    "two equal": ([0.5, 0.5], 20, 3),
    "three equal": ([0.5, 0.5, 0.5], 10, 3),
    "two equal and seven clear": ([0.0, 0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 10, 3),
    "three groups of three": ([0.2, 0.2, 0.2, 0.5, 0.5, 0.5, 0.8, 0.8, 0.8], 10, 1),
}
"""Means of leaderboards, of which the first two are equal, with the number of seeds and of tasks."""
NAMED, AGAIN = 60, 60
"""So many leaderboards name a difference, and each of them is tried so often."""


@pytest.mark.parametrize("case", FOUND)
def test_a_difference_of_that_size_is_found_in_four_of_five_leaderboards(case: str) -> None:
    """Each leaderboard names a difference. It is planted between the first two, which are tested on fresh seeds."""
    means, seeds, tasks = FOUND[case]
    rng = np.random.default_rng(0)
    names = "abcdefghi"[: len(means)]
    boards = [resolution(drawn(rng, dict(zip(names, means, strict=True)), seeds, tasks)) for _ in range(NAMED)]
    planted = np.repeat([board.smallest for board in boards if board is not None], AGAIN)
    assert len(planted) == NAMED * AGAIN
    skills = np.array(means)[:, None, None] + SPREAD * rng.standard_normal((len(planted), len(means), tasks, seeds))
    skills[:, 0] += planted[:, None, None]
    first, second = np.array(list(combinations(range(len(means)), 2))).T
    differences = skills[:, first] - skills[:, second]  # [boards, pairs, tasks, seeds]
    squares = seeds * differences.var(axis=3)
    found = mean_test(np.full(squares.shape, float(seeds)), differences.mean(axis=3), squares, MARGIN)
    decided = np.array([holm(p)[0] < 0.05 for p in found.p]) & (found.difference[:, 0] > 0)
    shares = decided.reshape(NAMED, AGAIN).mean(axis=1)
    assert shares.std() / math.sqrt(NAMED) < 0.015, "the share is known to 1.5 %"
    assert 0.75 < shares.mean() < 0.85


def test_the_seeds_that_would_decide_do_decide_mostly() -> None:
    rng = np.random.default_rng(1)
    means = {"a": 0.56, "b": 0.5}
    needed = []
    for _ in range(30):
        found = resolution(drawn(rng, means, 5))
        assert found is not None
        needed += [pair.seeds for pair in found.open_pairs if pair.outcome == "above" and pair.seeds]
    seeds = int(np.median(needed))
    assert seeds > 5
    decided = np.mean([compare(drawn(rng, means, seeds))["verdict"][0] == "above" for _ in range(100)])
    assert decided > 0.5  # They are estimated from five seeds.


def test_neighbours_alone_are_named_and_equal_ones_would_be_tied() -> None:
    alternating = 0.03 * (-1.0) ** np.arange(10)
    found = resolution(table({"a": np.full((1, 10), 0.9), "b": 0.5 + alternating[None], "c": np.full((1, 10), 0.5)}))
    assert found is not None
    (pair,) = found.open_pairs
    assert (pair.first, pair.second, pair.outcome) == ("b", "c", "tied")
    assert pair.seeds is not None
    assert 10 < pair.seeds < MOST_SEEDS
    assert found.seeds == 10


def test_nothing_can_be_found_with_too_few_seeds() -> None:
    rng = np.random.default_rng(2)
    assert resolution(drawn(rng, {"a": 0.5, "b": 0.6}, 1)) is None
    assert resolution(drawn(rng, {"a": 0.5}, 5)) is None
    found = resolution(drawn(rng, {"a": 0.5, "b": 0.6}, 2))
    assert found is not None
    assert math.isinf(found.smallest)


def test_the_level_is_that_at_which_holm_s_method_ended() -> None:
    """Two of nine are alike, and the others are clear, so they are told apart as if they were two alone."""
    rng = np.random.default_rng(3)
    means = {"a": 0.1, "b": 0.1, **{name: 0.3 + 0.2 * i for i, name in enumerate("cd")}}
    four, two = (
        [resolution(drawn(rng, chosen, 20, 3)) for _ in range(10)]
        for chosen in (means, {name: means[name] for name in "ab"})
    )
    sizes = [float(np.median([each.smallest for each in found if each is not None])) for found in (four, two)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_a_difference_above_one_is_none() -> None:
    """With five seeds, 1 − c² q² is 0.04 for seven pairs, and the size would be many standard errors."""
    assert math.isinf(_smallest(0.1, 4.0, 5, 1, 6))
    assert _smallest(0.001, 4.0, 5, 1, 6) < 1
    assert math.isinf(_smallest(1e-9, 4.0, 5, 1, 7))
