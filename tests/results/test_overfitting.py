"""What the overfitting table promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from suite.errors import InputError
from suite.leaderboards.files import write
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.text import render
from suite.results.ladders import size_ladders, size_points
from suite.results.overfitting import area, areas
from suite.results.record import Record
from suite.results.score_table import score_table
from suite.statistics.student import mean_interval
from suite.statistics.table import OVERALL
from tests.synthetic import made_up

SIZES = [50, 100, 200, 2000]
TABLES = {
    "tasks": {name: {"length": 8, "train_size": SIZES} for name in ("adding", "sequence_memory")},
    "architectures": {"gru": {}, "lstm": {}, "rnn": {}},
    "model": {"hidden_size": 8},
    "evaluation": {"seeds": 5},
}
SLOPE = {"gru": 0.12, "lstm": 0.05, "rnn": 0.0}


def metrics(job) -> dict[str, float]:
    """Test skill grows with log n; the rnn learns nothing and so has neither skill nor gap."""
    n, slope = job.config.task.train_size, SLOPE[job.variant]
    skill = slope * np.log(n) + 0.01 * job.config.seed * (slope > 0)
    gap = 0.3 * slope
    return {
        "skill": skill,
        "train_skill": min(1.0, skill + gap),
        "gap_skill": gap,
        "final_gap_skill": 2 * gap,
        "test_loss": 1.2 - skill,
    }


@pytest.fixture(scope="module")
def plan():
    return made_up(TABLES, metrics)


def test_the_area_of_known_curves() -> None:
    """A constant is its own mean; what is linear in log n has the mean of its ends; the rest by hand."""
    np.testing.assert_allclose(area(SIZES, np.full((1, 4), 0.3)), 0.3)
    np.testing.assert_allclose(area(SIZES, np.log([SIZES])), np.log(50 * 2000) / 2)
    # 1 at n = 100 alone: two triangles of width log 2 over a ladder of width log 40.
    np.testing.assert_allclose(area(SIZES, np.array([[0.0, 1.0, 0.0, 0.0]])), np.log(2) / np.log(40))
    with pytest.raises(InputError, match="two of them or more"):
        area([50], np.ones((1, 1)))


def test_ladders_and_areas_of_an_experiment(plan) -> None:
    ladders = {ladder.label: ladder.rungs for ladder in size_ladders(plan.experiment.levels)}
    assert list(ladders) == ["adding", "sequence_memory"]
    assert list(ladders["adding"].values()) == SIZES
    points = size_points(score_table(Record.of(plan)), plan.experiment.levels)
    found = areas(points).set_index(["ladder", "architecture", "seed"])
    assert len(found) == 30
    row = found.loc[("adding", "gru", 2)]
    assert row["test_skill"] == pytest.approx(0.12 * np.log(50 * 2000) / 2 + 0.02)
    assert row["test_loss"] == pytest.approx(1.2 - row["test_skill"])


def test_a_seed_without_a_size_does_not_count(plan) -> None:
    points = size_points(score_table(Record.of(plan)), plan.experiment.levels)
    lacking = (points["architecture"] == "gru") & (points["seed"] == 3) & (points["task"] == "adding train_size=100")
    found = areas(points[~lacking])
    assert len(found) == 29
    assert not ((found["architecture"] == "gru") & (found["seed"] == 3) & (found["ladder"] == "adding")).any()


def test_learning_nothing_is_last_although_its_gap_is_the_smallest(plan) -> None:
    rows = build_leaderboard(plan).overfitting
    assert list(rows["task"].unique()) == [OVERALL, "adding", "sequence_memory"]
    for scope in rows["task"].unique():
        here = rows[rows["task"] == scope]
        assert here["architecture"].tolist() == ["gru", "lstm", "rnn"]
        assert here["group"].tolist() == ["a", "b", "c"]
        assert here["gap_skill"].idxmin() == here.index[-1]
        assert here["mean"].between(here["low"], here["high"]).all()
        assert here["test_loss"].between(here["test_loss_low"] - 1e-9, here["test_loss_high"] + 1e-9).all()
        np.testing.assert_allclose(here["final_gap_skill"], 2 * here["gap_skill"])


def test_students_interval() -> None:
    mean, low, high = mean_interval(pd.Series([1.0, 2.0, 3.0, np.nan]))
    assert (mean, low, high) == pytest.approx((2, 2 - 4.30265273 / np.sqrt(3), 2 + 4.30265273 / np.sqrt(3)))
    assert np.isnan(mean_interval(pd.Series([1.0]))[1:]).all()


def test_it_is_written(plan, tmp_path) -> None:
    board = build_leaderboard(plan)
    names = {path.name for path in write(board, tmp_path)}
    pictures = {f"overfitting_{task}.{kind}" for task in ("adding", "sequence_memory") for kind in ("png", "svg")}
    assert pictures | {"overfitting.csv"} <= names
    page = render.markdown(board)
    assert "## Overfitting, adding, 50 to 2,000 sequences" in page
    assert "(overfitting_adding.png)" in page
    assert '"overfitting"' in render.as_json(board)
    curves = board.overfitting_curves.query("measure == 'test_skill' and architecture == 'gru' and ladder == 'adding'")
    assert curves["train_size"].tolist() == SIZES
    assert (curves["seeds"] == 5).all()
