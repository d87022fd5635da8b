"""What the seeds of a leaderboard can tell apart."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from suite.statistics.paired_tests import compare
from suite.statistics.resolution import MOST_SEEDS, resolution
from suite.statistics.table import OVERALL


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
    return table({name: mean + 0.05 * rng.standard_normal((tasks, seeds)) for name, mean in means.items()})


@pytest.mark.parametrize("tasks", [1, 3])
def test_a_difference_of_that_size_is_found_in_about_four_of_five_leaderboards(tasks: int) -> None:
    rng = np.random.default_rng(0)
    equal = {"a": 0.5, "b": 0.5, "c": 0.5}
    found = [resolution(drawn(rng, equal, 10, tasks), OVERALL) for _ in range(40)]
    smallest = float(np.median([each.smallest for each in found if each is not None]))
    boards = [compare(drawn(rng, {**equal, "a": 0.5 + smallest}, 10, tasks)) for _ in range(150)]
    power = np.mean([(board["verdict"][:2] == "above").mean() for board in boards])  # a over b, a over c
    assert 0.7 < power < 0.9


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
