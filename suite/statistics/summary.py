"""The rows of a ranking: the mean of each architecture with its intervals, its solve rate and its steps to solve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from suite.statistics.bootstrap import RESAMPLES, guaranteed_interval
from suite.statistics.student import Interval, mean_of_means
from suite.statistics.table import FEW_SEEDS, OVERALL, TAILS, Floats, validated, value_cube


def bounded_mean(samples: list[Floats], bound: float = 1.0) -> Interval:
    """Return the mean of the means of some samples with Student's interval, all held between 0 and a bound.

    Single runs may lie below 0, as the skill of a net that guesses worse than chance does. Means are taken before they
    are held, because otherwise the luck of guessing would count and its misfortune would not.
    """
    return Interval(*(float(np.clip(number, 0, bound)) for number in mean_of_means(samples)))


def skill_intervals(runs: pd.DataFrame) -> pd.DataFrame:
    """Return ``architecture``, ``task``, ``mean``, ``low``, ``high`` and ``seeds`` of the skill on each task."""
    rows = [
        (*labels, *bounded_mean([skills.to_numpy(dtype=np.float64)]), len(skills))
        for labels, skills in validated(runs).groupby(["architecture", "task"])["skill"]
    ]
    return pd.DataFrame(rows, columns=["architecture", "task", "mean", "low", "high", "seeds"])


def wilson_interval(successes: int, runs: int) -> tuple[float, float]:
    """Return Wilson's (1927) 95 % score interval of a rate, or (NaN, NaN) without runs."""
    if runs == 0:
        return np.nan, np.nan
    z = float(special.ndtri(TAILS[1]))
    rate, shrink = successes / runs, 1 + z**2 / runs
    centre = (rate + z**2 / (2 * runs)) / shrink
    half = z * np.sqrt(rate * (1 - rate) / runs + z**2 / (4 * runs**2)) / shrink
    return (0.0 if successes == 0 else float(centre - half)), (1.0 if successes == runs else float(centre + half))


def restricted_steps(runs: pd.DataFrame) -> tuple[pd.Series[float], Floats]:
    """Return the steps to solve of each run, and the budget of each task, sorted by its name.

    A run that never solves its task counts with the whole budget. The mean of these steps is the restricted mean
    (Royston & Parmar 2013): every run is censored at the same point, its task's budget, so the mean is the area under
    the Kaplan–Meier curve. Should budgets differ within a task, the smallest counts.
    """
    budgets = runs.groupby("task")["steps_budget"].min().sort_index()
    limits = runs["task"].map(budgets).astype(float)
    steps = runs["steps_to_solve"].astype(float).fillna(np.inf)
    return steps.where(steps < limits, limits), budgets.to_numpy(dtype=np.float64)


def summary(runs: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Return one row per architecture and task, and one per architecture for `OVERALL`, which comes last.

    - `seeds`: the number of seeds, overall the smallest over the tasks. `few_seeds`: the number is below ten.
    - `mean`, `low`, `high`: the mean skill (overall: the mean of the per-task means) with Student's interval.
    - `guaranteed_low`, `guaranteed_high`: the interval of `guaranteed_interval`.
    - `solve_rate`, `solve_low`, `solve_high`: the share of solved runs with Wilson's interval. Overall it pools all
      runs, which makes the interval conservative.
    - `steps`, `steps_low`, `steps_high`: the restricted mean of the steps to solve, with Student's interval.
    - `missing`: the tasks without a run, separated by commas. If there are any, every overall value is NaN.
    """
    runs = validated(runs)
    steps, budgets = restricted_steps(runs)
    architectures, tasks, skill = value_cube(runs)
    speed = value_cube(runs.assign(steps=steps), "steps")[2]
    solved = value_cube(runs.assign(solved=runs["solved"].astype(float)), "solved")[2]
    scopes = [*((task, [k]) for k, task in enumerate(tasks)), (OVERALL, list(range(len(tasks))))]

    rows = []
    for a, architecture in enumerate(architectures):
        ran = ~np.isnan(skill[a])  # [tasks, seeds]
        for scope, inside in scopes:
            counts = ran[inside].sum(axis=1)
            row: dict[str, Any] = {"architecture": architecture, "task": scope, "seeds": counts.min()}
            skills = {tasks[k]: skill[a, k, ran[k]] for k in inside}
            row["mean"], row["low"], row["high"] = bounded_mean(list(skills.values()))
            row["guaranteed_low"], row["guaranteed_high"] = guaranteed_interval(skills, resamples, seed)
            wins = [solved[a, k, ran[k]] for k in inside]
            successes, total = (int(sum(map(sum, wins))), int(counts.sum())) if counts.min() else (0, 0)
            row["solve_rate"] = successes / total if total else np.nan
            row["solve_low"], row["solve_high"] = wilson_interval(successes, total)
            bound = float(budgets[inside].mean())
            taken = bounded_mean([speed[a, k, ran[k]] for k in inside], bound)
            row["steps"], row["steps_low"], row["steps_high"] = taken
            row["few_seeds"] = counts.min() < FEW_SEEDS
            row["missing"] = ", ".join(tasks[k] for k in inside if not ran[k].any())
            rows.append(row)
    return pd.DataFrame(rows)
