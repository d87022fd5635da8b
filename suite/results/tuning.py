"""What tuning was worth: the budget curve, the untuned default beside it, and optima at an edge of the space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from suite.experiment.run_config import derived_seed
from suite.experiment.search_space import Range
from suite.planning.study import Study
from suite.results.record import Record, Row
from suite.statistics.bootstrap import CONFIDENCE, OVERALL, Floats

RESAMPLES = 1000
EDGE = 0.05
"""Of a searched range: an optimum so close to one of its ends may lie beyond it."""
FEWEST_CHOICES = 3
"""A list of two has nothing but edges."""


def expected_best(values: Floats, budget: int) -> Floats:
    """The expected best of n of these trials, n = 1 … ``budget``, for each row of ``values`` ``[rows, trials]``.

    E max = Σ_i v_(i) ((i/N)ⁿ − ((i−1)/N)ⁿ) with N trials in ascending order (Dodge et al. 2019, section 3.1): n trials
    drawn from those that were made, with replacement.
    """
    ordered, n = np.sort(values, axis=1), np.arange(1, budget + 1)[:, None]
    places = np.arange(values.shape[1] + 1) / values.shape[1]
    found: Floats = ordered @ np.diff(places**n, axis=1).T
    return found


def budget_curves(record: Record) -> pd.DataFrame:
    """Expected best validation skill against the number of trials, per architecture and scope.

    Columns: ``architecture``, ``task`` (and `OVERALL`: the mean over tasks), ``trials``, ``expected``, ``low``,
    ``high``, ``default`` (of trial 0, which is not tuned). The interval is that of resampled trials, each of which is
    one seed. Empty where nothing is searched; only rows with all their trials count.
    """
    budget = record.experiment.sweep.trials
    complete = [row for row in record.rows if budget > 1 and len(row.trials) == budget]
    tasks = {row.study.level.label for row in record.rows}
    points: dict[str, dict[str, Floats]] = {}  # architecture, task: [1 + resamples, trials]
    defaults: dict[str, dict[str, float]] = {}
    for row in complete:
        skills = np.array([outcome.metrics["validation_skill"] for _, outcome in row.trials])
        # By the task alone: the same trials are drawn for every architecture.
        generator = np.random.default_rng(derived_seed("budget", row.study.level.label))
        drawn = skills[generator.integers(budget, size=(RESAMPLES, budget))]
        label, task = row.study.variant.label, row.study.level.label
        points.setdefault(label, {})[task] = expected_best(np.vstack([skills, drawn]), budget)
        defaults.setdefault(label, {})[task] = float(skills[0])
    lines: list[tuple[object, ...]] = []
    for label, found in points.items():
        scopes = dict(found)
        before = dict(defaults[label])
        if len(tasks) > 1 and set(found) == tasks:
            scopes[OVERALL] = np.mean(list(found.values()), axis=0)
            before[OVERALL] = float(np.mean(list(before.values())))
        for scope, curves in scopes.items():
            low, high = np.quantile(curves[1:], ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2), axis=0)
            lines += [(label, scope, i + 1, curves[0, i], low[i], high[i], before[scope]) for i in range(budget)]
    return pd.DataFrame(lines, columns=["architecture", "task", "trials", "expected", "low", "high", "default"])


def edges(study: Study, params: Mapping[str, Any]) -> list[str]:
    """The searched numbers whose chosen value lies at an edge of their range: a wider space may have a better one.

    An edge is the outer twentieth of a range (of its logarithm, where it has one), or the smallest or largest of three
    listed numbers or more. Beyond what is infinite, as a threshold that is off, there is nothing: that is no edge.
    """
    return [name for name, value in params.items() if name in study.space and _at_edge(study.space[name], value)]


def _at_edge(dimension: Range | tuple[Any, ...], value: Any) -> bool:
    if isinstance(dimension, Range):
        low, high, at = float(dimension.low), float(dimension.high), float(value)
        if dimension.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return min(at - low, high - at) <= EDGE * (high - low)
    numbers = [one for one in dimension if type(one) in (int, float)]
    ends = (min(numbers), max(numbers)) if len(numbers) >= FEWEST_CHOICES else ()
    return value in ends and math.isfinite(value)


def at_edges(record: Record) -> dict[str, list[str]]:
    """The rows whose optimum lies at an edge, by name, with what lies there."""
    found = {row.name: edges(row.study, row.params) for row in record.rows}
    return {name: names for name, names in found.items() if names}


def default_and_tuned(row: Row) -> tuple[float | None, float | None]:
    """Validation skill of the untuned default (trial 0) and of the chosen trial; None where nothing was searched."""
    if not row.trials or not row.evaluations:
        return None, None
    skills = [(job.params, outcome.metrics["validation_skill"]) for job, outcome in row.trials]
    return skills[0][1], next((skill for params, skill in skills if params == row.params), None)
