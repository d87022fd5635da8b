"""Which architecture is above which: paired differences, Holm's adjustment, verdicts, ranks and groups.

Everything here follows from one test, `student.mean_test`, of the hypothesis that two architectures differ by at most
the margin. `suite.statistics.simulation` measures how often it errs and what it finds, and the guide to leaderboards
has the figures. Bootstrap p-values were tried too, and found a false difference in up to 89 % of families with five
seeds. The sign-flip test is exact, but it cannot go below p = 2/2^n on one task: with five seeds it never decides, and
with ten it does not beyond seven architectures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from suite.errors import unknown
from suite.statistics.student import mean_test, moments
from suite.statistics.table import CONFIDENCE, OVERALL, Floats, on_shared_seeds, validated, value_cube

MARGIN = 0.02  # a smaller difference in skill is of no interest, and one is only shown if it exceeds this
DIFFERENT = ("above", "below")


def holm(p_values: ArrayLike) -> Floats:
    """Return the p-values in their order, adjusted by Holm's (1979) step-down method.

    The i-th smallest of m becomes p_(i) · (m − i + 1), made monotone and at most 1.
    """
    p = np.asarray(p_values, dtype=np.float64)  # [m]
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def paired_test(
    differences: Sequence[Floats], margin: float = 0.0, cautious: bool = True
) -> tuple[float, float, float, float]:
    """Return the mean over tasks of the mean paired difference, its 95 % interval (low, high), and a two-sided p-value.

    ``differences`` holds one array of differences per task. The hypothesis is that the difference lies within
    ±``margin``; `student.mean_test` has the formulas. A task with fewer than two pairs leaves everything open: the
    interval is (−∞, ∞) and p is 1.
    """
    counts, means, squares = moments(differences)
    if counts.min() < 2:
        return float(means.mean()), -np.inf, np.inf, 1.0
    difference, low, high, p = map(float, mean_test(counts, means, squares, margin, cautious))
    return difference, low, high, p


def verdict_of(difference: float, low: float, high: float, p_adjusted: float, margin: float = MARGIN) -> str:
    """Return "above", "below", "tied" or "unresolved" for the first of two, see `compare`.

    ``p_adjusted`` is that of the hypothesis that the difference lies within ±``margin``.
    """
    if p_adjusted < 1 - CONFIDENCE:
        return "above" if difference > 0 else "below"
    return "tied" if low >= -margin and high <= margin else "unresolved"


def compare(runs: pd.DataFrame, scope: str = OVERALL) -> pd.DataFrame:
    """Return one row per pair of architectures in a scope (a task or `OVERALL`): their difference and the verdict.

    `difference`, `low`, `high` and `p` come from `paired_test` with a margin of 0.02: `first` minus `second`, on the
    seeds that all architectures on a task share. `pairs` is the number of these seeds (the smallest over the tasks).
    The interval is not adjusted for the family. `p_holm` is adjusted over all pairs of the scope. Only architectures
    with a run on every task of the scope take part. The verdict is

    - "above", "below": p_holm < 0.05, so the difference is shown to exceed 0.02;
    - "tied": the whole interval lies within ±0.02;
    - "unresolved": anything else, which is not the same as equal.

    A failure that is rarer than 1/n seldom shows in n seeds. Ten equal perfect scores are "tied" although one of the
    two may fail now and then, and a steady 0.9 seems to be below a lucky ten of ten. The guaranteed intervals of
    `summary` are wide enough for both.
    """
    architectures, tasks, values = value_cube(validated(runs))
    if scope not in (OVERALL, *tasks):
        raise unknown("scope", scope, [OVERALL, *tasks])
    inside = [k for k, task in enumerate(tasks) if scope in (OVERALL, task)]
    present = np.all(np.any(~np.isnan(values[:, inside]), axis=2), axis=1)  # [architectures]
    values = on_shared_seeds(values)
    rows = []
    for a, b in combinations(np.flatnonzero(present), 2):
        differences = [(values[a, k] - values[b, k])[~np.isnan(values[a, k])] for k in inside]
        pairs, (difference, low, high, p) = min(map(len, differences)), paired_test(differences, MARGIN)
        # Skills differ by at most 1.
        rows.append((architectures[a], architectures[b], pairs, difference, max(-1.0, low), min(1.0, high), p))
    table = pd.DataFrame(rows, columns=["first", "second", "pairs", "difference", "low", "high", "p"])
    table["p_holm"] = holm(table["p"])
    numbers = table[["difference", "low", "high", "p_holm"]].to_numpy(dtype=np.float64)
    table["verdict"] = [verdict_of(*row) for row in numbers]
    return table


def ranks(means: Mapping[str, float], comparisons: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Return ``rank`` (1 is the best mean), ``low`` and ``high`` of each architecture.

    The test leaves the places from ``low`` to ``high`` open: ``low`` − 1 architectures are above this one, and those
    that have no place up to ``high`` are below it. The verdicts hold together in 95 % of cases, and so do these
    intervals (Mogstad, Romano, Shaikh & Wilhelm 2024). An architecture without a mean (NaN) has no rank and takes no
    place.
    """
    ranked = {name: round(mean, 12) for name, mean in means.items() if not np.isnan(mean)}
    better, worse = Counter[str](), Counter[str]()  # how many architectures are above and below each
    pairs = comparisons[comparisons["verdict"].isin(DIFFERENT)]
    for first, second, verdict in zip(pairs["first"], pairs["second"], pairs["verdict"], strict=True):
        winner, loser = (first, second) if verdict == "above" else (second, first)
        worse[winner] += 1
        better[loser] += 1
    places = dict.fromkeys(means, (np.nan, np.nan, np.nan))
    for name, mean in ranked.items():
        place = 1 + sum(other > mean for other in ranked.values())
        places[name] = (float(place), 1.0 + better[name], float(len(ranked) - worse[name]))
    return places


def groups(means: Mapping[str, float], comparisons: pd.DataFrame) -> dict[str, str]:
    """Return letters for each architecture, such as "a", "ab", "b".

    Two architectures share a letter exactly if neither is above the other. This is the compact letter display by
    insert-and-absorb (Piepho 2004). It starts with one group of all. Every pair that differs splits the groups that
    hold both, and a group inside another is absorbed. The largest sets without a difference remain. The group of the
    best mean is "a". Architectures without a mean (NaN) get no letter.
    """
    ordered = sorted(
        (name for name, mean in means.items() if not np.isnan(mean)), key=lambda name: (-means[name], name)
    )
    place = {name: i for i, name in enumerate(ordered)}
    sets = {frozenset(ordered)}
    different = comparisons[comparisons["verdict"].isin(DIFFERENT)]
    for pair in map(frozenset, zip(different["first"], different["second"], strict=True)):
        split = {group - {name} if pair <= group else group for group in sets for name in pair}
        sets = {group for group in split if not any(group < other for other in split)}
    ranked = sorted(sets, key=lambda group: sorted(place[name] for name in group))
    return {name: "".join(_letter(i) for i, group in enumerate(ranked) if name in group) for name in ordered}


def _letter(index: int) -> str:
    """Return a … z, then a2 … z2, and so on."""
    return chr(ord("a") + index % 26) + (str(index // 26 + 1) if index >= 26 else "")
