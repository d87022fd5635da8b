"""The tables of clipping and depth, which are made from the trials of a leaderboard."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from suite.errors import many
from suite.experiment.search_space import FEWEST_TRIALS
from suite.leaderboards.columns import NAME, Column
from suite.leaderboards.leaderboard import Clipping, Leaderboard
from suite.leaderboards.tables import TableRow
from suite.leaderboards.text.sections import Section
from suite.results.wording import UNKNOWN, setting_text, stem

TASK, NOTE = Column("task", "task", "text"), Column("note", "note", "text")
AXES = ("depth", "clip", "learning_rate")


def clipping_sections(board: Leaderboard) -> Iterator[Section]:
    """Yield the tables of clipping, or a sentence where there are too few trials for them."""
    if not board.searches:
        return
    if board.clipping is None:
        most = max(len(row.trials) for row in board.searches)
        few = f"At most {many(most, 'trial')} per study are too few: {FEWEST_TRIALS} are needed."
        yield Section("clipping", "Clipping and depth", note=few, terminal=False)
        return
    yield _recommended(board.clipping)
    yield _importances(board.clipping)
    for architecture in sorted(board.clipping.cells["architecture"].unique()):
        title = f"Clipping and depth, {architecture}"
        yield Section("clipping", title, figure=stem("clipping", architecture), terminal=False)


def _recommended(clipping: Clipping) -> Section:
    ranges = [Column(axis, axis.replace("_", " "), "text") for axis in AXES]
    columns = [NAME, TASK, Column("best", "best skill"), Column("good_of_all", "as good", "text"), *ranges, NOTE]
    rows: list[TableRow] = []
    for _, row in clipping.recommended.iterrows():
        spans = {axis: _span(row[f"{axis}_low"], row[f"{axis}_high"]) for axis in AXES}
        rows.append({**row, **spans, "good_of_all": f"{row['good']} of {row['trials']}"})
    return Section("recommended", "Recommended settings", columns, rows, terminal=False)


def _span(low: float, high: float) -> str:
    if math.isnan(low):
        return UNKNOWN
    return setting_text(low) if low == high else f"{setting_text(low)} – {setting_text(high)}"


def _importances(clipping: Clipping) -> Section:
    table = clipping.importances
    parameters = [
        Column(name, name, low=f"{name}_low", high=f"{name}_high", interval=True)
        for name in sorted(table["parameter"].dropna().unique())
    ]
    rows: list[TableRow] = []
    for (architecture, task), lines in table.groupby(["architecture", "task"], sort=False):
        row: dict[str, Any] = {"architecture": architecture, "task": task, "note": lines["note"].iloc[0]}
        for _, line in lines[lines["note"] == ""].iterrows():
            name = line["parameter"]
            row |= {name: line["importance"], f"{name}_low": line["low"], f"{name}_high": line["high"]}
        rows.append(row)
    return Section("importances", "Importances", [NAME, TASK, *parameters, NOTE], rows, terminal=False)
