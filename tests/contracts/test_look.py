"""The look before the runs: one message before anything is made, once for each cell and each task."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest
from torch import Tensor
from typer.testing import CliRunner

import suite
from suite.cli import app
from suite.contracts import look
from suite.contracts.look import cell_violations, check_contracts
from suite.diagnostics.gradient_survey import Arm, survey
from suite.errors import InputError, Interruption
from suite.experiment.loading import load
from suite.planning.plan import studies
from tests.contracts.cells import Plain

EXPERIMENT = """
model.hidden_size = 4
training = {{ steps = 4, validate_every = 2, validation_size = 8, test_size = 8 }}
sweep.trials = 0
evaluation.seeds = 1
tasks.adding.length = [8, 9]
tasks.own = {{ task = "tests.contracts.tasks:{task}", length = 5 }}
architectures.own.architecture = "tests.contracts.cells:{cell}"
architectures.rnn = {{}}
"""


def write(folder: Path, cell: str = "Plain", task: str = "Bits") -> Path:
    path = folder / "own.toml"
    path.write_text(EXPERIMENT.format(cell=cell, task=task), encoding="utf-8")
    return path


def test_what_breaks_a_contract_is_told_before_anything_is_made(tmp_path: Path) -> None:
    path, store = write(tmp_path, "Wide", "Percent"), tmp_path / "store"
    with pytest.raises(InputError) as caught:
        suite.run(path, store=store)
    assert str(caught.value).splitlines() == [
        "tests.contracts.cells:Wide.step gave an output of [3, 8] float32; output_size says [3, 4] for a batch of 3",
        "tests.contracts.tasks:Percent.score gave 100; it lies between 0 and 1",
        "No run has been started. With --no-check (check=False in Python) they all are.",
    ]
    for more in ([], ["--dry-run"]):
        result = CliRunner().invoke(app, ["run", str(path), "--store", str(store), *more])
        assert isinstance(result.exception, InputError)
        assert str(result.exception) == str(caught.value)
    assert not store.exists()


def test_whoever_knows_better_starts_the_runs_without_a_look(tmp_path: Path) -> None:
    path = write(tmp_path, "Sociable", "Lopsided")
    with pytest.raises(InputError, match="Sociable"):
        suite.run(path, store=tmp_path)
    only = {"architectures": "own", "tasks": "own"}
    assert set(suite.run(path, store=tmp_path, check=False, **only)["architecture"]) == {"own"}
    selected = ["--architectures", "own", "--tasks", "own", "--workers", "1"]
    arguments = ["run", str(path), "--store", str(tmp_path), *selected, "--no-check"]
    assert CliRunner().invoke(app, arguments).exit_code == 0


def test_each_cell_and_each_task_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []
    for name in ("cell_violations", "task_violations"):
        monkeypatch.setattr(look, name, lambda *given: looked.append(given) or [])
    look._cell_violations.cache_clear()
    look._task_violations.cache_clear()
    checked = studies(load(write(tmp_path)))
    for _ in range(2):
        check_contracts(study.default_config for study in checked)
    look._cell_violations.cache_clear()
    look._task_violations.cache_clear()
    assert len(checked) == 6
    assert len(looked) == 3 + 4, "three levels, and each cell at the width of each of both tasks"


def test_gradients_are_measured_of_cells_that_keep_their_contract() -> None:
    name = "tests.contracts.cells:LayersFirst"
    with pytest.raises(InputError, match=re.escape("every tensor of a state is [batch, …]\nNothing has been measured")):
        survey([Arm.from_label("rnn"), Arm.from_label(name)], length=10, hidden_size=4, seeds=1)
    survey([Arm.from_label("tests.contracts.cells:Sociable")], length=10, hidden_size=4, seeds=1, check=False)


def test_a_failure_that_would_be_the_same_is_final_and_the_way_to_see_it_is_told(tmp_path: Path) -> None:
    path, store = write(tmp_path, "Mismatched"), tmp_path / "a store"
    arguments = [str(path), "--store", str(store), "--tasks", "own"]
    result = CliRunner().invoke(app, ["run", *arguments, "--workers", "1", "--no-check"], standalone_mode=False)
    said = " ".join(result.stderr.split())
    assert result.return_value == 1
    assert said.count("mat1 and mat2 shapes cannot be multiplied (2x1 and 5x4); the run is given up") == 1
    assert "will be tried again" not in said
    assert f"1 of 2 runs is missing: 1 was given up; see `memspan status {path} --store '{store}' --tasks own`" in said
    shown = CliRunner().invoke(app, ["status", *arguments], standalone_mode=False)
    assert shown.return_value == 1
    assert "failed own/own/own evaluation 0: RuntimeError: mat1 and mat2 shapes" in " ".join(shown.stdout.split())


class Interrupts(Plain):
    """Raises what Ctrl-C raises."""

    def step(self, x: Tensor, state: Any) -> NoReturn:
        raise KeyboardInterrupt("by a cell")


class Interrupted(Plain):
    """Somebody presses Ctrl-C at the wrong moment."""

    def step(self, x: Tensor, state: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return super().step(x, state)


def test_a_cell_that_raises_keyboard_interrupt_is_named_and_ctrl_c_is_not() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        found = [violation.message for violation in cell_violations(f"{__name__}:Interrupts", {}, 2, 3)]
        with pytest.raises(Interruption):
            cell_violations(f"{__name__}:Interrupted", {}, 2, 3)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert any("Interrupts.step raised KeyboardInterrupt: by a cell" in message for message in found), found


class Slow(Plain):
    """Takes its time."""

    def initial_state(self, batch_size: int) -> Any:
        time.sleep(0.2)
        return super().initial_state(batch_size)


def test_a_look_that_takes_long_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(look, "SLOW_SECONDS", 0.1)
    cell_violations(f"{__name__}:Slow", {}, 2, 3)
    assert f"memspan: the look at cell '{__name__}:Slow' has taken 0 seconds in process " in capsys.readouterr().err
