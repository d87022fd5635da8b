"""Runs that diverged, or that stopped once they had solved their task, are named wherever their skill is shown."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from suite.console.status import Status, StudyStatus, print_status
from suite.leaderboards import changes
from suite.leaderboards.files import write
from suite.leaderboards.leaderboard import Leaderboard, build_leaderboard
from suite.leaderboards.page.data import page_data
from suite.leaderboards.text import render
from suite.planning.job import Job
from tests.synthetic import made_up

TABLES = {
    "tasks": {"adding": {"length": 20, "test_lengths": [40]}, "counting": {"length": 12}},
    "architectures": {"rnn": {}, "gru": {}},
    "model": {"hidden_size": 8},
    "evaluation": {"seeds": 3},
}


def metrics(job: Job, *, diverged: bool, solved: bool) -> dict[str, float]:
    """The rnn diverges on adding with every seed, and the gru solves adding on the first seed."""
    skill = 0.0 if job.variant == "rnn" else 0.5
    found = {"skill": skill, **{f"skill_at_length_{n}": skill / 2 for n in job.config.task.test_lengths}}
    if diverged and (job.variant, job.level) == ("rnn", "adding"):
        return found | {"diverged": 1.0}
    if solved and (job.variant, job.level, job.config.seed) == ("gru", "adding", 0):
        return found | {"solved": 1.0, "steps_to_solve": 300.0}
    return found


def board(diverged: bool = True, solved: bool = True, **training: Any) -> Leaderboard:
    tables = {**TABLES, "training": training}
    return build_leaderboard(made_up(tables, partial(metrics, diverged=diverged, solved=solved)))


def printed(show: Any, subject: Any, width: int = 120) -> str:
    file = io.StringIO()
    show(subject, Console(width=width, file=file))
    return file.getvalue()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    write(board(), folder)
    return folder


@pytest.mark.parametrize("name", ["leaderboard.md", "leaderboard.tex", "leaderboard.json", "index.html"])
def test_diverged_runs_stand_beside_the_skill_in_every_file(written: Path, name: str) -> None:
    text = (written / name).read_text(encoding="utf-8")
    assert "rnn on adding (3 of 3 runs)" in text
    if name == "leaderboard.json":
        rows = {(row["task"], row["architecture"]): row for row in json.loads(text)["rows"]}
        assert (rows["adding", "rnn"]["diverged_runs"], rows["adding", "rnn"]["runs"]) == (3, 3)
        assert (rows["overall", "rnn"]["diverged_runs"], rows["overall", "rnn"]["runs"]) == (3, 6)
    else:
        assert "3 of 3 runs diverged" in text
        assert "3 of 6 runs diverged" in text
    assert "0 of 3 runs diverged" not in text


def test_diverged_runs_stand_in_the_csv(written: Path) -> None:
    rows = pd.read_csv(written / "leaderboard.csv").set_index(["task", "architecture"])
    assert tuple(rows.loc[("adding", "rnn"), ["diverged_runs", "runs"]]) == (3, 3)
    assert tuple(rows.loc[("adding", "gru"), ["diverged_runs", "runs"]]) == (0, 3)


@pytest.mark.parametrize("width", [80, 120])
def test_diverged_runs_stand_beside_the_skill_on_the_terminal(width: int) -> None:
    text = printed(render.show, board(), width)
    assert "0.00 [0.00, " in text
    assert "(3 of 3 runs diverged)" in " ".join(text.split()), "a narrow terminal breaks the remark into lines"
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_a_comparison_says_which_side_diverged() -> None:
    before, after = board(diverged=False).record, board().record
    assert before is not None
    assert after is not None
    text = printed(changes.show, changes.compare_records(before, after))
    assert "rnn on adding: after, 3 of 3 runs diverged" in text
    assert "diverged" not in printed(changes.show, changes.compare_records(before, before))


def test_status_says_how_many_finished_runs_diverged() -> None:
    study = StudyStatus("mine/adding/rnn", "adding", "rnn", done=3, running=0, failed=0, missing=0, diverged=3)
    status = Status("mine", 3, [study], [], [])
    assert "mine/adding/rnn: 3 of 3 runs diverged" in printed(print_status, status)
    assert status.as_data()["studies"]["mine/adding/rnn"]["diverged"] == 3


def test_nets_that_stopped_when_solved_are_named_where_longer_lengths_are_tested() -> None:
    def notes(**options: Any) -> str:
        return " ".join(board(**options).notes)

    assert "gru on adding (1 of 3 runs). With stop_when_solved = false" in notes()
    assert "stop_when_solved" not in notes(solved=False)
    assert "stop_when_solved" not in notes(stop_when_solved=False)
    assert "stop_when_solved" not in notes(steps=300)  # It was solved at the last step, so it stopped no earlier.
    assert "gru on adding (1 of 3 runs)" in render.markdown(board())


def test_the_figure_of_longer_lengths_has_the_note_too() -> None:
    data = page_data(board(), {"digest": "sha256:0"}, [])
    assert data["longer_note"] in data["notes"]
    assert "gru on adding (1 of 3 runs)" in data["longer_note"]
    assert page_data(board(solved=False), {"digest": "sha256:0"}, [])["longer_note"] == ""
