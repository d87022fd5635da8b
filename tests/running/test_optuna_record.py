"""Each generation of trials is in Optuna's record as soon as it is finished, and no trial is there twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from suite.engines import Inline
from suite.errors import DamagedError
from suite.experiment.loading import load
from suite.planning import sweep
from suite.planning.job import Job, Outcome
from suite.running import runner
from suite.store.store import Store
from tests.helpers import Notes
from tests.running.test_run import TINY

TUNED = TINY.replace("trials = 2", 'trials = 4\ngeneration = 2\nsampler = "tpe"').replace("[architectures.rnn]\n", "")


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    path = tmp_path / "tuned.toml"
    path.write_text(TUNED, encoding="utf-8")
    return path


def recorded(store: Store) -> list[int]:
    """The numbers of the trials in Optuna's record, in order."""
    storage = sweep.open_storage(store.journal)
    names = [study.study_name for study in optuna.get_all_study_summaries(storage)]
    assert set(names) <= {"tuned/adding/gru"}
    trials = [trial for name in names for trial in optuna.load_study(study_name=name, storage=storage).trials]
    assert [trial.number for trial in trials] == list(range(len(trials)))
    return sorted(trial.user_attrs["number"] for trial in trials)


class Looks(Notes):
    """Looks into Optuna's record whenever a run is finished."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.seen: list[tuple[str, list[int]]] = []

    def on_done(self, job: Job, outcome: Outcome) -> None:
        self.seen.append((job.place, recorded(self.store)))


def run(path: Path, store: Store, listener: Notes) -> None:
    plan = runner.open_plan(load(path), store)
    assert not runner.run(plan, store, Inline(), listener)
    assert plan.done == plan.planned == 7


def test_a_generation_is_recorded_as_soon_as_it_is_finished(tuned: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    listener = Looks(store)
    run(tuned, store, listener)
    none, first, both = [], [0, 1], [0, 1, 2, 3]
    assert dict(listener.seen) == {
        **{"trial 0": none, "trial 1": none, "trial 2": first, "trial 3": first},
        **{f"seed {seed}": both for seed in range(3)},
    }
    assert recorded(store) == both


def test_what_could_not_be_recorded_is_recorded_once_by_the_next_command(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    record_trials = sweep.record_trials

    def fails_half_way(study: Any, trials: Any, storage: Any) -> None:
        record_trials(study, trials[:1], storage)
        raise DamagedError("the disk is tired")

    monkeypatch.setattr(sweep, "record_trials", fails_half_way)
    listener = Notes()
    run(tuned, store, listener)
    assert listener.troubles == ["the trials could not be recorded in Optuna: the disk is tired"]
    assert recorded(store) == [0]

    monkeypatch.setattr(sweep, "record_trials", record_trials)
    for _ in range(2):
        run(tuned, store, again := Notes())
        assert again.troubles == []
        assert recorded(store) == [0, 1, 2, 3]


def test_the_runs_go_on_where_the_journal_is_damaged(tuned: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (store.folder / "optuna.journal").write_bytes(b"hello\nhello\n")
    run(tuned, store, listener := Notes())
    (trouble,) = listener.troubles
    assert trouble.startswith("the trials could not be recorded in Optuna: Optuna's journal ")
    (store.folder / "optuna.journal").unlink()
    run(tuned, store, Notes())
    assert recorded(store) == [0, 1, 2, 3]


def test_without_trials_there_is_no_generation(tuned: Path, tmp_path: Path) -> None:
    plan = runner.open_plan(load(tuned).select(trials=0), Store(tmp_path / "store"))
    assert [plan.progress(study).finished_generations for study in plan.studies] == [[]]
