"""The further tables of a leaderboard as text: memory horizons, overfitting, clipping."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from suite.experiment.search_space import FEWEST_TRIALS
from suite.leaderboards.leaderboard import Clipping, Leaderboard
from suite.results import horizon
from suite.results.wording import _delay, horizon_figure, horizon_text, number, stem
from suite.statistics.bootstrap import OVERALL

HORIZON_LEGEND = """\
d50, d90: the delay at which the fitted curve keeps half and nine tenths of its plateau, which is at least 0.9 of
skill (a net that never learned has a short horizon); with the 95 % interval over seeds; "≥" and "<": beyond the
longest or shortest delay that was tried. Overall is the geometric mean over ladders, a censored horizon counted at
the end of its ladder ("~": at both ends)."""
OVERFITTING_LEGEND = """\
Means over the logarithm of the size of the training set. Ranked by the skill on test data of early-stopped nets, which
is 0 for a net that learned nothing. test loss: early-stopped too. gap: skill on the training data minus skill on the
test data, at the best validation point; at end: after the last step. group: as above."""
CLIPPING_LEGEND = """\
The span of what is as good as the best trial, to 0.05 of validation skill, of trials with one seed each. Overall: what
the tasks have in common."""
IMPORTANCE_LEGEND = """\
The share of each hyper-parameter in what sets the best quarter of the trials apart (PED-ANOVA), with its 95 % interval
over resampled trials."""


@dataclass(frozen=True)
class Section:
    """A table as text, and what goes with it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    legend: str = ""
    """Said once, below the last of the sections that share it."""
    figure: str = ""
    """The stem of the picture that shows the same."""
    left: int = 1
    """So many columns are text and stand on the left."""
    wide: frozenset[str] = frozenset()
    """Columns that a narrow terminal leaves out."""
    terminal: bool = True


def sections(board: Leaderboard) -> Iterator[Section]:
    """The tables that this leaderboard has beyond its rows, except those of clipping."""
    if len(board.horizons):
        for (kind, ladder), rows in board.horizons.groupby(["kind", "ladder"], sort=False):
            yield _horizon(board, str(kind), str(ladder), rows)
    if len(board.overfitting):
        for ladder in board.overfitting["task"].unique():
            yield _overfitting(board, str(ladder))


def _horizon(board: Leaderboard, kind: str, ladder: str, rows: pd.DataFrame) -> Section:
    curves = board.horizon_curves
    tried = curves[(curves["kind"] == kind) & (curves["ladder"] == ladder)]["delay"].unique()
    how = "trained at each" if kind == horizon.TRAINED else "trained at the shortest"
    delays = f"{len(tried)} delays from {_delay(tried.min())} to {_delay(tried.max())}, " if len(tried) else ""
    ordered = rows.sort_values(["d50", "d90", "architecture"], ascending=[False, False, True])
    return Section(
        title=f"memory horizon, {ladder} ({delays}{how})",
        columns=["architecture", "d50 [95 %]", "d90 [95 %]", "seeds"],
        rows=[
            [row["architecture"], horizon_text(row), horizon_text(row, "d90"), f"{row['seeds']}"]
            for _, row in ordered.iterrows()
        ],
        legend=HORIZON_LEGEND,
        figure="" if ladder == OVERALL else horizon_figure(kind, ladder),
    )


def _overfitting(board: Leaderboard, ladder: str) -> Section:
    curves = board.overfitting_curves
    sizes = curves[curves["ladder"] == ladder]["train_size"]
    span = f", {sizes.min():,.0f} to {sizes.max():,.0f} sequences" if len(sizes) else ""
    rows = []
    for _, row in board.overfitting[board.overfitting["task"] == ladder].iterrows():
        rank = "–" if math.isnan(row["rank_low"]) else f"{row['rank_low']:.0f}–{row['rank_high']:.0f}"
        known = not math.isnan(row["mean"])
        loss = f"{row['test_loss']:.2f}"
        if not math.isnan(row["test_loss_low"]):
            loss += f" [{row['test_loss_low']:.2f}, {row['test_loss_high']:.2f}]"
        rows.append(
            [
                row["architecture"],
                f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" if known else f"– (no {row['missing']})",
                row["group"],
                f"{row['rank_low']:.0f}" if row["rank_low"] == row["rank_high"] else rank,
                f"{row['seeds']:.0f}",
                loss,
                f"{round(row['gap_skill'], 2) + 0.0:.2f}",
                f"{round(row['final_gap_skill'], 2) + 0.0:.2f}",
            ]
        )
    return Section(
        title=f"overfitting, {ladder}{span}",
        columns=["architecture", "skill [95 %]", "group", "rank", "seeds", "test loss", "gap", "at end"],
        rows=rows,
        legend=OVERFITTING_LEGEND,
        figure="" if ladder == OVERALL else stem("overfitting", ladder),
        left=3,
        wide=frozenset({"at end"}),
    )


def clipping_sections(board: Leaderboard) -> Iterator[Section]:
    """What trials say of clipping; where they are too few, that instead of numbers."""
    if not board.searches:
        return
    if board.clipping is None:
        most = max(len(row.trials) for row in board.searches)
        few = f"At most {most} trials per study: too few, {FEWEST_TRIALS} are needed."
        yield Section("clipping and depth", [], [], legend=few, terminal=False)
        return
    yield _recommended(board.clipping)
    yield from _importances(board.clipping)
    for architecture in sorted(board.clipping.cells["architecture"].unique()):
        yield Section(
            f"clipping and depth, {architecture}", [], [], figure=stem("clipping", architecture), terminal=False
        )


def _recommended(found: Clipping) -> Section:
    rows = [
        [row["architecture"], row["task"], f"{row['best']:.2f}", f"{row['good']} of {row['trials']}", *_spans(row)]
        for _, row in found.recommended.iterrows()
    ]
    columns = ["architecture", "task", "best skill", "as good", "depth", "clip", "learning rate", "note"]
    return Section("recommended settings", columns, rows, CLIPPING_LEGEND, left=2, terminal=False)


def _spans(row: pd.Series[Any]) -> list[str]:
    if math.isnan(row["depth_low"]):
        return ["–", "–", "–", row["note"]]
    return [
        *(_span(row[f"{axis}_low"], row[f"{axis}_high"]) for axis in ("depth", "clip", "learning_rate")),
        row["note"],
    ]


def _span(low: float, high: float) -> str:
    return number(low) if low == high else f"{number(low)} – {number(high)}"


def _importances(found: Clipping) -> Iterator[Section]:
    table = found.importances
    names = sorted(table["parameter"].dropna().unique())
    rows = []
    for (architecture, task), here in table.groupby(["architecture", "task"], sort=False):
        shown = {
            row["parameter"]: f"{row['importance']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
            for _, row in here.iterrows()
            if not row["note"]
        }
        rows.append([architecture, task, *(shown.get(name, "–") for name in names), here["note"].iloc[0]])
    yield Section(
        "importances", ["architecture", "task", *names, "note"], rows, IMPORTANCE_LEGEND, left=2, terminal=False
    )
