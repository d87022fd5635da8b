"""The rows of a leaderboard as a pandas frame, which a notebook shows as tables with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from suite.leaderboards.columns import MEMORY, Column, cell_text, shown_columns
from suite.leaderboards.leaderboard import Leaderboard
from suite.leaderboards.tables import TableRow, records
from suite.statistics.table import OVERALL


class RankedFrame(pd.DataFrame):
    """A frame of `Leaderboard.rows`, or of some of them, and what a reader has to know of them.

    It is a frame like any other. With other columns than it had at first, a notebook shows it as pandas does.
    """

    _metadata = ["notes", "made_with"]  # noqa: RUF012  (pandas keeps these attributes where it copies a frame)
    notes: Sequence[str] = ()
    made_with: Sequence[str] = ()
    """The names of the columns of a leaderboard."""

    @classmethod
    def of(cls, board: Leaderboard) -> RankedFrame:
        """Return the rows of a leaderboard."""
        frame = cls(board.rows)
        frame.notes, frame.made_with = tuple(board.notes), tuple(board.rows.columns)
        return frame

    @property
    def _constructor(self) -> Callable[..., RankedFrame]:
        return RankedFrame

    def _repr_html_(self) -> str:
        """Return a table for each task, with the columns of the terminal's tables."""
        if not self.made_with or list(self.columns) != list(self.made_with):
            plain: Any = super()
            return str(plain._repr_html_())
        tables = Markup("").join(
            _table("overall" if scope == OVERALL else str(scope), records(self[self["task"] == scope], MEMORY))
            for scope in self["task"].unique()
        )
        return str(tables + Markup("").join(Markup("<p>{}</p>").format(note) for note in self.notes))


def _table(title: str, rows: Sequence[TableRow]) -> Markup:
    """Return a table of rows. Each heading explains its column to whoever points at it."""
    columns = shown_columns(MEMORY, rows)
    head = Markup("").join(
        Markup('<th style="{}" title="{}">{}</th>').format(_side(column), column.help, column.heading)
        for column in columns
    )
    lines = Markup("").join(Markup("<tr>{}</tr>").format(_cells(columns, row)) for row in rows)
    caption = Markup('<caption style="text-align: left"><b>{}</b></caption>').format(title)
    return Markup("<table>{}<thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(caption, head, lines)


def _cells(columns: Sequence[Column], row: dict[str, Any]) -> Markup:
    cells = (Markup('<td style="{}">{}</td>').format(_side(column), cell_text(row, column)) for column in columns)
    return Markup("").join(cells)


def _side(column: Column) -> str:
    return f"text-align: {'left' if column.left else 'right'}; white-space: nowrap; padding: 0.1em 0.6em"
