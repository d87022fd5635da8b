"""What the page of a leaderboard shows, as plain values: finite numbers of a few digits, or None."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from suite.leaderboards.leaderboard import Leaderboard
from suite.leaderboards.page.protocol_text import citation, facts, sentences
from suite.leaderboards.page.rows import rows
from suite.leaderboards.text.summaries import cost
from suite.results.horizon import Fit
from suite.results.wording import horizon_text
from suite.statistics.profiles import THRESHOLDS

MEMORY = {
    "architecture": "architecture",
    "rank": "rank",
    "rank_low": "rank_low",
    "rank_high": "rank_high",
    "mean": "mean",
    "low": "low",
    "high": "high",
    "group": "group",
    "seeds": "seeds",
    "few_seeds": "few_seeds",
    "iqm": "iqm",
    "iqm_low": "iqm_low",
    "iqm_high": "iqm_high",
    "solve_rate": "solve_rate",
    "solve_low": "solve_low",
    "solve_high": "solve_high",
    "steps": "steps",
    "steps_low": "steps_low",
    "steps_high": "steps_high",
    "gap": "gap",
    "gap_low": "gap_low",
    "gap_high": "gap_high",
    "diverged": "diverged",
    "parameters": "parameters",
    "state_size": "state_size",
    "speed": "sequences_per_second",
    "speed_low": "sequences_per_second_low",
    "speed_high": "sequences_per_second_high",
    "missing": "missing",
}
"""What the page calls the columns of a leaderboard."""
COST = ("architecture", "mean", "low", "high", "speed", "speed_low", "speed_high", "parameters", "state_size", "steps")
OVERFITTING = {
    **{name: name for name in ("architecture", "rank_low", "rank_high", "mean", "low", "high", "group", "seeds")},
    **{name: name for name in ("few_seeds", "test_loss", "test_loss_low", "test_loss_high", "missing")},
    "gap": "gap_skill",
    "final_gap": "final_gap_skill",
}
SHOWN_OVERFITTING = ("train_skill", "validation_skill", "test_skill", "train_loss", "test_loss")
FINE = 60
"""Points of a fitted curve."""
DIGITS = 5
FILES = {
    "leaderboard.md": "the tables, in Markdown",
    "leaderboard.csv": "every row with its intervals",
    "leaderboard.json": "the same and more, for programs",
    "leaderboard.tex": "the tables, in LaTeX",
    "horizon.csv": "skill against delay",
    "overfitting.csv": "each measure against the size of the training set",
    "clipping.csv": "trials by threshold, learning rate and depth",
    "runs.parquet": "every run: configuration, metrics, learning curve",
    "manifest.json": "what proves the rows; for memspan verify",
}


def page_data(board: Leaderboard, proof: Mapping[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """Everything that ``page.render`` wants to know.

    Args:
        board: a leaderboard with its record.
        proof: its manifest.
        files: the names of what lies beside the page.
    """
    record = board.record
    assert record is not None
    found = {
        "experiment": board.experiment,
        "title": board.title or board.experiment,
        "description": " ".join(record.experiment.description.split()),
        "complete": record.complete,
        "planned": record.planned,
        "done": record.done,
        "notes": board.notes,
        "scopes": board.scopes,
        "architectures": _styles(board),
        "memory": {scope: _memory(board, scope) for scope in board.scopes},
        "cost": {scope: _cost(board, scope) for scope in board.scopes},
        "overfitting": _overfitting(board),
        "overfitting_curves": _overfitting_curves(board),
        "horizons": _horizons(board),
        "longer": _lines(board.longer),
        "profiles": _profiles(board),
        "budget": _budget(board),
        "critical": _critical(board),
        "comparisons": {
            scope: _lines(frame.drop(columns=["pairs", "p"])) for scope, frame in board.comparisons.items()
        },
        "rows": rows(record),
        "measured": {"sentences": list(sentences(record)), "facts": facts(record)},
        "cite": citation(board.experiment, str(proof["digest"])),
        "files": [{"name": name, "what": FILES.get(name, "")} for name in files],
    }
    plain: dict[str, Any] = _plain(found)
    return plain


def _plain(value: Any) -> Any:
    """Nested values with finite numbers of a few digits only."""
    if isinstance(value, float):  # most are; a double of NumPy is one
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() else float(f"{value:.{DIGITS}g}")
    if isinstance(value, str | int) or value is None:
        return value
    if isinstance(value, np.ndarray | pd.Series | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value]


def _lines(frame: pd.DataFrame, names: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """A dictionary per line of a table, with other names where they are given."""
    if names is not None:
        frame = frame.reindex(columns=list(names.values())).set_axis(list(names), axis=1)
    return [{str(key): value for key, value in line.items()} for line in frame.to_dict("records")]


def _styles(board: Leaderboard) -> list[dict[str, str]]:
    from suite.plots.style import styles_of

    first = board.rows[board.rows["task"] == board.scopes[0]] if board.scopes else board.rows
    labels = list(first["architecture"]) if len(first) else []
    styles = styles_of(labels)
    found = []
    for label in labels:
        dash = styles[label].linestyle
        text = " ".join(f"{2 * length:g}" for length in dash[1]) if isinstance(dash, tuple) else ""
        found.append({"label": label, "color": styles[label].color, "marker": styles[label].marker, "dash": text})
    return found


def _memory(board: Leaderboard, scope: str) -> list[dict[str, Any]]:
    here = board.rows[board.rows["task"] == scope]
    lines = _lines(here, MEMORY)
    for line, (_, row) in zip(lines, here.iterrows(), strict=True):
        known = isinstance(row.get("horizon_censored"), str)
        line["horizon"] = horizon_text(row, prefix="horizon_") if known else None
        line["horizon_d50"] = row["horizon_d50"] if known else None
    return lines


def _cost(board: Leaderboard, scope: str) -> list[dict[str, Any]]:
    names = {name: MEMORY[name] for name in COST} | {"seconds_to_solve": "seconds_to_solve", "front": "front"}
    return _lines(cost(board, scope), names)


def _overfitting(board: Leaderboard) -> dict[str, Any]:
    if not len(board.overfitting):
        return {}
    return {str(ladder): _lines(here, OVERFITTING) for ladder, here in board.overfitting.groupby("task", sort=False)}


def _overfitting_curves(board: Leaderboard) -> list[dict[str, Any]]:
    found = []
    frame = board.overfitting_curves
    for ladder, here in frame.groupby("ladder", sort=False) if len(frame) else ():
        shown = here[here["measure"].isin(SHOWN_OVERFITTING)].sort_values("train_size")
        sizes = sorted(here["train_size"].unique())
        curves: dict[str, dict[str, Any]] = {}
        for (architecture, measure), points in shown.groupby(["architecture", "measure"]):
            ordered = points.set_index("train_size").reindex(sizes)
            curves.setdefault(str(architecture), {})[str(measure)] = {n: ordered[n] for n in ("mean", "low", "high")}
        found.append({"ladder": ladder, "sizes": sizes, "curves": curves})
    return found


def _horizons(board: Leaderboard) -> list[dict[str, Any]]:
    found = []
    frame = board.horizon_curves
    for (kind, ladder), points in frame.groupby(["kind", "ladder"], sort=False) if len(frame) else ():
        mine = (board.horizons["kind"] == kind) & (board.horizons["ladder"] == ladder)
        fine = np.geomspace(points["delay"].min(), points["delay"].max(), FINE)
        fits = []
        for _, row in board.horizons[mine].sort_values(["d50", "architecture"], ascending=[False, True]).iterrows():
            curve = []
            if row["seeds"]:
                fit = Fit(*(np.array([row[name]]) for name in ("curve_d50", "slope", "lapse")))
                curve = [list(point) for point in zip(fine, fit.at(fine)[0], strict=True)]
            fits.append({"architecture": row["architecture"], "text": horizon_text(row), "curve": curve})
        columns = ["architecture", "delay", "skill", "low", "high", "seeds"]
        found.append({"kind": kind, "ladder": ladder, "points": _lines(points[columns]), "fits": fits})
    return found


def _profiles(board: Leaderboard) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for scope in board.scopes:
        here = board.profiles[board.profiles["task"] == scope]
        curves = {
            str(name): {column: line[column] for column in ("share", "low", "high")}
            for name, line in here.groupby("architecture")
        }
        found[scope] = {"thresholds": THRESHOLDS, "curves": curves}
    return found


def _budget(board: Leaderboard) -> dict[str, Any] | None:
    if not len(board.budget):
        return None
    found: dict[str, dict[str, Any]] = {}
    for (scope, architecture), here in board.budget.groupby(["task", "architecture"]):
        ordered = here.sort_values("trials")
        curve = {name: ordered[name] for name in ("expected", "low", "high")}
        found.setdefault(str(scope), {})[str(architecture)] = {**curve, "default": ordered["default"].iloc[0]}
    return {scope: found[scope] for scope in board.scopes if scope in found}


def _critical(board: Leaderboard) -> dict[str, Any] | None:
    if board.critical is None:
        return None
    ranks = [{"architecture": name, "rank": rank} for name, rank in board.critical.ranks.items()]
    return {"p": board.critical.p, "tasks": board.critical.tasks, "ranks": ranks, "cliques": board.critical.cliques}
