"""A finished store, made by the command itself, and commands within this process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from suite import cli

TINY = """
title = "Tiny"
model.hidden_size = 4
training = { steps = 20, validate_every = 10, validation_size = 16, test_size = 16 }
evaluation.seeds = 2
[tasks.adding]
length = 6
[architectures.rnn]
[architectures.gru]
"""
CLAIM = """
statement = "One remembers more than the other."
source = "a test"
comparisons = [{ first = "gru", second = "rnn" }]
budget.small.seeds = 3
[experiment]
tasks.adding.length = 6
architectures = { gru = {}, rnn = {} }
model.hidden_size = 4
training = { steps = 20, validation_size = 16, test_size = 16 }
"""
Call = Callable[..., tuple[int, str, str]]


def write_experiment(folder: Path) -> None:
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    (folder / "claim.toml").write_text(CLAIM, encoding="utf-8")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment whose runs are all in the store beside it. It is never changed."""
    folder = tmp_path_factory.mktemp("made")
    write_experiment(folder)
    command = [sys.executable, "-m", "memspan", "run", "tiny.toml", "--workers", "1", "--quiet"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def finished(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the working folder."""
    folder = tmp_path / "finished"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls a command in this process, and returns its exit code and what it said on both streams, on one line."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["memspan", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output, error = capsys.readouterr()
        return int(ended.value.code or 0), " ".join(output.split()), " ".join(error.split())

    return call
