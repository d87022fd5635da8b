"""Two companions of the mean: the interquartile mean and performance profiles (Agarwal et al. 2021, sections 4.2, 4.3).

A leaderboard ranks by the mean of per-task means. The interquartile mean would hide what a leaderboard of memory is
about: it does not see a quarter of the runs that fail altogether.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from suite.statistics.bootstrap import generator, widened
from suite.statistics.table import OVERALL, TAILS, Floats, validated, value_cube

RESAMPLES = 1000
THRESHOLDS = np.linspace(0, 1, 51)


def interquartile_means(runs: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Return ``iqm``, ``iqm_low``, ``iqm_high`` per architecture and scope (each task, and `OVERALL`).

    ``iqm`` is the mean of the middle half of all runs of the scope. The interval comes from seeds resampled within each
    task, with one more, unseen run, which is the worst for the low end and the best for the high end.
    """
    architectures, all_tasks, cube = value_cube(validated(runs))
    scopes = [(task, [k]) for k, task in enumerate(all_tasks)]
    scopes.append((OVERALL, list(range(len(all_tasks)))))
    rows: list[tuple[str, str, float, float, float]] = []
    for architecture, by_task in zip(architectures, cube, strict=True):
        skills = [values[~np.isnan(values)] for values in by_task]  # [seeds] of each task
        drawn = [_resampled(v, task, resamples, seed) for v, task in zip(skills, all_tasks, strict=True)]
        for scope, tasks in scopes:
            if any(len(skills[k]) == 0 for k in tasks):
                rows.append((architecture, scope, np.nan, np.nan, np.nan))
                continue
            pooled = np.concatenate([drawn[k] for k in tasks], axis=1)  # [resamples, runs]
            ends = (np.pad(pooled, ((0, 0), (0, 1)), constant_values=unseen) for unseen in (0.0, 1.0))
            low, high = (middle_mean(np.sort(end, axis=1)) for end in ends)
            point = middle_mean(np.sort(np.concatenate([skills[k] for k in tasks]))[None])[0]
            interval = float(np.quantile(low, TAILS[0])), float(np.quantile(high, TAILS[1]))
            rows.append((architecture, scope, float(point), *interval))
    return pd.DataFrame(rows, columns=["architecture", "task", "iqm", "iqm_low", "iqm_high"])


def middle_mean(ordered: Floats) -> Floats:
    """Return the mean of the middle half of each ascending row, ``[rows, n]``, without the n/4 lowest and highest.

    Where n/4 is not a whole number, a run at the edge counts in part.
    """
    n = ordered.shape[1]
    places = np.arange(n)
    weights = np.clip(np.minimum(places + 1, 0.75 * n) - np.maximum(places, 0.25 * n), 0, 1)
    means: Floats = ordered @ weights / weights.sum()
    return means


def _resampled(values: Floats, task: str, resamples: int, seed: int) -> Floats:
    """Return ``[resamples, seeds]``; architectures with equally many seeds share the drawn ones."""
    if len(values) == 0:
        return np.empty((resamples, 0))
    n = len(values)
    chosen: Floats = values[generator(seed, task, n, "iqm").integers(n, size=(resamples, n))]
    return chosen


def profiles(runs: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Return ``share``, ``low``, ``high`` per architecture, scope and threshold.

    ``share`` is the share of runs whose skill is above each of `THRESHOLDS`; overall, it is the mean over the tasks.
    The band is made as in `guaranteed_interval` and holds at each threshold by itself. An architecture without a run
    on some task of the scope has no profile there.
    """
    architectures, tasks, cube = value_cube(validated(runs))
    count = len(tasks)
    drawn: dict[tuple[str, int, int], tuple[Floats, ...]] = {}  # shared by architectures with equally many seeds
    names: list[tuple[str, str]] = []
    parts: list[Floats] = []  # [3, thresholds] each
    for architecture, by_task in zip(architectures, cube, strict=True):
        above = [_above(values[~np.isnan(values)]) for values in by_task]  # [thresholds, seeds] each
        whole = np.zeros((2, len(THRESHOLDS), resamples))  # low, high
        for k, task in enumerate(tasks):
            n = above[k].shape[1]
            if n == 0:
                continue
            if (task, n, count) not in drawn:
                drawn[task, n, count] = _draws(task, n, count, resamples, seed)
            draws, alone, together = drawn[task, n, count]
            mean = above[k].mean(axis=1, keepdims=True)
            share = widened(above[k] @ draws / n, mean, n)
            names.append((architecture, task))
            parts.append(_ends(mean[:, 0], (1 - alone) * share, (1 - alone) * share + alone))
            whole[0] += (1 - together) * share / count
            whole[1] += ((1 - together) * share + together) / count
        if count > 1 and all(runs_above.shape[1] for runs_above in above):
            names.append((architecture, OVERALL))
            parts.append(_ends(np.mean([runs_above.mean(axis=1) for runs_above in above], axis=0), *whole))
    labels = pd.DataFrame(names, columns=["architecture", "task"])
    labels = labels.loc[np.repeat(np.arange(len(names)), len(THRESHOLDS))]
    ends = np.concatenate(parts, axis=1) if parts else np.empty((3, 0))
    numbers = {"threshold": np.tile(THRESHOLDS, len(names)), **dict(zip(("share", "low", "high"), ends, strict=True))}
    return labels.reset_index(drop=True).assign(**numbers)


def _draws(task: str, n: int, tasks: int, resamples: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Return how often each seed is drawn, ``[n, resamples]``, and an unseen seed's weight, alone and among tasks."""
    draws = generator(seed, task, n, "profile").multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    unseen = generator(seed, task, n, "unseen")
    alone, together = (unseen.beta(1 / share, n, size=resamples) for share in (1, tasks))
    return np.ascontiguousarray(draws.T), alone, together


def _ends(share: Floats, low: Floats, high: Floats) -> Floats:
    """Return the share with the ends of its interval, ``[3, thresholds]``, from ``[thresholds, resamples]``."""
    upper = np.minimum(1, np.quantile(high, TAILS[1], axis=1))
    return np.stack([share, np.quantile(low, TAILS[0], axis=1), upper])


def _above(values: Floats) -> Floats:
    """Return 1 where a skill is above a threshold, else 0: ``[thresholds, seeds]``."""
    above: Floats = (values > THRESHOLDS[:, None]).astype(np.float64)
    return above
