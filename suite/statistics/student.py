"""Student's interval of a mean: the interval for measures without bounds, such as losses, gaps and slopes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from suite.statistics.bootstrap import TAILS


class Interval(NamedTuple):
    """A mean with its 95 % interval, which is NaN where there is none."""

    mean: float
    low: float
    high: float


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
