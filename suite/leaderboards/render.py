"""A leaderboard on the terminal, in Markdown, CSV and JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from suite.leaderboards.statistics import OVERALL
from suite.leaderboards.table import Leaderboard

COLUMNS = {
    "rank": "rank",
    "architecture": "architecture",
    "skill": "skill [95 %]",
    "group": "group",
    "seeds": "seeds",
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
    return {
        "rank": rank,
        "architecture": row["architecture"],
        "skill": f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" if known else f"– (no {row['missing']})",
        "group": row["group"],
        "seeds": f"{row['seeds']:.0f}",
        "solved": f"{row['solve_rate']:.0%}" if known else "–",
        "steps": f"{row['steps']:,.0f}" if known else "–",
        "gap": f"{round(row['gap'], 2) + 0.0:.2f}",  # adding 0.0 makes of −0.00 a 0.00
        "parameters": f"{row['parameters']:,.0f}",
        "state_size": f"{row['state_size']:,.0f}",
        "speed": f"{row['sequences_per_second']:,.0f}",
    }


def show(board: Leaderboard, console: Console) -> None:
    """Print the tables, as wide as the terminal allows."""
    names = [name for name in COLUMNS if console.width >= WIDE or name not in NARROW]
    for scope in board.scopes:
        table = Table(
            title=_heading(board, scope),
            box=box.SIMPLE_HEAD,
            title_justify="left",
            title_style="bold",
            pad_edge=False,
            padding=0,
            show_edge=False,
        )
        for name in names:
            left = name in ("architecture", "group", "skill")
            table.add_column(COLUMNS[name], justify="left" if left else "right", no_wrap=True)
        for _, row in board.rows[board.rows["task"] == scope].iterrows():
            text = cells(row)
            table.add_row(*(text[name] for name in names))
        console.print(table, "")
    if board.scopes:
        console.print(LEGEND.replace("\n", " "), style="dim")
        if console.width < WIDE:
            console.print(
                f"With {WIDE} columns the terminal shows state size and sequences per second too.", style="dim"
            )
    for note in board.notes:
        console.print(note, style="yellow")


def _heading(board: Leaderboard, scope: str) -> str:
    return f"{board.experiment}: overall, {len(board.scopes) - 1} tasks" if scope == OVERALL else scope


def markdown(board: Leaderboard) -> str:
    """The leaderboard as a Markdown page."""
    lines = [f"# {board.experiment}", "", board.title, ""]
    for scope in board.scopes:
        here = board.rows[board.rows["task"] == scope]
        lines += [f"## {scope}", "", "| " + " | ".join(COLUMNS.values()) + " |"]
        lines += [
            "|" + "|".join("---" if name in ("architecture", "skill", "group") else "--:" for name in COLUMNS) + "|"
        ]
        lines += ["| " + " | ".join(cells(row).values()) + " |" for _, row in here.iterrows()]
        lines += [""]
    if len(board.longer):
        lines += [
            "## Beyond the training length",
            "",
            "| task | length | architecture | mean skill | seeds |",
            "|---|--:|---|--:|--:|",
        ]
        ordered = board.longer.sort_values(
            ["task", "length", "skill", "architecture"], ascending=[True, True, False, True]
        )
        lines += [
            f"| {r['task']} | {r['length']} | {r['architecture']} | {r['skill']:.2f} | {r['seeds']} |"
            for _, r in ordered.iterrows()
        ]
        lines += [""]
    return "\n".join([*lines, LEGEND, "", *(f"**{note}**\n" for note in board.notes)])


def as_json(board: Leaderboard) -> str:
    """The leaderboard as JSON; a figure that does not exist is null."""

    def records(frame: pd.DataFrame) -> Any:
        return json.loads(frame.to_json(orient="records", double_precision=12))

    page = {
        "experiment": board.experiment,
        "title": board.title,
        "rows": records(board.rows),
        "beyond_training_length": records(board.longer),
        "notes": board.notes,
    }
    return json.dumps(page, indent=2, ensure_ascii=False) + "\n"


def write(board: Leaderboard, folder: Path) -> list[Path]:
    """Write ``leaderboard.md``, ``.csv`` and ``.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "leaderboard.md": markdown(board),
        "leaderboard.csv": board.rows.to_csv(index=False, lineterminator="\n"),
        "leaderboard.json": as_json(board),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]
