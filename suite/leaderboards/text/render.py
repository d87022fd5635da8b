"""A leaderboard on the terminal, in Markdown, CSV and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from suite.leaderboards.leaderboard import Leaderboard
from suite.leaderboards.text.sections import Section, clipping_sections, sections
from suite.leaderboards.text.summaries import summaries
from suite.results.wording import horizon_text
from suite.statistics.bootstrap import OVERALL

COLUMNS = {
    "rank": "rank",
    "architecture": "architecture",
    "skill": "skill [95 %]",
    "group": "group",
    "seeds": "seeds",
    "horizon": "d50 [95 %]",
    "solved": "solved",
    "steps": "steps",
    "gap": "gap",
    "parameters": "params",
    "state_size": "state",
    "speed": "seq/s",
}
NARROW = ("state_size", "speed")
"""Left out where the terminal is narrower than ``WIDE``."""
WIDE = 100
HORIZON_WIDE = 120
"""From so many columns on the terminal has room for the horizon beside the rest."""
LEFT = ("architecture", "skill", "group")
"""Columns that stand on the left."""

LEGEND = """\
skill: 0 remembers nothing, 1 is perfect; mean over seeds with its 95 % interval. rank: where resampling the seeds puts
it, which is no test. group is one: architectures that share a letter are not shown to differ (paired, Holm, smallest
difference 0.02). solved: runs that met the task's criterion on validation. steps: to solve it, the budget where it was
not solved. gap: skill on the training data minus skill on the test data, at the best validation point."""


def cells(row: pd.Series[Any]) -> dict[str, str]:
    """A row as text."""
    rank = f"{row['rank_low']:.0f}–{row['rank_high']:.0f}" if not math.isnan(row["rank_low"]) else "–"
    if rank != "–" and row["rank_low"] == row["rank_high"]:
        rank = f"{row['rank_low']:.0f}"
    known = not math.isnan(row["mean"])
    has_horizon = isinstance(row.get("horizon_censored"), str)
    return {
        "rank": rank,
        "architecture": row["architecture"],
        "skill": _skill(row["mean"], row["low"], row["high"]) if known else f"– (no {row['missing']})",
        "group": row["group"],
        "seeds": f"{row['seeds']:.0f}",
        "horizon": horizon_text(row, prefix="horizon_") if has_horizon else "–",
        "solved": f"{row['solve_rate']:.0%}" if known else "–",
        "steps": f"{row['steps']:,.0f}" if known else "–",
        "gap": f"{round(row['gap'], 2) + 0.0:.2f}",  # adding 0.0 makes of −0.00 a 0.00
        "parameters": f"{row['parameters']:,.0f}",
        "state_size": f"{row['state_size']:,.0f}",
        "speed": f"{row['sequences_per_second']:,.0f}",
    }


def columns_of(board: Leaderboard, scope: str) -> list[str]:
    """The columns that a scope has: a horizon is that of a ladder, so only where several levels are taken together."""
    horizon = scope == OVERALL and "horizon_d50" in board.rows
    return [name for name in COLUMNS if name != "horizon" or horizon]


def show(board: Leaderboard, console: Console) -> None:
    """Print the tables, as wide as the terminal allows."""
    wide = console.width >= WIDE
    for scope in board.scopes:
        names = [name for name in columns_of(board, scope) if wide or name not in NARROW]
        if console.width < HORIZON_WIDE:
            names = [name for name in names if name != "horizon"]
        table = plain_table(escape(_heading(board, scope)))
        for name in names:
            table.add_column(COLUMNS[name], justify="left" if name in LEFT else "right", no_wrap=True)
        for _, row in board.rows[board.rows["task"] == scope].iterrows():
            text = cells(row)
            table.add_row(*(escape(text[name]) for name in names))
        console.print(table, "")
    if board.scopes:
        console.print(LEGEND.replace("\n", " "), style="dim")
        if not wide:
            console.print(
                f"With {WIDE} columns the terminal shows state size and sequences per second too.", style="dim"
            )
    _show_sections([section for section in sections(board) if section.terminal], console)
    for note in board.notes:
        console.print(note, style="yellow", markup=False)


def plain_table(title: str) -> Table:
    """An empty table in the style of all that are printed."""
    return Table(
        title=title,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=0,
        show_edge=False,
    )


def _show_sections(found: list[Section], console: Console) -> None:
    for i, section in enumerate(found):
        shown = [k for k, c in enumerate(section.columns) if console.width >= WIDE or c not in section.wide]
        table = plain_table("")
        for k in shown:
            table.add_column(section.columns[k], justify="left" if k < section.left else "right", no_wrap=True)
        for row in section.rows:
            table.add_row(*(escape(row[k]) for k in shown))
        console.print()
        console.print(section.title, style="bold", highlight=False, markup=False)
        console.print(table)
        if _is_last(found, i):
            console.print("", section.legend.replace("\n", " "), style="dim", sep="\n")


def _is_last(found: list[Section], i: int) -> bool:
    """Whether section ``i`` is the last of those that share its legend."""
    return bool(found[i].legend) and all(section.legend != found[i].legend for section in found[i + 1 :])


def _heading(board: Leaderboard, scope: str) -> str:
    return f"{board.experiment}: overall, {len(board.scopes) - 1} tasks" if scope == OVERALL else scope


def markdown(board: Leaderboard) -> str:
    """The leaderboard as a Markdown page."""
    lines = [f"# {board.experiment}", "", *([_inert(board.title), ""] if board.title else [])]
    for scope in board.scopes:
        here = board.rows[board.rows["task"] == scope]
        names = columns_of(board, scope)
        lines += [f"## {_inert(scope)}", "", "| " + " | ".join(COLUMNS[name] for name in names) + " |"]
        lines += ["|" + "|".join("---" if name in LEFT else "--:" for name in names) + "|"]
        for _, row in here.iterrows():
            text = cells(row)
            lines += [_line(text[name] for name in names)]
        lines += [""]
    if len(board.longer):
        lines += [
            "## Beyond the training length",
            "",
            "| task | length | architecture | mean skill [95 %] | seeds |",
            "|---|--:|---|--:|--:|",
        ]
        ordered = board.longer.sort_values(
            ["task", "length", "skill", "architecture"], ascending=[True, True, False, True]
        )
        lines += [
            _line([r["task"], r["length"], r["architecture"], _skill(r["skill"], r["low"], r["high"]), r["seeds"]])
            for _, r in ordered.iterrows()
        ]
        lines += [""]
    lines += [LEGEND, ""]
    further = [*sections(board), *summaries(board), *clipping_sections(board)]
    for i, section in enumerate(further):
        lines += _markdown_section(section, legend=_is_last(further, i))
    return "\n".join([*lines, *(f"**{_inert(note)}**\n" for note in board.notes)])


def _line(cells: Iterable[object]) -> str:
    """A line of a table."""
    return "| " + " | ".join(_inert(str(cell)) for cell in cells) + " |"


def _inert(text: str) -> str:
    """Text of names and files that neither ends a cell nor is taken for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _skill(mean: float, low: float, high: float) -> str:
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _markdown_section(section: Section, legend: bool) -> list[str]:
    lines = [f"## {_inert(section.title[0].upper() + section.title[1:])}", ""]
    if section.columns:
        rule = ["---" if k < section.left else "--:" for k in range(len(section.columns))]
        lines += ["| " + " | ".join(section.columns) + " |", "|" + "|".join(rule) + "|"]
        lines += [_line(row) for row in section.rows]
        lines += [""]
    if section.figure:
        lines += [f"![{_inert(section.title)}]({section.figure}.png)", ""]
    if legend:
        lines += [section.legend, ""]
    return lines


def as_json(board: Leaderboard) -> str:
    """The leaderboard as JSON; a figure that does not exist is null."""

    def records(frame: pd.DataFrame) -> Any:
        return json.loads(frame.to_json(orient="records", double_precision=9))

    page = {
        "experiment": board.experiment,
        "title": board.title,
        "rows": records(board.rows),
        "beyond_training_length": records(board.longer),
        "notes": board.notes,
    }
    further = {
        "horizons": board.horizons,
        "horizon_curves": board.horizon_curves,
        "overfitting": board.overfitting,
        "overfitting_curves": board.overfitting_curves,
    }
    if board.clipping is not None:
        off = board.clipping.recommended.replace(math.inf, "off")
        further |= {"recommended": off, "importances": board.clipping.importances}
    if board.scopes:
        further["budget"] = board.budget
    page |= {name: records(frame) for name, frame in further.items() if len(frame)}
    if board.critical is not None:
        page["critical_differences"] = asdict(board.critical)
    return json.dumps(page, indent=2, ensure_ascii=False) + "\n"
