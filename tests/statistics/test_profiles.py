"""Interquartile means, performance profiles, critical differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from suite.statistics.critical_differences import critical_differences, signed_rank_p
from suite.statistics.profiles import THRESHOLDS, interquartile_means, middle_mean, profiles
from suite.statistics.table import OVERALL
from tests.statistics.test_statistics import bimodal, table


def test_the_middle_mean_by_hand_and_against_scipy() -> None:
    assert middle_mean(np.array([[0.0, 1.0, 2.0, 9.0]])) == 1.5
    assert middle_mean(np.array([[0.0, 1.0, 5.0]])) == pytest.approx((0.25 * 0 + 1 + 0.25 * 5) / 1.5)
    values = np.sort(np.random.default_rng(0).random((5, 40)), axis=1)  # a multiple of four: nothing counts in part
    np.testing.assert_allclose(middle_mean(values), stats.trim_mean(values, 0.25, axis=1))


def test_the_interquartile_mean_pools_the_runs_of_all_tasks() -> None:
    skill = np.array([[[0.0, 0.1, 0.2, 0.3], [0.7, 0.8, 0.9, 1.0]]])
    rows = interquartile_means(table(skill, ["a"]), resamples=50).set_index("task")
    assert rows.loc["task0", "iqm"] == pytest.approx(0.15)
    assert rows.loc[OVERALL, "iqm"] == pytest.approx((0.2 + 0.3 + 0.7 + 0.8) / 4)


def test_intervals_of_interquartile_means_cover() -> None:
    """At least 93 % of 1,000 leaderboards with ten seeds, for scores of one mode and of two."""
    rng = np.random.default_rng(3)
    for draw in (lambda shape: rng.beta(2, 5, shape), lambda shape: bimodal(rng, np.array(0.7), shape)):
        truth = float(middle_mean(np.sort(draw((1, 1_000_000))))[0])
        rows = interquartile_means(table(draw((1000, 1, 10))), resamples=500)
        rows = rows[rows["task"] == "task0"]
        assert ((rows["iqm_low"] <= truth) & (truth <= rows["iqm_high"])).mean() >= 0.93


def test_a_profile_is_the_share_above_each_skill() -> None:
    runs = table(np.array([[[0.0, 0.5, 1.0, 1.0]], [[0.3, 0.3, 0.3, 0.3]]]), ["a", "b"])
    found = profiles(runs, resamples=200).set_index(["architecture", "threshold"])
    assert found.loc[("a", 0.0), "share"] == 0.75
    assert found.loc[("a", THRESHOLDS[26]), "share"] == 0.5
    assert found.loc[("a", 1.0), "share"] == 0.0
    assert found.loc[("b", THRESHOLDS[10]), "share"] == 1.0
    assert (found["low"] <= found["share"]).all()
    assert (found["share"] <= found["high"]).all()
    assert found.loc[("b", THRESHOLDS[10]), "low"] < 0.5  # four of four is not certainty
    whole = profiles(table(np.full((1, 2, 10), 0.5)))
    assert set(whole["task"]) == {"task0", "task1", OVERALL}
    assert profiles(runs, resamples=200).equals(profiles(runs.sample(frac=1, random_state=1), resamples=200))


def test_bands_of_profiles_cover() -> None:
    rng = np.random.default_rng(5)
    found = profiles(table(bimodal(rng, np.array(0.7), (1000, 1, 10))), resamples=500)
    here = found[np.isclose(found["threshold"], 0.5)]
    assert len(here) == 1000
    assert ((here["low"] <= 0.7) & (here["high"] >= 0.7)).mean() >= 0.93


def ranked(shift: np.ndarray, tasks: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    base = rng.uniform(0.2, 0.5, (1, tasks, 1))
    skill = np.clip(base + shift[:, None, None] + rng.normal(0, 0.01, (len(shift), tasks, 3)), 0, 1)
    runs = table(skill, [f"a{i}" for i in range(len(shift))])
    return runs.assign(table=runs["task"])


def test_critical_differences_need_ten_tasks_and_a_ladder_is_one() -> None:
    assert critical_differences(ranked(np.array([0.0, 0.1, 0.2]), tasks=9)) is None
    assert critical_differences(ranked(np.array([0.0, 0.1]))) is None
    ladder = ranked(np.array([0.0, 0.1, 0.2]))
    ladder["task"], ladder["table"] = "adding length=" + ladder["task"].str.removeprefix("task"), "adding"
    assert critical_differences(ladder) is None


def test_critical_differences_against_scipy() -> None:
    runs = ranked(np.array([0.0, 0.0, 0.2, 0.4]))
    found = critical_differences(runs)
    assert found is not None
    means = runs.groupby(["architecture", "task"])["skill"].mean().unstack("task").to_numpy()
    assert found.p == pytest.approx(stats.friedmanchisquare(*means).pvalue)
    assert found.tasks == 12
    assert list(found.ranks)[:2] == ["a3", "a2"]
    assert found.ranks["a3"] == 1.0
    assert found.cliques == [sorted(found.ranks, key=found.ranks.get)[2:]]  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "digits"), [(10, 2), (12, 1), (13, 0), (11, 8), (20, 1)])
def test_a_signed_rank_is_that_of_scipy_with_ties_and_zeros_too(size: int, digits: int) -> None:
    rng = np.random.default_rng(size)
    differences = rng.normal(0.4, 1, size).round(digits)
    if digits < 3:
        differences[:2] = 0, differences[2]
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences).pvalue, rel=1e-12)


def test_a_single_difference_shows_nothing() -> None:
    assert signed_rank_p(np.eye(12)[3]) == 1.0


def test_without_differences_all_are_one_clique() -> None:
    runs = ranked(np.zeros(4))
    runs["skill"] = 0.5
    found = critical_differences(runs)
    assert found is not None
    assert found.p == 1.0
    assert found.cliques == [["a0", "a1", "a2", "a3"]]
    assert set(found.ranks.values()) == {2.5}
