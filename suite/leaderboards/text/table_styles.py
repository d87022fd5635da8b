"""The style of every table that memspan prints or writes in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table

from suite.leaderboards.columns import Column, cell_text

NARROWEST_SKILL = len("0.00 [0.00, 1.00]")
"""The width of a skill with its interval, behind which only a remark is broken into lines."""


def terminal_table(title: str = "", space: int = 1) -> Table:
    """Return an empty table for a terminal, with a rule under its headings and ``space`` between its columns."""
    return Table(
        title=title or None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, space - 1, 0, 0),
        show_edge=False,
    )


def columns_table(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], title: str = "") -> Table:
    """Return a table for a terminal of rows with these columns."""
    table = terminal_table(title)
    for column in columns:
        # A remark stands below its skill, and only the remark is ever broken into lines.
        narrowest = NARROWEST_SKILL if column.kind == "skill" else None
        side: JustifyMethod = "left" if column.left else "right"
        table.add_column(column.heading, justify=side, no_wrap=narrowest is None, min_width=narrowest)
    for row in rows:
        table.add_row(*(escape(cell_text(row, column, before_remark="\n")) for column in columns))
    return table


def fitting(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], width: int) -> list[Column]:
    """Return the columns for which a terminal has room, without those that are most dispensable where it has not.

    Args:
        columns: the columns.
        rows: all rows of the tables that shall have these columns.
        width: the number of characters in a line of the terminal.
    """
    widths = {column.key: _width(column, rows) for column in columns}
    kept = list(columns)
    while len(kept) > 1 and sum(widths[column.key] + 1 for column in kept) - 1 > width:
        most = max(reversed(kept), key=lambda column: column.dispensable)
        if not most.dispensable:
            break
        kept.remove(most)
    return kept


def _width(column: Column, rows: Iterable[Mapping[str, Any]]) -> int:
    """Return how wide a column of a table for a terminal is, in which remarks are broken into lines."""
    if column.kind == "skill":
        return max(len(column.heading), NARROWEST_SKILL)
    texts = (cell_text(row, column, before_remark="\n") for row in rows)
    return max(cell_len(line) for text in (column.heading, *texts) for line in text.split("\n"))


def markdown_table(headings: Sequence[str], alignment: str, rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table.

    Args:
        headings: one for each column.
        alignment: one letter for each column, "l" for words and "r" for numbers, as LaTeX has it.
        rows: the cells of each row.
    """
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "|".join("---" if side == "l" else "--:" for side in alignment) + "|"
    for row in rows:
        yield "| " + " | ".join(inert(str(cell)) for cell in row) + " |"


def inert(text: str) -> str:
    """Return text that neither ends a cell of a Markdown table nor is taken for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
