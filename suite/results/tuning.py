"""The worth of tuning: the budget curve, the untuned default beside it, and optima at an edge of the space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from suite.experiment.run_config import derived_seed
from suite.experiment.search_space import Range
from suite.planning.study import Study
from suite.results.record import Record, Row
from suite.statistics.table import OVERALL, TAILS, Floats

DRAWS = 1000
EDGE = 0.05
"""The share of a searched range at each end that is its edge: an optimum there may lie beyond the end."""
FEWEST_CHOICES = 3
"""The fewest listed numbers that have an edge: a list of two would have nothing but edges."""
OFF_AT_0 = ("warmup", "weight_decay")
"""The settings that 0 turns off, so that there is nothing beyond it."""


def expected_best(skills: Floats) -> Floats:
    """Return the expected best of n trials, n = 1 … N, from the skills of all N of them, ``[trials]``.

    The first is that of the default, which is always among the n. The n − 1 others are drawn from the M = N − 1 that
    were made, without replacement. With d for the skill of the default and these in ascending order,

        E max = Σ_i max(d, v_(i)) C(i − 1, n − 2) / C(M, n − 1)

    (Tang et al. 2020, who show that to draw with replacement, as Dodge et al. 2019 do, is biased).
    """
    default, others = skills[0], np.sort(skills[1:])
    place, drawn = np.arange(1, len(skills)), np.arange(1, len(skills))[:, None]
    # C(i − 1, n − 2) / C(M, n − 1), the chance that the best of those drawn is the i-th; 0 where fewer lie below it
    chance = np.exp(_log_choose(place - 1, drawn - 1) - _log_choose(len(others), drawn))
    return np.array([default, *(chance @ np.maximum(default, others))])


def _log_choose(n: Any, k: Any) -> Any:
    """Return the logarithm of the number of ways to choose k of n, which is −∞ where k exceeds n."""
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)


def budget_curves(record: Record) -> pd.DataFrame:
    """Return the expected best validation skill against the number of trials, per architecture and scope.

    The columns are ``architecture``, ``task`` (with `OVERALL`, the mean over tasks), ``trials``, ``expected``, ``low``,
    ``high`` and ``default``, the skill of trial 0, which is not tuned and with which each curve begins. The interval
    holds 95 % of the draws of so many trials, and the expectation. It closes at both ends, where nothing is left to be
    drawn: it does not contain the luck of seeds, of which each trial has one. Only rows with all their trials count;
    where nothing is searched, the table is empty.
    """
    budget = record.experiment.sweep.trials
    complete = [row for row in record.rows if budget > 1 and len(row.trials) == budget]
    tasks = {row.study.level.label for row in record.rows}
    points: dict[str, dict[str, Floats]] = {}  # architecture, task: [1 + draws, trials]
    for row in complete:
        skills = np.array([outcome.metrics["validation_skill"] for _, outcome in row.trials])
        # The seed depends on the task alone, so that the same trials are drawn for every architecture.
        generator = np.random.default_rng(derived_seed("budget", row.study.level.label))
        orders = generator.permuted(np.tile(np.arange(1, budget), (DRAWS, 1)), axis=1)
        drawn = skills[np.insert(orders, 0, 0, axis=1)]
        curves = np.vstack([expected_best(skills), np.maximum.accumulate(drawn, axis=1)])
        points.setdefault(row.study.variant.label, {})[row.study.level.label] = curves
    lines: list[tuple[object, ...]] = []
    for label, by_task in points.items():
        by_scope = dict(by_task)
        if len(tasks) > 1 and set(by_task) == tasks:
            by_scope[OVERALL] = np.mean(list(by_task.values()), axis=0)
        for scope, curves in by_scope.items():
            expected, draws = curves[0], curves[1:]
            low, high = np.quantile(draws, TAILS, axis=0)
            # A single good trial of many can lift the expectation above 95 % of the draws.
            low, high = np.minimum(low, expected), np.maximum(high, expected)
            lines += [(label, scope, i + 1, expected[i], low[i], high[i], expected[0]) for i in range(budget)]
    return pd.DataFrame(lines, columns=["architecture", "task", "trials", "expected", "low", "high", "default"])


def edges(study: Study, params: Mapping[str, Any]) -> list[str]:
    """Return the searched numbers whose chosen value lies at an edge, so that a wider space may have a better one.

    An edge is the outer twentieth of a range (of its logarithm, where it has one), or the smallest or largest of three
    listed numbers or more. A setting that is off, such as an infinite threshold or a warm-up of 0 steps, is at no
    edge: there is nothing beyond it.
    """
    # The order is that of the space. The order of the parameters depends on where they were read.
    chosen = {name: params[name] for name in study.space if name in params}
    off = {name for name, value in chosen.items() if name in OFF_AT_0 and value == 0}
    return [name for name, value in chosen.items() if name not in off and _at_edge(study.space[name], value)]


def _at_edge(dimension: Range | tuple[Any, ...], value: Any) -> bool:
    if isinstance(dimension, Range):
        low, high, at = float(dimension.low), float(dimension.high), float(value)
        if dimension.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return min(at - low, high - at) <= EDGE * (high - low)
    numbers = [choice for choice in dimension if type(choice) in (int, float)]
    ends = (min(numbers), max(numbers)) if len(numbers) >= FEWEST_CHOICES else ()
    return value in ends and math.isfinite(value)


def at_edges(record: Record) -> dict[str, list[str]]:
    """Return the hyper-parameters that lie at an edge, by the name of their row; other rows are left out."""
    by_row = {row.name: edges(row.study, row.params) for row in record.rows}
    return {name: parameters for name, parameters in by_row.items() if parameters}


def default_and_tuned(row: Row) -> tuple[float | None, float | None]:
    """Return the validation skill of the untuned default (trial 0) and of the chosen trial; None without a search."""
    if not row.trials or not row.evaluations:
        return None, None
    skills = [(job.params, outcome.metrics["validation_skill"]) for job, outcome in row.trials]
    return skills[0][1], next((skill for params, skill in skills if params == row.params), None)
