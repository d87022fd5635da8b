"""The time that ``--dry-run`` tells: about, as a mean over the search space, with the start in it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import pytest
from rich.console import Console

from suite.console import estimate
from suite.console.estimate import MOST_MODELS, START, STEPS, StudyEstimate, models_of, print_estimate, total_seconds
from suite.experiment.loading import parse
from suite.experiment.run_config import RunConfig
from suite.planning.plan import Plan, studies

TABLES: dict[str, Any] = {
    "tasks": {"adding": {"length": 20}},
    "architectures": {"gru": {}},
    "model": {"hidden_size": 8},
    "training": {"steps": 1000, "validate_every": 100, "stop_when_solved": False},
    "sweep": {"trials": 4, "space": {"depth": [1, 3]}},
    "evaluation": {"seeds": 4},
}


def plan_of(**changes: Any) -> Plan:
    experiment = parse({**TABLES, **changes}, "mine")
    return Plan(experiment, studies(experiment), {})


@dataclass
class Measured:
    metrics: dict[str, float]


def a_layer_takes_ten_milliseconds_a_step(config: RunConfig) -> Measured:
    training, validation = 0.01 * config.model.depth * config.training.steps, 0.5
    assert config.training.steps == config.training.validate_every == STEPS
    testing = 0.6 * config.training.test_size / 512  # of the 512 sequences that a whole run is tested on
    wall = training + validation + testing + 0.4  # for making the model and for diagnostics
    seconds = {"training": training, "validation": validation, "testing": testing, "wall": wall}
    return Measured({f"{part}_seconds": value for part, value in seconds.items()})


def printed(plan: Plan, workers: int) -> str:
    file = io.StringIO()
    print_estimate(plan, workers, Console(file=file, width=200))
    return file.getvalue()


def test_the_time_is_a_mean_over_the_depths_that_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "train", a_layer_takes_ten_milliseconds_a_step)
    shallow, deep = 10.0 + 10 * 0.5 + 1.0, 30.0 + 10 * 0.5 + 1.0
    text = printed(plan_of(), workers=2)
    assert f"gru 8 8 {(shallow + deep) / 2:.1f}" in " ".join(text.split())
    # Eight runs of 26 seconds on two workers, and the start.
    assert "8 of 8 runs are missing. With 2 workers, they take about 2 min in all, the start included." in text
    assert "at most" not in text


def test_the_models_that_are_measured_lie_all_over_the_space() -> None:
    (study,) = plan_of(sweep={"trials": 9, "space": {"hidden_size": {"low": 8, "high": 64}}}).studies
    sizes = [config.model.hidden_size for config in models_of(study)]
    assert len(sizes) == MOST_MODELS
    assert min(sizes) < 16
    assert max(sizes) > 48
    (fixed,) = plan_of(sweep={}).studies
    assert [config.model.hidden_size for config in models_of(fixed)] == [8]


@pytest.mark.parametrize(
    ("missing", "turns", "workers", "seconds"),
    [
        (8, 2, 2, 4 * 10.0),
        (8, 2, 100, 2 * 10.0),  # An evaluation waits for the trials, however many workers there are.
        (1, 1, 8, 10.0),
    ],
)
def test_the_start_and_the_longest_run_are_in_the_time(missing: int, turns: int, workers: int, seconds: float) -> None:
    assert total_seconds([StudyEstimate("gru", missing, [8], 10.0, turns)], workers) == START + seconds


def test_nothing_is_measured_where_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(sweep={})
    monkeypatch.setattr(Plan, "done", property(lambda self: self.planned))
    monkeypatch.setattr(estimate, "estimate_study", lambda plan, study: StudyEstimate("gru", 0, [8], 0.0, 0))
    text = printed(plan, workers=1)
    assert "0 of 4 runs are missing." in text
    assert "about" not in text


def test_a_real_study_is_measured() -> None:
    training = {**TABLES["training"], "validation_size": 8, "test_size": 8}
    assert "runs are missing. With 1 worker, they take about" in printed(
        plan_of(sweep={}, training=training), workers=1
    )
