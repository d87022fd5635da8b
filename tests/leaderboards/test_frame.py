"""The frame that ``memspan.run`` returns is one of pandas, and a notebook shows it as tables with intervals."""

from __future__ import annotations

import pickle
import re

import pandas as pd
import pytest

from suite.leaderboards.columns import cell_text
from suite.leaderboards.frame import RankedFrame
from suite.leaderboards.leaderboard import Leaderboard, build_leaderboard
from suite.leaderboards.text.sections import rankings
from suite.planning.job import Job
from tests.synthetic import made_up

TABLES = {
    "tasks": {"adding": {"length": 8}, "copy": {"task": "copy_memory", "length": 8}},
    "architectures": {"lstm": {}, "gru": {}},
    "model": {"hidden_size": 4},
    "evaluation": {"seeds": 3},
}


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    def skill(job: Job) -> dict[str, float]:
        return {"skill": (0.4 if job.variant == "gru" else 0.2) + 0.05 * job.config.seed}

    return build_leaderboard(made_up(TABLES, skill))


def cells(html: str) -> list[str]:
    return re.findall(r"<td[^>]*>(.*?)</td>", html)


def test_a_notebook_shows_what_the_terminal_shows(board: Leaderboard) -> None:
    html = RankedFrame.of(board)._repr_html_()
    sections = [section for section in rankings(board) if section.kind == "memory"]
    expected = [cell_text(row, column) for section in sections for row in section.rows for column in section.columns]
    assert cells(html) == expected
    assert "0.45 [0.33, 0.57]" in expected
    assert html.count("<table>") == len(sections) == 3
    assert all(f"<p>{note}</p>" in html for note in board.notes)
    assert any("Fewer than 10 seeds" in note for note in board.notes)


def test_some_of_its_rows_are_shown_alike_and_other_columns_as_pandas_does(board: Leaderboard) -> None:
    frame = RankedFrame.of(board)
    some = frame[(frame["task"] == "adding") & (frame["architecture"] == "gru")]
    assert cells(some._repr_html_())[1] == "gru"
    assert some._repr_html_().count("<tr>") == 2
    plain = pd.DataFrame(board.rows)
    for change in (lambda rows: rows[["architecture", "mean"]], lambda rows: rows.assign(more=1), lambda rows: rows.T):
        assert change(frame)._repr_html_() == change(plain)._repr_html_()


def test_it_is_a_frame_like_any_other(board: Leaderboard) -> None:
    frame, plain = RankedFrame.of(board), board.rows
    pd.testing.assert_frame_equal(frame, plain)
    pd.testing.assert_frame_equal(plain.reset_index(), pd.DataFrame(frame.reset_index()))
    assert frame.to_csv() == plain.to_csv()
    assert frame.groupby("task")["mean"].max().to_dict() == plain.groupby("task")["mean"].max().to_dict()
    kept = pickle.loads(pickle.dumps(frame))
    assert kept._repr_html_() == frame._repr_html_()
    assert repr(frame) == repr(plain)


def test_what_a_label_says_is_no_markup(board: Leaderboard) -> None:
    frame = RankedFrame.of(board)
    frame["architecture"] = "<script>"
    assert "<script>" not in frame._repr_html_()
    assert "&lt;script&gt;" in frame._repr_html_()
