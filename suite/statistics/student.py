"""Student's interval and test, which every mean and every difference of a leaderboard has.

They speak of *seeds like these*: what the seeds at hand did and how much they differ says how far the mean of new seeds
may lie. A failure that none of these seeds has shown is beyond them, and beyond every other interval of similar width.
The solve rate's interval and the guaranteed interval (`suite.statistics.bootstrap`) are for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from suite.statistics.table import TAILS, Floats


class Interval(NamedTuple):
    """A mean with its 95 % interval, which is NaN where there is none."""

    mean: float
    low: float
    high: float


class MeanTest(NamedTuple):
    """A mean difference with its 95 % interval, and the p-value of the hypothesis that it lies within the margin.

    Every field has the shape of one mean. Without an adjustment, p is below 0.05 exactly if the interval lies beyond
    the margin.
    """

    difference: Floats
    low: Floats
    high: Floats
    p: Floats


def student_interval(mean: float, error: float, freedom: float) -> Interval:
    """Return mean ± t · error, with the 97.5 % quantile t of Student's distribution.

    Args:
        mean: the estimate.
        error: its standard error.
        freedom: the degrees of freedom of that error; they need not be a whole number.
    """
    # scipy.special lacks the checks of scipy.stats, for which a large leaderboard would have to wait.
    reach = special.stdtrit(freedom, TAILS[1]) * error
    return Interval(float(mean), float(mean - reach), float(mean + reach))


def mean_interval(values: ArrayLike) -> Interval:
    """Return the mean of the finite values with its interval; fewer than two finite values have no interval."""
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return Interval(float(finite[0]) if len(finite) else np.nan, np.nan, np.nan)
    return student_interval(finite.mean(), finite.std(ddof=1) / np.sqrt(len(finite)), len(finite) - 1)


def moments(samples: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """Return the number, the mean and the sum of squared deviations of each sample, ``[samples]``."""
    counts = np.array([len(sample) for sample in samples], dtype=np.float64)
    means = np.array([sample.mean() if len(sample) else np.nan for sample in samples])
    squares = np.array([((sample - mean) ** 2).sum() for sample, mean in zip(samples, means, strict=True)])
    return counts, means, squares


def mean_of_means(samples: Sequence[Floats]) -> Interval:
    """Return the mean of the means of some samples, each of which has the values of one task, with its interval.

    The error is √(Σ s_k²/n_k)/K for K samples, with the degrees of freedom of Welch (1947) and Satterthwaite (1946).
    With fewer than two values in a sample the interval is (−∞, ∞), and without any the mean is NaN.
    """
    counts, means, squares = moments(samples)
    mean = float(means.mean())
    if np.isnan(mean):
        return Interval(np.nan, np.nan, np.nan)
    if counts.min() < 2:
        return Interval(mean, -np.inf, np.inf)
    error, freedom = error_of_mean(counts, squares)
    return student_interval(mean, float(error), float(freedom))


def mean_test(counts: Floats, means: Floats, squares: Floats, margin: float = 0.0, cautious: bool = True) -> MeanTest:
    """Test the mean over tasks of paired differences, which have their `moments` along the last axis ``[…, tasks]``.

    With D the mean, e its standard error as in `mean_of_means`, and m the margin, the statistic is

        t = x / √(e² + c² x²),    x = max(|D| − m, 0),    c² = Σ 1/(n_k² − 1) / K²

    This is Student's, but for c. Each task counts one more pair, which does not differ beyond the margin, so that a
    handful of equal differences has a variance: n pairs that all differ by 1 give t = √(n² − 1) and not ∞. The interval
    is the one that belongs to this test, D ± q e/√(1 − c² q²), with q the 97.5 % quantile of Student's distribution;
    from ten seeds on, it is at most 2.7 % wider than Student's. Turn ``cautious`` off (c = 0) for measures that vary
    smoothly from seed to seed, and not between failure and success.
    """
    error, freedom = error_of_mean(counts, squares)
    caution = cautious * (1 / (counts**2 - 1)).sum(axis=-1) / counts.shape[-1] ** 2  # c²
    difference = means.mean(axis=-1)
    beyond = np.maximum(np.abs(difference) - margin, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(beyond > ROUNDING, beyond / np.sqrt(error**2 + caution * beyond**2), 0)
        quantile = special.stdtrit(freedom, TAILS[1])
        left = 1 - caution * quantile**2
        reach = np.where(left > 0, quantile * error / np.sqrt(np.maximum(left, 0)), np.inf)
    return MeanTest(difference, difference - reach, difference + reach, 2 * special.stdtr(freedom, -t))


ROUNDING = 1e-12
"""Numbers of this size are what is left of a sum that is 0."""


def error_of_mean(counts: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Return the standard error of a mean of means, and its degrees of freedom, from ``[…, tasks]``."""
    # Where nothing varies, all variances are equal, and all degrees of freedom count.
    variances = np.maximum(squares, ROUNDING**2) / (counts * (counts - 1))
    freedom = variances.sum(axis=-1) ** 2 / (variances**2 / (counts - 1)).sum(axis=-1)
    error = np.sqrt(variances.sum(axis=-1)) / counts.shape[-1]
    return np.where(error < ROUNDING, 0, error), freedom
