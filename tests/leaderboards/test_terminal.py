"""The tables of a leaderboard on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.text import render
from suite.planning.job import Job
from tests.synthetic import made_up


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("label", ["gru", "linear_attention_gated", "a_label_that_is_longer_than_most"])
def test_whole_columns_are_left_out_and_no_number_is_cut_off(label: str, width: int) -> None:
    tables = {
        "tasks": {"sequence_memory": {"length": 8, "lag": [1, 3]}},
        "architectures": {label: {"architecture": "gru"}, "rnn": {}},
        "model": {"hidden_size": 4},
        "evaluation": {"seeds": 3},
    }

    def metrics(job: Job) -> dict[str, float]:
        return {"skill": 0.9 - 0.01 * job.config.seed, "parameters": 20_130.0, "state_size": 1768.0}

    board = build_leaderboard(made_up(tables, metrics))
    file = io.StringIO()
    render.show(board, Console(file=file, width=width))
    text = file.getvalue()
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= width
    assert "…" not in text
    rows = [line for line in lines if f" {label} " in line and "[" in line]
    assert rows
    for line in rows:
        assert line.split()[-1] in ("20,130", "1,768", "0.00", "0.10", "1,000"), line


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_shows_what_is_over_all_tasks_of_a_large_board_and_a_pipe_everything(terminal: bool) -> None:
    tables = {
        "tasks": {"sequence_memory": {"length": 8, "lag": [1, 2, 3]}, "adding": {"length": 6, "test_lengths": [9]}},
        "architectures": {f"gru_{place}": {"architecture": "gru"} for place in range(40)},
        "model": {"hidden_size": 4},
        "evaluation": {"seeds": 2},
    }
    board = build_leaderboard(made_up(tables, lambda job: {"skill": 0.5, "skill_at_length_9": 0.4}))
    file = io.StringIO()
    file.isatty = lambda: terminal  # type: ignore[method-assign]
    render.show(board, Console(file=file, width=100))
    text = file.getvalue()
    assert "made_up: overall, 4 tasks" in text
    assert "Beyond the training length, overall, 4 tasks" in text
    assert "Memory horizon, sequence_memory" in text  # There is one ladder alone.
    assert ("sequence_memory lag=2" in text) == (not terminal)
    assert ("8 tables of single tasks or ladders are left out." in text) == terminal
