"""A leaderboard on the terminal, in Markdown and in JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from suite.errors import many
from suite.leaderboards.columns import INTROS, NAME, Column, cell_text, terms, variant_terms
from suite.leaderboards.leaderboard import Leaderboard
from suite.leaderboards.text.clipping_sections import clipping_sections
from suite.leaderboards.text.sections import (
    Section,
    beyond_sections,
    ladder_sections,
    longer_sections,
    rankings,
    summary_sections,
)
from suite.leaderboards.text.table_styles import columns_table, fitting, inert, markdown_table
from suite.statistics.resolution import Resolution

Terms = list[tuple[str, str]]
"""Words that a legend explains, each with its explanation."""
MOST_ROWS = 200
"""With more rows in all tables, a terminal shows only those over all tasks."""


def sections(board: Leaderboard) -> Iterator[Section]:
    """Yield every table of a leaderboard; those of one kind stand together."""
    yield from rankings(board)
    yield from beyond_sections(board)
    yield from longer_sections(board)
    yield from ladder_sections(board)
    yield from summary_sections(board)
    yield from clipping_sections(board)


def show(board: Leaderboard, console: Console, legends: bool = True, families: Sequence[str] = ()) -> None:
    """Print the tables, with as many columns as the terminal has room for.

    If they have very many rows, a terminal shows only the tables over all tasks. A pipe or a file gets every table.

    Args:
        board: the leaderboard.
        console: the console on which to print.
        legends: whether to explain the columns, and to name those for which there is no room.
        families: show the rows of these families alone, with the ranks that they have among all rows; none means all.
    """
    explained: set[tuple[str, str]] = set()
    left_out: dict[str, None] = {}
    title = f"{board.experiment}: "
    every_one = [_of_families(section, board, families) for section in sections(board) if section.terminal]
    # Rich calls a file a terminal if the environment asks for colours.
    is_brief = console.file.isatty() and sum(len(section.rows) for section in every_one) > MOST_ROWS
    shown = list(_summaries(every_one)) if is_brief else every_one
    for kind, group in groupby(shown, key=lambda section: section.kind):
        alike = list(group)
        every = list(dict.fromkeys(column for section in alike for column in section.columns))
        columns = fitting(every, [row for section in alike for row in section.rows], console.width)
        left_out |= dict.fromkeys(column.label for column in every if column not in columns)
        for section in alike:
            visible = [column for column in section.columns if column in columns]
            console.print(title + section.title, style="bold", highlight=False, markup=False)
            console.print(columns_table(visible, section.rows), "")
            title = ""
        if legends:
            _print_legend(kind, _terms(columns, alike, board), explained, console)
    if left_out and legends:
        wider = f"A wider terminal has room for more columns: {', '.join(left_out)}."
        console.print(wider, style="dim", highlight=False)
    for note in board.notes:
        console.print(note, style="yellow", highlight=False, markup=False)
    if left := len(every_one) - len(shown):
        where = "The page has them, and so has what `memspan leaderboard` writes into a pipe."
        what = f"{many(left, 'table')} of single tasks or ladders {'is' if left == 1 else 'are'} left out."
        console.print(f"{what} {where}", highlight=False, markup=False)


def _summaries(every_one: Iterable[Section]) -> Iterator[Section]:
    """Yield the tables that are over all tasks or ladders, and those that are the only one of their kind."""
    for _, group in groupby(every_one, key=lambda section: section.kind):
        alike = list(group)
        yield from (section for section in alike if section.overall or len(alike) == 1)


def _of_families(section: Section, board: Leaderboard, families: Sequence[str]) -> Section:
    """Return a section with the rows of some families alone; its title says so. No families means all."""
    if not families or NAME not in section.columns or board.record is None:
        return section
    of_row = board.record.families
    rows = [row for row in section.rows if of_row.get(row["architecture"], "") in families]
    size = many(len(section.rows), "row")
    title = f"{section.title} · {', '.join(families)}: {len(rows)} of {size}, ranked among all"
    return replace(section, title=title, rows=rows)


def _print_legend(kind: str, entries: Terms, explained: set[tuple[str, str]], console: Console) -> None:
    intro, entries = _legend(kind, entries, explained)
    if intro:
        console.print(intro, style="dim", highlight=False)
    if entries:
        legend = Table.grid(padding=(0, 2))
        for label, text in entries:
            legend.add_row(escape(label), escape(text), style="dim")
        console.print(legend)
    if intro or entries:
        console.print()


def _terms(columns: Iterable[Column], alike: Iterable[Section], board: Leaderboard) -> Terms:
    """Return the words that the legend of some tables explains: their columns, and their rows."""
    rows = (row for section in alike if NAME in section.columns for row in section.rows)
    return [*terms(columns), *variant_terms(rows, board.variants)]


def _legend(kind: str, entries: Terms, explained: set[tuple[str, str]]) -> tuple[str, Terms]:
    """Return what the legend of some tables says, without the words that a legend above has explained."""
    entries = [entry for entry in entries if entry not in explained]
    explained |= set(entries)
    return INTROS.get(kind, ""), entries


def markdown(board: Leaderboard) -> str:
    """Return the leaderboard as a Markdown page."""
    lines = [f"# {board.experiment}", "", *([inert(board.title), ""] if board.title else [])]
    explained: set[tuple[str, str]] = set()
    for kind, group in groupby(sections(board), key=lambda section: section.kind):
        columns: dict[Column, None] = {}
        alike = list(group)
        for section in alike:
            columns |= dict.fromkeys(section.columns)
            lines += _markdown_section(section)
        intro, entries = _legend(kind, _terms(columns, alike, board), explained)
        lines += [intro, ""] if intro else []
        lines += [*(f"- **{inert(label)}**: {inert(text)}" for label, text in entries), ""] if entries else []
    return "\n".join([*lines, *(f"**{inert(note)}**\n" for note in board.notes)])


def _markdown_section(section: Section) -> list[str]:
    lines = [f"## {inert(section.title)}", ""]
    if section.columns:
        alignment = "".join("l" if column.left else "r" for column in section.columns)
        headings = [column.heading for column in section.columns]
        rows = ([cell_text(row, column) for column in section.columns] for row in section.rows)
        lines += [*markdown_table(headings, alignment, rows), ""]
    if section.figure:
        lines += [f"![{inert(section.title)}]({section.figure}.png)", ""]
    return [*lines, section.note, ""] if section.note else lines


def as_json(board: Leaderboard) -> str:
    """Return the leaderboard as JSON; a number that does not exist is null."""

    def records(frame: pd.DataFrame) -> Any:
        return json.loads(frame.to_json(orient="records", double_precision=9))

    page = {
        "experiment": board.experiment,
        "title": board.title,
        "variants": board.variants,
        "rows": records(board.rows),
        "beyond_training_length": records(board.longer),
        "notes": board.notes,
    }
    further = {
        "beyond_ranking": board.beyond,
        "horizons": board.horizons,
        "horizon_curves": board.horizon_curves,
        "by_lag": board.by_lag,
        "overfitting": board.overfitting,
        "overfitting_curves": board.overfitting_curves,
    }
    if board.clipping is not None:
        off = board.clipping.recommended.replace(math.inf, "off")
        further |= {"recommended": off, "importances": board.clipping.importances}
    if board.scopes:
        further["budget"] = board.budget
    page |= {name: records(frame) for name, frame in further.items() if len(frame)}
    if board.resolutions:
        page["resolution"] = [_plain_resolution(found) for found in board.resolutions]
    if board.critical is not None:
        page["critical_differences"] = asdict(board.critical)
    return json.dumps(page, indent=2, ensure_ascii=False) + "\n"


def _plain_resolution(found: Resolution) -> dict[str, Any]:
    smallest = found.smallest if math.isfinite(found.smallest) else None
    return {**found._asdict(), "smallest": smallest, "open_pairs": [pair._asdict() for pair in found.open_pairs]}
