"""The critical-difference diagram: average ranks over ten tasks or more (Demšar 2006; Benavoli, Corani & Mangili 2016).

A ladder counts as one task, with the mean over its levels, because these are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from suite.statistics.paired_tests import holm
from suite.statistics.table import CONFIDENCE

FEWEST_TASKS = 10
FEWEST_ARCHITECTURES = 3
MOST_SIGNED = 13
"""The largest number of tasks for which SciPy tries all signs if there are ties. It approximates with more."""


@dataclass(frozen=True)
class CriticalDifferences:
    """Which architectures differ, by their ranks over tasks."""

    p: float
    """The p-value of Friedman's test, whose hypothesis is that all are equal."""
    tasks: int
    ranks: dict[str, float]
    """The average rank of each architecture, the best first."""
    cliques: list[list[str]]
    """The largest sets of neighbours in rank without a significant difference (Wilcoxon's signed-rank test, Holm)."""


def critical_differences(runs: pd.DataFrame) -> CriticalDifferences | None:
    """Return the ranks and cliques of a table of runs, by the ``skill`` of each.

    There is None with fewer than ten tasks, or with fewer than three architectures that have a run on all of them.
    """
    levels = runs.groupby(["architecture", "table", "task"])["skill"].mean().unstack(["table", "task"]).dropna()
    means = levels.T.groupby(level="table").mean().T.sort_index()  # [architectures, tasks]
    if len(means) < FEWEST_ARCHITECTURES or means.shape[1] < FEWEST_TASKS:
        return None
    from scipy import stats  # takes a second

    scores = means.to_numpy(dtype=np.float64).round(12)
    ranks = stats.rankdata(-scores, axis=0).mean(axis=1)
    order = sorted(range(len(means)), key=lambda a: (ranks[a], means.index[a]))
    names = [str(means.index[a]) for a in order]
    equal = bool(np.all(scores == scores[0]))
    p = 1.0 if equal else float(stats.friedmanchisquare(*scores).pvalue)
    pairs = list(combinations(order, 2))
    differences = [scores[a] - scores[b] for a, b in pairs]
    adjusted = holm([signed_rank_p(d) if d.any() else 1.0 for d in differences])
    # Pairs are only looked at where Friedman's test rejects that all are equal.
    different = {pair for pair, q in zip(pairs, adjusted, strict=True) if p < 1 - CONFIDENCE and q < 1 - CONFIDENCE}
    cliques: list[tuple[int, int]] = []
    for start in range(len(order)):
        end = start
        while end + 1 < len(order) and not any((order[i], order[end + 1]) in different for i in range(start, end + 1)):
            end += 1
        if end > start and not any(first <= start and end <= last for first, last in cliques):
            cliques.append((start, end))
    return CriticalDifferences(
        p,
        means.shape[1],
        {name: float(ranks[a]) for name, a in zip(names, order, strict=True)},
        [names[first : last + 1] for first, last in cliques],
    )


def signed_rank_p(differences: np.ndarray) -> float:
    """Return the p-value of Wilcoxon's signed-rank test, two-sided, of ``[tasks]`` differences that are not all 0.

    It is that of ``scipy.stats.wilcoxon``, which needs a third of a second for a pair with ties.
    """
    from scipy import stats

    if len(differences) > MOST_SIGNED:
        return float(stats.wilcoxon(differences).pvalue)
    is_zero = differences == 0  # Such a difference is left out.
    ranks = np.where(is_zero, 0, stats.rankdata(np.abs(differences)) - is_zero.sum())

    def rank_sum(signed: np.ndarray, axis: int) -> np.ndarray:
        total: np.ndarray = (ranks * (signed > 0)).sum(axis=axis)
        return total

    found = stats.permutation_test(
        (differences,), rank_sum, permutation_type="samples", vectorized=True, n_resamples=2**MOST_SIGNED, axis=-1
    )
    return float(found.pvalue)
