"""A row with ``untuned = true`` shows what tuning brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.leaderboards.files import write
from suite.leaderboards.joining import joined, read_board
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.proof.checks import check_manifest
from suite.leaderboards.proof.manifest import read_manifest
from suite.planning.job import Job
from suite.results.record import Record
from suite.results.tuning import budget_curves
from tests.synthetic import made_up

TABLES: dict[str, Any] = {
    "tasks": {"adding": {"length": 20}},
    "architectures": {"gru": {}, "gru_default": {"architecture": "gru", "untuned": True}},
    "model": {"hidden_size": 6},
    "training": {"learning_rate": 2e-3},
    "sweep": {
        "trials": 3, "finalists": 2, "finalist_seeds": 2,
        "space": {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}},
    },
    "evaluation": {"seeds": 4},
}  # fmt: skip


def drawn(job: Job) -> dict[str, float]:
    return {"skill": job.config.training.learning_rate * 50 + job.config.seed % 7 / 100}


def test_it_is_evaluated_with_the_defaults_and_has_no_trials(tmp_path: Path) -> None:
    plan = made_up(TABLES, drawn)
    tuned, untuned = plan.studies
    assert (tuned.planned, untuned.planned, plan.planned) == (3 + 2 * 2 + 4, 4, 15)
    assert plan.done == plan.planned
    record = Record.of(plan)
    rates = [{job.config.training.learning_rate for job, _ in row.evaluations} for row in record.rows]
    assert rates[1] == {2e-3}
    assert rates[0] != rates[1]
    assert not record.rows[1].trials
    write(build_leaderboard(record), tmp_path / "board")
    found = check_manifest(read_manifest(tmp_path / "board"), [])
    assert (found.wrong, found.notes) == ([], [])
    again = joined({"one": read_board(tmp_path / "board"), "two": record})
    assert again.complete
    assert set(budget_curves(record)["architecture"]) == {"gru"}


def test_its_runs_are_those_of_the_same_row_in_an_experiment_without_tuning() -> None:
    without = {**TABLES, "architectures": {"gru_default": {"architecture": "gru"}}, "sweep": {}}
    alone = made_up(without, drawn)
    assert {job.key for job, _ in Record.of(alone).rows[0].runs} == {
        job.key for job, _ in Record.of(made_up(TABLES, drawn)).rows[1].runs
    }
