"""The style of every table that memspan prints or writes in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table

from suite.leaderboards.columns import Column, cell_text


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
        narrowest = len("0.00 [0.00, 1.00]") if column.kind == "skill" else None
        side: JustifyMethod = "left" if column.left else "right"
        table.add_column(column.heading, justify=side, no_wrap=narrowest is None, min_width=narrowest)
    for row in rows:
        table.add_row(*(escape(cell_text(row, column, before_remark="\n")) for column in columns))
    return table


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
