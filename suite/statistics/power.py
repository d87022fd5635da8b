"""The power of the test: what a number of seeds can show at all, before anything is run."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
from scipy import special

from suite.statistics.paired_tests import MARGIN
from suite.statistics.table import CONFIDENCE


def smallest_p(seeds: int) -> float:
    """Return the smallest p-value of `paired_test` on one task, which is that of equal differences on all seeds."""
    return float(2 * special.stdtr(seeds - 1, -math.sqrt(seeds**2 - 1))) if seeds > 1 else 1.0


def decidable(seeds: int) -> int:
    """Return how many comparisons Holm's method can decide at once on one task, if all differences are clear."""
    return math.ceil((1 - CONFIDENCE) / smallest_p(seeds)) - 1


def seeds_to_decide(comparisons: int) -> int:
    """Return the smallest number of seeds that can decide so many comparisons on one task."""
    return next(seeds for seeds in count(2) if decidable(seeds) >= comparisons)


def smallest_effect(seeds: int, comparisons: int) -> float:
    """Return how far a difference on one task must exceed the margin to be the first that is significant.

    The unit is the standard deviation of the paired differences; the result is infinite if nothing can be shown.
    """
    if seeds < 2:
        return math.inf
    quantile = float(special.stdtrit(seeds - 1, 1 - (1 - CONFIDENCE) / (2 * max(1, comparisons))))
    left = 1 - quantile**2 / (seeds**2 - 1)
    return float(quantile / np.sqrt(seeds * left)) if left > 0 else math.inf


def power_text(seeds: int, comparisons: int, margin: float) -> str:
    """Return a sentence that says what so many seeds can show of so many comparisons on one task."""
    if comparisons < 1:
        return ""
    effect = smallest_effect(seeds, comparisons)
    if math.isinf(effect):
        needed = seeds_to_decide(comparisons)
        these = "the comparison" if comparisons == 1 else f"{comparisons} comparisons"
        return (
            f"On a single task, {seeds} seed{'s' * (seeds != 1)} cannot decide {these}, however large a difference "
            f"is: take {needed} seeds or more."
        )
    return (
        f"On a single task, {seeds} seeds show a difference once it exceeds {margin:g} by {effect:.1f} standard "
        "deviations of the paired differences."
    )


def power_between(rows: int, seeds: int) -> str:
    """Return the sentence for a leaderboard, in which so many rows are compared with each other."""
    return power_text(seeds, math.comb(rows, 2), MARGIN)
