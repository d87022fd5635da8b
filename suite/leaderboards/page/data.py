"""The data of a leaderboard's page as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from suite.leaderboards.columns import BEYOND, COST, MEMORY, OVERFITTING, Column
from suite.leaderboards.leaderboard import Leaderboard
from suite.leaderboards.page.plain import DRAWN, SAID, plain
from suite.leaderboards.page.protocol_text import citation, facts, sentences
from suite.leaderboards.page.rows import row_details
from suite.leaderboards.tables import (
    TableRow,
    beyond_rows,
    beyond_scopes,
    longer_columns,
    overfitting_ladders,
    overfitting_rows,
    ranking_rows,
    records,
    resolution_rows,
)
from suite.results.early_ends import stopped_note
from suite.results.horizon import TRAINED, Fit
from suite.results.lags import COLUMNS as CURVE
from suite.results.wording import horizon_text
from suite.statistics.profiles import THRESHOLDS

BESIDE = ("missing", "few_seeds", "remark")
"""The values that a table shows beside a name or instead of a number."""
SHOWN_OVERFITTING = ("train_skill", "validation_skill", "test_skill", "train_loss", "test_loss")
FINE = 60
"""The number of points of a fitted curve."""
FITTED_DIGITS = 3
"""The decimals of its skill, which is drawn and not read."""
FILES = {
    "leaderboard.md": "the tables, in Markdown",
    "leaderboard.csv": "every row with its intervals",
    "leaderboard.json": "the rows and more, for programs",
    "leaderboard.tex": "the tables, in LaTeX",
    "beyond.csv": "the ranking beyond the training length",
    "lags.csv": "skill against the lag or the position of a step",
    "horizon.csv": "skill against delay",
    "overfitting.csv": "each measure against the size of the training set",
    "clipping.csv": "trials by threshold, learning rate and depth",
    "runs.parquet": "every run with its configuration, metrics and learning curve",
    "manifest.json": "the proof of the rows, for memspan verify",
}


def page_data(board: Leaderboard, manifest: Mapping[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """Return everything that `render` of ``page/html.py`` shows.

    Args:
        board: a leaderboard with its record.
        manifest: its manifest.
        files: the names of what lies beside the page.
    """
    record = board.record
    assert record is not None
    values: dict[str, Any] = plain(
        {
            "experiment": board.experiment,
            "title": board.title or board.experiment,
            "description": " ".join(record.experiment.description.split()),
            "complete": record.complete,
            "planned": record.planned,
            "done": record.done,
            "notes": board.notes,
            "scopes": board.scopes,
            "architectures": _styles(board),
            "variants": board.variants,
            "rankings": {scope: _values(ranking_rows(board, scope), (*MEMORY, *COST)) for scope in board.scopes},
            "beyond": {scope: _values(beyond_rows(board, scope), BEYOND) for scope in beyond_scopes(board)},
            "overfitting": {
                ladder: _values(overfitting_rows(board, ladder), OVERFITTING) for ladder in overfitting_ladders(board)
            },
            "overfitting_curves": _overfitting_curves(board),
            "horizons": _horizons(board),
            "by_lag": plain(_values(records(board.by_lag), (), CURVE), DRAWN),
            "longer_note": " ".join(stopped_note(board.runs)) if len(board.longer) else "",
            "longer": _values(records(board.longer), longer_columns(board), ("remark",)),
            "profiles": plain(_profiles(board), DRAWN),
            "budget": plain(_budget(board), DRAWN),
            "critical": _critical(board),
            "comparisons": {
                scope: plain(pairs.drop(columns=["pairs", "p"]).to_dict("records"), SAID)
                for scope, pairs in board.comparisons.items()
            },
            "rows": row_details(record),
            "measured": {"sentences": list(sentences(record)), "facts": facts(record)},
            "resolution": resolution_rows(board),
            "cite": citation(board.experiment, str(manifest["digest"])),
            "files": [{"name": name, "what": FILES.get(name, "")} for name in files],
        }
    )
    return values


def _values(rows: Sequence[TableRow], columns: Sequence[Column], beside: Sequence[str] = BESIDE) -> list[TableRow]:
    """Return rows with the values of these columns alone."""
    names = dict.fromkeys([*(name for column in columns for name in column.keys), *beside])
    return [{name: row.get(name) for name in names} for row in rows]


def _styles(board: Leaderboard) -> list[dict[str, str]]:
    """Return the label, the family and the look of each architecture, the best first."""
    from suite.plots.style import styles_of

    first = board.rows[board.rows["task"] == board.scopes[0]] if board.scopes else board.rows
    labels = list(first["architecture"]) if len(first) else []
    families = board.record.families if board.record else {}
    styles = []
    style_of = styles_of(labels)
    for label in labels:
        style = style_of[label]
        lengths = style.linestyle[1] if isinstance(style.linestyle, tuple) else ()
        dash = " ".join(f"{2 * length:g}" for length in lengths)
        family = families.get(label, "")
        styles.append({"label": label, "family": family, "color": style.color, "marker": style.marker, "dash": dash})
    return styles


def _overfitting_curves(board: Leaderboard) -> list[dict[str, Any]]:
    ladders = []
    frame = board.overfitting_curves
    for ladder, points in frame.groupby("ladder", sort=False) if len(frame) else ():
        shown = points[points["measure"].isin(SHOWN_OVERFITTING)].sort_values("train_size")
        sizes = sorted(points["train_size"].unique())
        curves: dict[str, dict[str, Any]] = {}
        for (architecture, measure), curve in shown.groupby(["architecture", "measure"]):
            ordered = curve.set_index("train_size").reindex(sizes)
            curves.setdefault(str(architecture), {})[str(measure)] = {n: ordered[n] for n in ("mean", "low", "high")}
        ladders.append({"ladder": ladder, "sizes": sizes, "curves": curves})
    return ladders


def _horizons(board: Leaderboard) -> list[dict[str, Any]]:
    ladders = []
    frame = board.horizon_curves
    for (kind, ladder), points in frame.groupby(["kind", "ladder"], sort=False) if len(frame) else ():
        horizons = board.horizons[(board.horizons["kind"] == kind) & (board.horizons["ladder"] == ladder)]
        ordered = horizons.sort_values(["d50", "architecture"], ascending=[False, True])
        delays = np.geomspace(points["delay"].min(), points["delay"].max(), FINE)
        fits = [
            {"architecture": row["architecture"], "text": horizon_text(row), "fitted": _fitted(row, delays)}
            for _, row in ordered.iterrows()
        ]
        columns = ["architecture", "delay", "skill", "low", "high", "seeds"]
        ladders.append(
            {
                "kind": kind,
                "ladder": ladder,
                "levels": list(points["rung"].unique()) if kind == TRAINED else [ladder],
                "points": points[columns].to_dict("records"),
                "delays": delays.tolist(),
                "fits": fits,
            }
        )
    return ladders


def _fitted(row: pd.Series[Any], delays: np.ndarray) -> list[float]:
    """Return the fitted skill of a horizon at each delay, or an empty list where no seed has the whole ladder."""
    if not row["seeds"]:
        return []
    fit = Fit(*(np.array([row[name]]) for name in ("curve_d50", "slope", "lapse")))
    skills: list[float] = fit.at(delays)[0].round(FITTED_DIGITS).tolist()
    return skills


def _profiles(board: Leaderboard) -> dict[str, Any]:
    profiles: dict[str, Any] = {}
    for scope in board.scopes:
        lines = board.profiles[board.profiles["task"] == scope]
        curves = {
            str(name): {column: line[column] for column in ("share", "low", "high")}
            for name, line in lines.groupby("architecture")
        }
        profiles[scope] = {"thresholds": THRESHOLDS, "curves": curves}
    return profiles


def _budget(board: Leaderboard) -> dict[str, Any] | None:
    if not len(board.budget):
        return None
    curves: dict[str, dict[str, Any]] = {}
    for (scope, architecture), lines in board.budget.groupby(["task", "architecture"]):
        ordered = lines.sort_values("trials")
        curve = {name: ordered[name] for name in ("expected", "low", "high")}
        curves.setdefault(str(scope), {})[str(architecture)] = curve
    return {scope: curves[scope] for scope in board.scopes if scope in curves}


def _critical(board: Leaderboard) -> dict[str, Any] | None:
    if board.critical is None:
        return None
    ranks = [{"architecture": name, "rank": rank} for name, rank in board.critical.ranks.items()]
    return {"p": board.critical.p, "tasks": board.critical.tasks, "ranks": ranks, "cliques": board.critical.cliques}
