"""Cells that raise what ends a process, and runs that hang: only their own run is concerned, and somebody says so."""

from __future__ import annotations

import io
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest
from rich.console import Console

from suite.architectures.rnn import RNN
from suite.console.progress import ProgressBars
from suite.console.status import collect_status, print_status
from suite.engines import Inline, Signals, watch
from suite.errors import DamagedError
from suite.experiment.loading import load
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan
from suite.planning.sweep import open_storage
from suite.running import runner
from suite.running.execute import open_store
from suite.store.store import Store
from tests.helpers import Notes

EXPERIMENT = """
title = "Tiny"
[tasks.adding]
length = 8
[architectures.rnn]
{architectures}
[model]
hidden_size = 8
[training]
steps = 20
validate_every = 10
validation_size = 32
test_size = 32
[evaluation]
seeds = 1
"""


class Late(RNN):
    """Is well for some batches."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.batches = 0

    def initial_state(self, batch_size: int) -> Any:
        self.batches += 1
        if self.batches > 8:
            self.misbehave()
        return super().initial_state(batch_size)

    def misbehave(self) -> NoReturn:
        raise NotImplementedError


class Exits(Late):
    """Wants to end the process."""

    def misbehave(self) -> NoReturn:
        sys.exit(1)


class Interrupts(Late):
    """Raises what Ctrl-C raises."""

    def misbehave(self) -> NoReturn:
        raise KeyboardInterrupt("by a cell")


class Closes(Late):
    """Raises what ends a generator."""

    def misbehave(self) -> NoReturn:
        raise GeneratorExit


class Hides(Late):
    """Lets Lightning make one of the other."""

    def misbehave(self) -> NoReturn:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(3)


NAMES = {"exits": Exits, "interrupts": Interrupts, "closes": Closes, "hides": Hides}


def opened(folder: Path, names: tuple[str, ...] = ()) -> tuple[Plan, Store]:
    tables = (f'[architectures.{name}]\narchitecture = "{__name__}:{NAMES[name].__name__}"' for name in names)
    (folder / "tiny.toml").write_text(EXPERIMENT.format(architectures="\n".join(tables)), encoding="utf-8")
    store = Store(folder / "store")
    return runner.open_plan(load(folder / "tiny.toml").select(trials=0), store), store


def test_a_cell_that_raises_what_ends_a_process_fails_alone_in_this_process(tmp_path: Path) -> None:
    plan, store = opened(tmp_path, tuple(NAMES))
    listener, before = Notes(), [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    given_up = runner.run(plan, store, Inline(), listener, attempts=1)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    reasons = ["SystemExit: 1", "KeyboardInterrupt: by a cell", "GeneratorExit", "KeyboardInterrupt"]
    assert listener.failures == [(reason, True) for reason in reasons]
    assert sorted(given_up.values()) == sorted(reasons)
    assert (plan.done, plan.planned) == (1, 5)
    assert {run.study for run in collect_status(plan, store, 1).failed} == {f"tiny/adding/{name}" for name in NAMES}
    runs = store.tracking.runs("tiny", "tags.role = 'evaluation'")
    statuses = {run.data.tags["architecture"]: run.info.status for run in runs}
    assert statuses == {"rnn": "FINISHED", **dict.fromkeys(NAMES, "FAILED")}


def shown(plan: Plan, store: Store) -> str:
    console = Console(file=io.StringIO(), width=300)
    print_status(collect_status(plan, store), console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_run_that_makes_no_step_is_named_by_the_command_and_by_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, store = opened(tmp_path)
    seen: list[str] = []

    def hang_for_a_while(
        job: Job, place: Any, experiment: str, study_run: str, owner: str, signals: Signals
    ) -> Outcome:
        deadline = time.monotonic() + 30
        while "no step" not in shown(plan, store) and time.monotonic() < deadline:
            time.sleep(0.05)
        seen.append(shown(plan, store))
        signals.on_step(1)
        seen.append(shown(plan, store))
        outcome = Outcome({"test_skill": 0.0, "pruned": 0.0, "objective": 0.0, "wall_seconds": 1.0, "diverged": 1.0})
        assert open_store(place).ledger.finish(experiment, job.key, owner, "", outcome)
        return outcome

    monkeypatch.setattr(watch, "SILENT_SECONDS", 0.7)
    console = Console(file=io.StringIO(), width=300)
    with ProgressBars(plan, console, lambda: 1, quiet=True) as bars:
        runner.run(plan, store, Inline(), bars, execute_run=hang_for_a_while)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"^rnn on adding, seed 0: no step for 1 second by process \d+\. If this process hangs, end", said)
    silent, working = (next(line for line in text.splitlines() if "running  " in line) for text in seen)
    assert re.search(r"tiny/adding/rnn evaluation 0: .* s ago; no step for \d seconds? by process \d+$", silent)
    assert working.endswith("s ago")


def test_a_note_about_a_checkpoint_names_its_run(tmp_path: Path) -> None:
    plan, store = opened(tmp_path)
    (key,) = plan.missing()
    store.checkpoints.mkdir()
    (store.checkpoints / f"{key}.pt").write_bytes(b"hello")
    listener = Notes()
    assert not runner.run(plan, store, Inline(), listener)
    (note,) = listener.troubles
    assert note.startswith("rnn on adding, seed 0: the checkpoint '")
    assert note.endswith("is damaged, or belongs to another run or version, so the run starts anew")
    assert plan.done == 1


@pytest.mark.parametrize("content", [b"hello\nhello\n", b'{"a": 1}\n{"b": 2}\n', b"[]\n[]\n", b"\xff\n\xff\n"])
def test_a_journal_of_optuna_that_is_damaged_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "optuna.journal").write_bytes(content)
    with pytest.raises(DamagedError, match=r"Optuna's journal '.*optuna.journal' is damaged \(.*\): move it away"):
        open_storage(tmp_path / "optuna.journal")
