"""In a notebook, the progress is one line that is written again."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from suite.console import notebook_line
from suite.console.notebook_line import NotebookLine, notebook_display
from suite.planning.job import Outcome
from tests.synthetic import made_up

TABLES = {
    "tasks": {"adding": {"length": 8}},
    "architectures": {"gru": {}},
    "model": {"hidden_size": 4},
    "training": {"steps": 200},
    "evaluation": {"seeds": 2},
}


class Display:
    """Stands for IPython's: it keeps every form of what it shows."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []

    def __call__(self, content: dict[str, str], *, raw: bool, display_id: bool) -> Display:
        assert raw
        assert display_id
        self.forms.append(content)
        return self

    def update(self, content: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.forms.append(content)


def test_the_line_says_what_is_done_and_what_is_under_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = made_up(TABLES, lambda job: {"skill": 0.5})
    plan.finished.clear()
    jobs = list(plan.missing().values())
    display = Display()
    monkeypatch.setattr(notebook_line, "PAUSE_SECONDS", -1.0)
    line = NotebookLine(plan, 1, display)
    for job in jobs:
        line.on_step(job, 50)
        line.on_done(job, Outcome({"wall_seconds": 30.0}))
    assert [form["text/plain"] for form in display.forms] == [
        "0 of 2 runs done; starting",
        "0 of 2 runs done; gru on adding, seed 0, step 50 of 200",
        "1 of 2 runs done; about 30 s left; gru on adding, seed 0, step 50 of 200",
        "1 of 2 runs done; about 30 s left; gru on adding, seed 1, step 50 of 200",
        "2 of 2 runs done",
    ]
    assert display.forms[-1]["text/html"] == '<progress value="2" max="2"></progress> 2 of 2 runs done'
    line.on_trouble("the store is tired")
    assert capsys.readouterr().err == "the store is tired\n"


def test_the_line_is_not_written_more_often_than_one_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = made_up(TABLES, lambda job: {"skill": 0.5})
    plan.finished.clear()
    jobs, display = list(plan.missing().values()), Display()
    monkeypatch.setattr(notebook_line, "PAUSE_SECONDS", 1000.0)
    line = NotebookLine(plan, 1, display)
    for job in jobs:
        for step in range(100):
            line.on_step(job, step)
        line.on_done(job, Outcome({"wall_seconds": 30.0}))
    assert [form["text/plain"] for form in display.forms] == ["0 of 2 runs done; starting", "2 of 2 runs done"]


@pytest.mark.parametrize(
    ("shell", "shows"),
    [
        (None, False),
        (SimpleNamespace(), False),
        (SimpleNamespace(kernel=None), False),
        (SimpleNamespace(kernel=1), True),
    ],
)
def test_only_a_notebook_has_the_line(shell: Any, shows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a script nor IPython in a terminal has a kernel."""
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=print))
    assert (notebook_display() is print) is shows
