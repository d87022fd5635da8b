"""Clipping and depth: the trials of a sweep over clip threshold × learning rate × depth.

Every trial is one seed of one configuration, so read a cell together with the number of trials in it. Skill is that on
validation data, so that no range recommended here was chosen on test data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from suite.experiment.search_space import Range
from suite.planning.job import Job, Outcome
from suite.statistics.table import OVERALL

BINS = 4
"""The number of parts of a searched range; each listed value is a cell of its own."""
NEAR = 0.05
"""Trials whose skill is this close to the best of their study are as good."""
FEWEST_GOOD = 3
"""The fewest good trials that have a range."""
LEARNED = 0.1
"""If the best trial has less skill than this, nothing has learned the task."""
AXES = ("depth", "clip", "learning_rate")


def trial_table(searches: Sequence[tuple[Job, Outcome]]) -> pd.DataFrame:
    """Return one row per finished trial.

    ``steps`` is the budget where the task was not solved, and ``clip`` is inf where clipping is off.
    """
    rows = []
    for job, outcome in searches:
        training, metrics = job.config.training, outcome.metrics
        rows.append(
            {
                "architecture": job.variant,
                "task": job.level,
                "trial": job.number,
                "depth": job.config.model.depth,
                "clip": training.clip,
                "learning_rate": training.learning_rate,
                "skill": metrics["validation_skill"],
                "solved": bool(metrics["solved"]),
                "steps": metrics.get("steps_to_solve", float(training.steps)),
                "diverged": bool(metrics["diverged"]),
                "clip_fraction": metrics.get("clip_fraction", math.nan),
            }
        )
    return pd.DataFrame(rows)


def cells(trials: pd.DataFrame, space: Mapping[str, Range | tuple[Any, ...]]) -> pd.DataFrame:
    """Return means over trials per architecture, task (and `OVERALL`, all tasks) and cell; empty cells have no row.

    A cell is a depth, a threshold and a learning rate. Each is a listed value (``_low`` = ``_high``) or one of four
    equal parts of a range of ``space``, or of its logarithm if the range has one. ``skill_best`` is the skill of the
    best trial.
    """
    binned = trials.copy()
    for axis in AXES:
        low, high = _bins(trials[axis].to_numpy(dtype=np.float64), space.get(axis))
        binned[f"{axis}_low"], binned[f"{axis}_high"] = low, high
    if trials["task"].nunique() > 1:
        binned = pd.concat([binned, binned.assign(task=OVERALL)])
    keys = ["architecture", "task", *(f"{axis}_{end}" for axis in AXES for end in ("low", "high"))]
    return binned.groupby(keys, as_index=False, sort=True).agg(
        trials=("trial", "size"),
        diverged=("diverged", "mean"),
        clip_fraction=("clip_fraction", "mean"),
        skill=("skill", "mean"),
        skill_best=("skill", "max"),
        solved=("solved", "mean"),
        steps=("steps", "mean"),
    )


def _bins(values: np.ndarray, dimension: Range | tuple[Any, ...] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return both ends of each value's cell; a value outside the range, as a fixed one may be, is its own cell."""
    if not isinstance(dimension, Range) or len(set(values)) <= BINS:
        return values, values
    spaced = np.geomspace if dimension.log else np.linspace
    edges = spaced(dimension.low, dimension.high, BINS + 1)
    index = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)
    inside = (values >= dimension.low) & (values <= dimension.high)
    rounded = np.array([float(f"{edge:.6g}") for edge in edges])
    return np.where(inside, rounded[index], values), np.where(inside, rounded[index + 1], values)


def recommended(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the span of each setting over the trials within 0.05 skill of the best, per architecture and task.

    A diverged trial is never among them, and at least three are needed for a span. With several tasks, `OVERALL` is
    what the spans of the tasks have in common. Where there is nothing to recommend, the span is NaN and ``note`` says
    why. ``trials`` is the number of trials, and ``good`` the number of those in the span.
    """
    rows: list[dict[str, Any]] = []
    for architecture, own_trials in trials.groupby("architecture"):
        spans = [_span(tried) | {"task": task} for task, tried in own_trials.groupby("task", sort=False)]
        if len(spans) > 1:
            spans.append(_common(spans))
        rows += [{"architecture": architecture, **span} for span in spans]
    columns = ["architecture", "task", "trials", "good", "best"]
    return pd.DataFrame(rows)[[*columns, *(f"{axis}_{end}" for axis in AXES for end in ("low", "high")), "note"]]


def _span(trials: pd.DataFrame) -> dict[str, Any]:
    """Return the span over the good ones of these trials of one architecture on one task."""
    best = float(trials["skill"].max())
    good = trials[(trials["skill"] >= best - NEAR) & ~trials["diverged"]]
    row: dict[str, Any] = {"trials": len(trials), "best": best}
    if best < LEARNED:
        return row | {"good": 0, "note": f"nothing learned: best skill {best:.2f}", **_ends(None)}
    if len(good) < FEWEST_GOOD:
        return row | {"good": len(good), "note": "too few as good for a range", **_ends(None)}
    return row | {"good": len(good), "note": "", **_ends(good)}


def _ends(good: pd.DataFrame | None) -> dict[str, float]:
    ends = {"low": "min", "high": "max"}
    return {
        f"{axis}_{end}": math.nan if good is None else float(good[axis].agg(how))
        for axis in AXES
        for end, how in ends.items()
    }


def _common(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the spans of several tasks have in common; tasks without a span are named in the note."""
    usable = [span for span in spans if not span["note"]]
    row: dict[str, Any] = {name: sum(span[name] for span in spans) for name in ("trials", "good")}
    row |= {"task": OVERALL, "best": float(np.mean([span["best"] for span in spans])), **_ends(None)}
    if not usable:
        return row | {"note": "no task has a range"}
    low = {axis: max(span[f"{axis}_low"] for span in usable) for axis in AXES}
    high = {axis: min(span[f"{axis}_high"] for span in usable) for axis in AXES}
    if empty := [axis for axis in AXES if low[axis] > high[axis]]:
        return row | {"note": f"the tasks have no {', '.join(empty).replace('_', ' ')} in common"}
    skipped = [str(span["task"]) for span in spans if span["note"]]
    ends = {f"{axis}_low": low[axis] for axis in AXES} | {f"{axis}_high": high[axis] for axis in AXES}
    return row | ends | {"note": f"without {', '.join(skipped)}" if skipped else ""}
