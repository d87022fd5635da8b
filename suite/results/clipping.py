"""Clipping and depth: what the trials of a sweep say of clip threshold × learning rate × depth.

Everything is about trials, each one seed of one configuration: read cells with the number of trials in them. Skill is
that on validation, so that a range recommended here was not chosen on test data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from suite.experiment.search_space import Range
from suite.planning.job import Job, Outcome
from suite.statistics.bootstrap import OVERALL

BINS = 4
"""Of a searched range; listed values are cells of their own."""
NEAR = 0.05
"""Of skill: trials this close to the best of their study are as good."""
FEWEST_GOOD = 3
"""Fewer trials have no range."""
LEARNED = 0.1
"""Of skill: a best trial below this has not learned the task."""
AXES = ("depth", "clip", "learning_rate")


def trial_table(searches: Sequence[tuple[Job, Outcome]]) -> pd.DataFrame:
    """One row per finished trial. ``steps`` is the budget where the task was not solved; ``clip`` is inf where off."""
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
    """Means over trials per architecture, task (and `OVERALL`, all of them) and cell; empty cells have no row.

    A cell is a depth, a threshold and a learning rate: a listed value (``_low`` = ``_high``), or one of four parts of a
    range of ``space``, equal in its logarithm where it has one. ``skill_best`` is that of the best trial.
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
    """Both ends of the cell of each value; the value itself where it is outside the range, as fixed ones may be."""
    if not isinstance(dimension, Range) or len(set(values)) <= BINS:
        return values, values
    spaced = np.geomspace if dimension.log else np.linspace
    edges = spaced(dimension.low, dimension.high, BINS + 1)
    index = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)
    inside = (values >= dimension.low) & (values <= dimension.high)
    rounded = np.array([float(f"{edge:.6g}") for edge in edges])
    return np.where(inside, rounded[index], values), np.where(inside, rounded[index + 1], values)


def recommended(trials: pd.DataFrame) -> pd.DataFrame:
    """The span of each setting over the trials within 0.05 skill of the best, per architecture and task.

    A diverged trial is never among them, and three are the fewest that have a span. With several tasks, `OVERALL` is
    what the spans of the tasks have in common. ``note`` says where there is nothing to recommend, and the span is NaN
    then. ``trials`` is how many there were and ``good`` how many the span is of.
    """
    rows: list[dict[str, Any]] = []
    for architecture, own in trials.groupby("architecture"):
        tasks = [_span(here) | {"task": task} for task, here in own.groupby("task", sort=False)]
        if len(tasks) > 1:
            tasks.append(_common(tasks))
        rows += [{"architecture": architecture, **row} for row in tasks]
    columns = ["architecture", "task", "trials", "good", "best"]
    return pd.DataFrame(rows)[[*columns, *(f"{axis}_{end}" for axis in AXES for end in ("low", "high")), "note"]]


def _span(here: pd.DataFrame) -> dict[str, Any]:
    best = float(here["skill"].max())
    good = here[(here["skill"] >= best - NEAR) & ~here["diverged"]]
    row: dict[str, Any] = {"trials": len(here), "best": best}
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


def _common(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    known = [row for row in tasks if not row["note"]]
    row: dict[str, Any] = {name: sum(task[name] for task in tasks) for name in ("trials", "good")}
    row |= {"task": OVERALL, "best": float(np.mean([task["best"] for task in tasks])), **_ends(None)}
    if not known:
        return row | {"note": "no task has a range"}
    low = {axis: max(task[f"{axis}_low"] for task in known) for axis in AXES}
    high = {axis: min(task[f"{axis}_high"] for task in known) for axis in AXES}
    if empty := [axis for axis in AXES if low[axis] > high[axis]]:
        return row | {"note": f"the tasks have no {', '.join(empty).replace('_', ' ')} in common"}
    skipped = [str(task["task"]) for task in tasks if task["note"]]
    ends = {f"{axis}_low": low[axis] for axis in AXES} | {f"{axis}_high": high[axis] for axis in AXES}
    return row | ends | {"note": f"without {', '.join(skipped)}" if skipped else ""}
