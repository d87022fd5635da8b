"""A store of an earlier memspan still opens: its runs are named, they do not count, and they are not lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from suite.engines import Inline
from suite.experiment.loading import load
from suite.experiment.run_config import PROTOCOL
from suite.leaderboards.leaderboard import build_leaderboard
from suite.planning.plan import Plan
from suite.results.record import record_of
from suite.running import runner
from suite.store.store import Store
from tests.commands import memspan

TINY = """
model.hidden_size = 4
training = { steps = 20, validate_every = 10, validation_size = 16, test_size = 16 }
evaluation.seeds = 2
[tasks.adding]
length = 6
[architectures.rnn]
"""
SENTENCE = "2 finished runs in the store were recorded by an earlier memspan"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment, and a store in which its two runs stand under keys of the protocol before this one."""
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    plan = runner.open_plan(load(tmp_path / "tiny.toml"), Store(tmp_path / "made"))
    assert not runner.run(plan, Store(tmp_path / "made"), Inline())
    store = Store(tmp_path / "mlruns")
    environment = store.keep_environment({"protocol": PROTOCOL - 1, "processor": "of then"})
    runs = [
        (
            {"key": f"earlier{i}", "study": "tiny/adding/rnn", "role": "evaluation", "number": i, "run_id": ""},
            replace(outcome, environment=environment),
        )
        for i, outcome in enumerate(plan.finished.values())
    ]
    store.ledger.add_finished("tiny", runs)
    return tmp_path


def plan_in(folder: Path) -> tuple[Plan, Store]:
    store = Store(folder / "mlruns")
    return runner.open_plan(load(folder / "tiny.toml"), store), store


def test_runs_of_an_earlier_protocol_are_named_in_one_sentence_and_do_not_count(folder: Path) -> None:
    plan, store = plan_in(folder)
    assert (plan.done, plan.planned) == (0, 2)
    record = record_of(plan, store)
    assert (record.earlier, record.others) == (2, 0)
    assert any(note.startswith(SENTENCE) for note in build_leaderboard(record).notes)
    for command in ("status", "leaderboard"):
        said = memspan(command, "tiny.toml", cwd=folder)
        assert SENTENCE in " ".join((said.stdout + said.stderr).split()), command


def test_they_stay_when_the_experiment_is_run_again(folder: Path) -> None:
    done = memspan("run", "tiny.toml", "--workers", "1", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    plan, store = plan_in(folder)
    assert plan.done == plan.planned == 2
    assert {"earlier0", "earlier1"} < set(store.finished("tiny"))
    assert SENTENCE not in done.stdout, "a complete leaderboard says nothing of other runs"
