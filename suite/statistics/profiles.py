"""Beside the mean: the interquartile mean and performance profiles (Agarwal et al. 2021, sections 4.2 and 4.3).

The mean of per-task means comes first, for the interquartile mean hides what a leaderboard of memory is about: where
a quarter of the runs fail altogether, it does not see them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from suite.statistics.bootstrap import CONFIDENCE, OVERALL, Bootstrap, Floats, generator, validated

RESAMPLES = 1000
THRESHOLDS = np.linspace(0, 1, 51)


def interquartile_means(runs: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """``iqm``, ``iqm_low``, ``iqm_high`` per architecture and scope (each task, and `OVERALL`).

    The mean of the middle half of all runs of the scope, every task with as many as it has. The interval is that of
    resampled seeds, task by task, with one unseen run more: the worst for the low end, the best for the high end.
    """
    bootstrap = Bootstrap.draw(validated(runs), resamples=1, seed=seed)
    scopes = [(task, [k]) for k, task in enumerate(bootstrap.tasks)]
    scopes.append((OVERALL, list(range(len(bootstrap.tasks)))))
    rows: list[tuple[str, str, float, float, float]] = []
    for a, architecture in enumerate(bootstrap.architectures):
        known = [values[~np.isnan(values)] for values in bootstrap.values[a]]
        drawn = [_resampled(v, task, resamples, seed) for v, task in zip(known, bootstrap.tasks, strict=True)]
        for scope, tasks in scopes:
            if any(len(known[k]) == 0 for k in tasks):
                rows.append((architecture, scope, np.nan, np.nan, np.nan))
                continue
            pooled = np.concatenate([drawn[k] for k in tasks], axis=1)  # [resamples, runs]
            ends = (np.pad(pooled, ((0, 0), (0, 1)), constant_values=unseen) for unseen in (0.0, 1.0))
            low, high = (middle_mean(np.sort(end, axis=1)) for end in ends)
            point = middle_mean(np.sort(np.concatenate([known[k] for k in tasks]))[None])[0]
            ends_at = float(np.quantile(low, (1 - CONFIDENCE) / 2)), float(np.quantile(high, (1 + CONFIDENCE) / 2))
            rows.append((architecture, scope, float(point), *ends_at))
    return pd.DataFrame(rows, columns=["architecture", "task", "iqm", "iqm_low", "iqm_high"])


def middle_mean(ordered: Floats) -> Floats:
    """The mean of the middle half of each ascending row, ``[rows, n]``: the n/4 lowest and highest are left out.

    Where n/4 is no whole number, a run at the edge counts in part.
    """
    n = ordered.shape[1]
    places = np.arange(n)
    weights = np.clip(np.minimum(places + 1, 0.75 * n) - np.maximum(places, 0.25 * n), 0, 1)
    found: Floats = ordered @ weights / weights.sum()
    return found


def _resampled(values: Floats, task: str, resamples: int, seed: int) -> Floats:
    """``[resamples, seeds]``: the same seeds for every architecture with as many."""
    if len(values) == 0:
        return np.empty((resamples, 0))
    n = len(values)
    chosen: Floats = values[generator(seed, task, n, "iqm").integers(n, size=(resamples, n))]
    return chosen


def profiles(runs: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """The share of runs with a skill above each of `THRESHOLDS`: ``share``, ``low``, ``high`` per architecture, scope.

    Overall is the mean of the shares of the tasks. Bands hold at each threshold by itself; they are those of
    ``Bootstrap.intervals``. An architecture that misses a task of the scope has none.
    """
    bootstrap = Bootstrap.draw(validated(runs), resamples=1, seed=seed)
    tasks, count = bootstrap.tasks, len(bootstrap.tasks)
    drawn: dict[tuple[str, int, int], tuple[Floats, ...]] = {}  # the same for every architecture with as many seeds
    names: list[tuple[str, str]] = []
    parts: list[Floats] = []  # [3, thresholds] each
    for a, architecture in enumerate(bootstrap.architectures):
        above = [_above(values[~np.isnan(values)]) for values in bootstrap.values[a]]  # [thresholds, seeds] each
        whole = np.zeros((2, len(THRESHOLDS), resamples))  # low, high
        for k, task in enumerate(tasks):
            n = above[k].shape[1]
            if n == 0:
                continue
            if (task, n, count) not in drawn:
                drawn[task, n, count] = _draws(task, n, count, resamples, seed)
            draws, alone, together = drawn[task, n, count]
            mean = above[k].mean(axis=1, keepdims=True)
            share = np.clip(mean + (above[k] @ draws / n - mean) * np.sqrt(n / max(n - 1, 1)), 0, 1)
            names.append((architecture, task))
            parts.append(_ends(mean[:, 0], (1 - alone) * share, (1 - alone) * share + alone))
            whole[0] += (1 - together) * share / count
            whole[1] += ((1 - together) * share + together) / count
        if count > 1 and all(one.shape[1] for one in above):
            names.append((architecture, OVERALL))
            parts.append(_ends(np.mean([one.mean(axis=1) for one in above], axis=0), *whole))
    who = pd.DataFrame(names, columns=["architecture", "task"]).loc[np.repeat(np.arange(len(names)), len(THRESHOLDS))]
    ends = np.concatenate(parts, axis=1) if parts else np.empty((3, 0))
    numbers = {"threshold": np.tile(THRESHOLDS, len(names)), **dict(zip(("share", "low", "high"), ends, strict=True))}
    return who.reset_index(drop=True).assign(**numbers)


def _draws(task: str, n: int, tasks: int, resamples: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """How often each seed is drawn, ``[n, resamples]``, and the weight of one unseen seed, alone and among tasks."""
    draws = generator(seed, task, n, "profile").multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    unseen = generator(seed, task, n, "unseen")
    alone, together = (unseen.beta(1 / share, n, size=resamples) for share in (1, tasks))
    return np.ascontiguousarray(draws.T), alone, together


def _ends(share: Floats, low: Floats, high: Floats) -> Floats:
    """``[3, thresholds]``: the share, and the ends of its interval from resamples, ``[thresholds, resamples]``."""
    upper = np.minimum(1, np.quantile(high, (1 + CONFIDENCE) / 2, axis=1))
    return np.stack([share, np.quantile(low, (1 - CONFIDENCE) / 2, axis=1), upper])


def _above(values: Floats) -> Floats:
    found: Floats = (values > THRESHOLDS[:, None]).astype(np.float64)
    return found
