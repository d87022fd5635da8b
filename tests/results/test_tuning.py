"""The budget curve, and optima at an edge of the search space."""

from __future__ import annotations

from itertools import combinations
from math import inf
from typing import Any

import numpy as np
import pytest

from suite.leaderboards.leaderboard import build_leaderboard
from suite.results.record import Record
from suite.results.tuning import at_edges, budget_curves, default_and_tuned, expected_best
from suite.statistics.table import OVERALL
from tests.synthetic import made_up


def tables(trials: int = 3, **space: Any) -> dict[str, Any]:
    return {
        "tasks": {"adding": {"length": 8}, "counting": {"length": 12}},
        "architectures": {"rnn": {}, "gru": {}},
        "model": {"hidden_size": 8},
        "sweep": {
            "trials": trials,
            "space": space or {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
        },
        "evaluation": {"seeds": 10},
    }


@pytest.mark.parametrize("skills", [[0.5, 0.1, 0.7, 0.4, 0.4], [0.9, 0.1, 0.2], [0.3, 0.6]])
def test_the_expected_best_is_the_mean_over_all_draws_of_others_beside_the_default(skills: list[float]) -> None:
    default, *others = skills
    found = expected_best(np.array(skills))
    for n in range(1, len(skills) + 1):
        draws = [max(default, *draw) for draw in combinations(others, n - 1)] if n > 1 else [default]
        assert found[n - 1] == pytest.approx(np.mean(draws), abs=1e-12)
    assert (found[0], found[-1]) == (default, pytest.approx(max(skills), abs=1e-12))


def test_the_expected_best_of_many_trials_never_falls() -> None:
    skills = np.random.default_rng(0).random(2000)
    found = expected_best(skills)
    assert np.isfinite(found).all()
    assert (np.diff(found) > -1e-9).all()
    assert found[-1] == pytest.approx(skills.max(), abs=1e-9)


def test_a_budget_curve_rises_from_the_default_to_the_best_trial() -> None:
    skills = iter(np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 24)).tolist())
    record = Record.of(made_up(tables(6), lambda job: {"skill": next(skills) if job.role == "trial" else 0.5}))
    found = budget_curves(record).set_index(["architecture", "task", "trials"])
    row = next(row for row in record.rows if row.name == "gru on adding")
    tried = [outcome.metrics["validation_skill"] for _, outcome in row.trials]
    assert max(tried) > tried[0]
    for trials, skill in ((1, tried[0]), (6, max(tried))):
        assert found.loc[("gru", "adding", trials), ["expected", "low", "high"]].to_list() == pytest.approx(3 * [skill])
    assert found.loc[("gru", "adding", 3), "default"] == tried[0]
    assert found.loc[("gru", OVERALL, 2), "expected"] == pytest.approx(
        np.mean([found.loc[("gru", task, 2), "expected"] for task in ("adding", "counting")])
    )
    assert (found["low"] <= found["expected"]).all()
    assert (found["expected"] <= found["high"]).all()
    for _, curve in found.groupby(["architecture", "task"]):
        assert (curve[["expected", "low", "high"]].diff().dropna() > -1e-12).all(axis=None)
    assert default_and_tuned(row) == (tried[0], max(tried))


def test_the_interval_of_a_budget_curve_holds_most_draws_and_the_expectation() -> None:
    """One trial of a hundred is good, so that two trials hardly ever find it."""
    record = Record.of(made_up(tables(100), lambda job: {"skill": 0.9 if job.number == 7 else 0.1}))
    found = budget_curves(record).set_index(["architecture", "task", "trials"])
    rare, likely = (found.loc[("gru", "adding", trials)] for trials in (2, 60))
    assert rare["expected"] == pytest.approx(0.1 + 0.8 / 99)
    assert (rare["low"], rare["high"]) == (0.1, rare["expected"])
    assert likely["expected"] == pytest.approx(0.1 + 0.8 * 59 / 99)
    assert (likely["low"], likely["high"]) == (0.1, 0.9)


def test_without_a_search_there_is_no_budget_curve() -> None:
    plain = tables()
    del plain["sweep"]
    assert budget_curves(Record.of(made_up(plain, lambda job: {"skill": 0.5}))).empty


@pytest.mark.parametrize(
    ("space", "edge"),
    [
        ({"learning_rate": {"low": 1e-3, "high": 1.0001e-3, "log": True}}, True),  # the default is its low end
        ({"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}, False),  # in the middle of its logarithm
        ({"learning_rate": {"low": 1e-4, "high": 1e-2}}, False),  # 0.09 of the way
        ({"learning_rate": {"low": 1e-4, "high": 1.0}}, True),
        ({"clip": [0.3, 1.0]}, False),  # two values: nothing but edges
        ({"clip": [inf, 0.3, 0.5, 1.0]}, False),  # beyond 1 there is off
        ({"clip": [0.3, 0.5, 1.0]}, True),
        ({"clip": [inf, 1.0, 3.0]}, True),
        ({"clip": [inf, 0.3, 1.0, 3.0]}, False),
        ({"optimizer": ["adam", "sgd", "rmsprop"]}, False),
        ({"alpha": {"low": 0.5, "high": 0.99}}, True),
        ({"warmup": {"low": 0, "high": 50}}, False),  # it is off, and nothing is below it
        ({"weight_decay": [0.0, 0.01, 0.1]}, False),
    ],
)
def test_an_optimum_at_an_edge_is_flagged(space: dict[str, Any], edge: bool) -> None:
    record = Record.of(made_up(tables(2, **space), lambda job: {"skill": 1.0 if job.number == 0 else 0.1}))
    assert all(row.params[next(iter(space))] == row.study.defaults[next(iter(space))] for row in record.rows)
    assert at_edges(record) == ({row.name: list(space) for row in record.rows} if edge else {})
    assert any("edge" in note for note in build_leaderboard(record).notes) == edge
