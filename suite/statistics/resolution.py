"""What the seeds of a finished leaderboard can tell apart, and how many seeds would decide what they leave open.

`power` answers this before anything is run, in standard deviations. Here the standard deviations have been measured.
The answers are estimates, which are as uncertain as these.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from suite.statistics.paired_tests import DIFFERENT, MARGIN, compare
from suite.statistics.student import error_of_mean, moments
from suite.statistics.table import CONFIDENCE, OVERALL, on_shared_seeds, validated, value_cube

POWER = 0.8
"""The probability with which a difference of the smallest size is found."""
MOST_SEEDS = 1000
"""No larger number of seeds is recommended."""
LEAST_LEFT = 1e-6
"""With less of 1 − c² q² nothing is found, and SciPy takes minutes for the quantile."""


class OpenPair(NamedTuple):
    """Two neighbours in a ranking between which the test does not decide."""

    first: str
    second: str
    difference: float
    """The mean skill of the first minus that of the second."""
    seeds: int | None
    """The number of seeds that would probably decide; None if it exceeds `MOST_SEEDS`."""
    outcome: str
    """What these seeds would show if the measured difference is the true one: ``"above"`` or ``"tied"``."""


class Resolution(NamedTuple):
    """What the seeds can show in one scope."""

    scope: str
    seeds: int
    """The number of seeds that all architectures share; the smallest one over tasks."""
    smallest: float
    """The difference in skill that the test finds with a probability of 0.8, for the median pair of architectures.

    It is infinite if the test finds no difference of at most 1.
    """
    open_pairs: list[OpenPair]


def resolution(runs: pd.DataFrame, scope: str = OVERALL) -> Resolution | None:
    """Return what the seeds can show in a scope, which is a task or all of them.

    A true difference D of two architectures, with the standard error e, is found by `paired_tests.compare` with the
    probability 0.8 if

        D ≥ m + e δ        P(T_δ > q/√(1 − c² q²)) = 0.8

    where m is the margin of 0.02, T_δ has the noncentral Student's distribution, q is the quantile of the central one
    at Holm's level, and c is the caution of `student.mean_test`. The level is that of the step at which Holm's method
    ended on these runs, 0.05 divided by the number of pairs that it left undecided. At its first step, which asks for
    more, a board whose other pairs are clear would find the difference in 99 % of cases. Because few seeds mostly
    underestimate e, its estimate is divided by the median √(M/f) of the estimate of an error 1, where f are its degrees
    of freedom and M is the median of χ²_f. With n seeds instead of n₀, e becomes e √(n₀/n).

    Args:
        runs: one line per run, see `table.validated`.
        scope: a task or `OVERALL`.

    Returns:
        None if fewer than two architectures have two seeds or more on every task of the scope.
    """
    architectures, tasks, values = value_cube(validated(runs))
    inside = [k for k, task in enumerate(tasks) if scope in (OVERALL, task)]
    present = np.all(np.any(~np.isnan(values[:, inside]), axis=2), axis=1)
    shared = on_shared_seeds(values)[:, inside]
    pairs = compare(runs, scope)
    if pairs.empty or int(pairs["pairs"].min()) < 2:
        return None
    seeds, number = int(pairs["pairs"].min()), {name: a for a, name in enumerate(architectures)}
    undecided = max(1, int((~pairs["verdict"].isin(DIFFERENT)).sum()))
    errors: dict[frozenset[str], tuple[float, float]] = {}
    for first, second in zip(pairs["first"], pairs["second"], strict=True):
        of_tasks = shared[number[first]] - shared[number[second]]
        counts, _, squares = moments([differences[~np.isnan(differences)] for differences in of_tasks])
        error, freedom = error_of_mean(counts, squares)
        unbiased = error / np.sqrt(special.chdtri(freedom, 0.5) / freedom)
        errors[frozenset([first, second])] = float(unbiased), float(freedom)
    smallest = [_smallest(error, freedom, seeds, len(inside), undecided) for error, freedom in errors.values()]
    means = {name: float(np.nanmean(shared[number[name]], axis=1).mean()) for name in np.array(architectures)[present]}
    ordered = sorted(means, key=lambda name: (-means[name], name))
    verdicts = {
        frozenset([first, second]): verdict
        for first, second, verdict in zip(pairs["first"], pairs["second"], pairs["verdict"], strict=True)
    }
    open_pairs = []
    for first, second in pairwise(ordered):
        pair = frozenset([first, second])
        if verdicts[pair] == "unresolved":
            difference = means[first] - means[second]
            needed, outcome = _needed(difference, *errors[pair], seeds, len(inside), undecided)
            open_pairs.append(OpenPair(first, second, difference, needed, outcome))
    return Resolution(scope, seeds, float(np.median(smallest)), open_pairs)


def _smallest(error: float, freedom: float, seeds: int, tasks: int, comparisons: int) -> float:
    """Return the difference that is found with the probability `POWER`; infinite if none of at most 1 is."""
    quantile = float(special.stdtrit(freedom, 1 - (1 - CONFIDENCE) / (2 * comparisons)))
    left = 1 - quantile**2 / (tasks * (seeds**2 - 1))  # 1 − c² q²
    if left <= LEAST_LEFT:
        return math.inf
    found = MARGIN + error * float(special.nctdtrinc(freedom, 1 - POWER, quantile / math.sqrt(left)))
    return found if found <= 1 else math.inf


def _needed(
    difference: float, error: float, freedom: float, seeds: int, tasks: int, comparisons: int
) -> tuple[int | None, str]:
    """Return the number of seeds that would probably decide a pair, and what they would show."""
    outcome = "above" if abs(difference) > MARGIN else "tied"

    def decides(n: int) -> bool:
        scaled, free = error * math.sqrt(seeds / n), freedom * (n - 1) / (seeds - 1)
        if outcome == "above":
            return abs(difference) >= _smallest(scaled, free, n, tasks, comparisons)
        # The whole interval has to lie within the margin.
        reach = float(special.stdtrit(free, (1 + CONFIDENCE) / 2))
        return abs(difference) + scaled * (reach + float(special.stdtrit(free, POWER))) <= MARGIN

    numbers = range(seeds + 1, MOST_SEEDS + 1)
    place = bisect_left(numbers, True, key=decides)  # More seeds decide what fewer do.
    return (numbers[place] if place < len(numbers) else None), outcome
