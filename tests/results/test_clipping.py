"""What the tables of clipping, depth and importances promise."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from suite.errors import InputError
from suite.experiment.search_space import Range
from suite.leaderboards.files import ALWAYS, write
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.text import render
from suite.planning.sweep import importances
from suite.results.clipping import cells, recommended
from suite.statistics.table import OVERALL
from tests.synthetic import made_up

SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "clip": [math.inf, 0.1, 1.0, 10.0],
    "depth": [1, 2],
}


def tables(trials: int) -> dict[str, object]:
    return {
        "tasks": {"adding": {"length": 8}},
        "architectures": {"gru": {}},
        "model": {"hidden_size": 8},
        "training": {"learning_rate": 1e-3, "clip": 1.0, "steps": 500},
        "sweep": {"trials": trials, "space": SPACE},
        "evaluation": {"seeds": 2},
    }


def metrics(job) -> dict[str, float]:
    """Only the learning rate matters: best at 10^−3, and above 5e-3 unclipped runs diverge."""
    training = job.config.training
    diverged = training.learning_rate > 5e-3 and training.clip > 1
    skill = 0.0 if diverged else max(0.0, 1 - abs(math.log10(training.learning_rate) + 3))
    return {"skill": skill, "diverged": float(diverged), "clip_fraction": 1 / (1 + training.clip)}


def trials(**columns: object) -> pd.DataFrame:
    base = {"architecture": "gru", "task": "adding", "depth": 1, "solved": False, "steps": 500.0, "diverged": False}
    frame = pd.DataFrame({**base, "clip_fraction": 0.1, **columns})
    return frame.assign(trial=range(len(frame)))


def test_cells_by_hand() -> None:
    """Four bins of half a decade; a value on an edge belongs to the bin above it, the last edge to the last bin."""
    table = trials(
        clip=[1.0, 1.0, math.inf, math.inf, 1.0],
        learning_rate=[1e-4, 2e-4, 1e-3, 1e-2, 0.5],
        skill=[0.2, 0.4, 0.5, 0.9, 0.1],
        diverged=[False, True, False, False, False],
    )
    found = cells(table, {"learning_rate": Range(low=1e-4, high=1e-2, log=True), "clip": (1.0, math.inf)})
    shown = found[["clip_low", "learning_rate_low", "learning_rate_high", "trials", "skill", "skill_best", "diverged"]]
    assert shown.to_numpy().tolist() == [
        [1.0, 1e-4, 0.000316228, 2, pytest.approx(0.3), 0.4, 0.5],
        [1.0, 0.5, 0.5, 1, 0.1, 0.1, 0.0],  # fixed outside the range
        [math.inf, 1e-3, 0.00316228, 1, 0.5, 0.5, 0.0],
        [math.inf, 0.00316228, 1e-2, 1, 0.9, 0.9, 0.0],
    ]


def test_every_trial_is_in_one_cell_of_its_task_and_one_of_all() -> None:
    rng = np.random.default_rng(0)
    n = 200
    table = trials(
        task=rng.choice(["adding", "copy_memory"], n),
        clip=rng.choice([0.1, math.inf], n),
        learning_rate=np.exp(rng.uniform(math.log(1e-4), math.log(1e-2), n)),
        skill=rng.random(n),
    )
    found = cells(table, {"learning_rate": Range(low=1e-4, high=1e-2, log=True)})
    assert found[found["task"] == OVERALL]["trials"].sum() == found[found["task"] != OVERALL]["trials"].sum() == n


def test_the_recommended_range_by_hand() -> None:
    first = trials(
        clip=[1.0, 0.1, math.inf, 10.0, 10.0],
        learning_rate=[1e-3, 2e-3, 3e-3, 1e-2, 5e-3],
        skill=[0.9, 0.86, 0.88, 0.84, 0.9],
        diverged=[False, False, False, False, True],
    )
    second = trials(task="copy_memory", clip=[1.0, 10.0, 1.0], learning_rate=[2e-3, 4e-3, 5e-3], skill=[0.5, 0.5, 0.46])
    rows = recommended(pd.concat([first, second])).set_index("task")
    assert rows.loc["adding", ["good", "clip_low", "clip_high"]].tolist() == [3, 0.1, math.inf]
    assert rows.loc["adding", ["learning_rate_low", "learning_rate_high"]].tolist() == [1e-3, 3e-3]
    ends = ["clip_low", "clip_high", "learning_rate_low", "learning_rate_high"]
    assert rows.loc[OVERALL, ends].tolist() == [1.0, 10.0, 2e-3, 3e-3]
    apart = recommended(pd.concat([first, second.assign(learning_rate=[6e-3, 7e-3, 8e-3])])).set_index("task")
    assert apart.loc[OVERALL, "note"] == "the tasks have no learning rate in common"


@pytest.mark.parametrize(("skill", "note"), [([0.05] * 3, "nothing learned"), ([0.9, 0.5, 0.5], "too few as good")])
def test_where_there_is_no_range_it_says_so(skill: list[float], note: str) -> None:
    row = recommended(trials(clip=1.0, learning_rate=[1e-3, 2e-3, 3e-3], skill=skill)).iloc[0]
    assert row["note"].startswith(note)
    assert np.isnan(row["learning_rate_low"])


def test_importances_name_what_matters_and_are_repeatable() -> None:
    board = build_leaderboard(made_up(tables(32), metrics))
    row = board.searches[0]
    study, tried = row.study, row.trials
    found = importances(study, tried, resamples=40)
    assert sum(point for point, _, _ in found.values()) == pytest.approx(1)
    assert all(0 <= low <= high <= 1 for _, low, high in found.values())
    assert found["learning_rate"][1] > max(found["clip"][2], found["depth"][2])
    assert found == importances(study, tried, resamples=40)


def test_importances_are_refused_where_there_is_nothing_to_tell() -> None:
    boards = [build_leaderboard(made_up(tables(n), lambda job: {"skill": 0.5})) for n in (8, 20)]
    few, equal = ((board.searches[0].study, board.searches[0].trials) for board in boards)
    with pytest.raises(InputError, match="at least 20 finished trials; got 8"):
        importances(*few)
    with pytest.raises(InputError, match="all 20 trials are equally good"):
        importances(*equal)


def test_it_is_written(tmp_path) -> None:
    board = build_leaderboard(made_up(tables(20), metrics))
    names = {path.name for path in write(board, tmp_path)}
    assert {"clipping.csv", "clipping_gru.png", "clipping_gru.svg"} <= names
    page = json.loads((tmp_path / "leaderboard.json").read_text(encoding="utf-8"))
    assert {row["parameter"] for row in page["importances"]} == set(SPACE)
    assert {row["architecture"] for row in page["recommended"]} == {"gru"}
    assert pd.read_csv(tmp_path / "clipping.csv")["trials"].sum() == 20
    assert "## Recommended settings" in (tmp_path / "leaderboard.md").read_text(encoding="utf-8")


def test_too_few_trials_are_said_instead_of_numbers(tmp_path) -> None:
    board = build_leaderboard(made_up(tables(4), metrics))
    assert {path.name for path in write(board, tmp_path)} == {*ALWAYS}
    assert "At most 4 trials per study are too few: 20 are needed." in render.markdown(board)
