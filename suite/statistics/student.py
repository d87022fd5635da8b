"""Student's interval of a mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from suite.statistics.bootstrap import CONFIDENCE


def mean_interval(values: ArrayLike) -> tuple[float, float, float]:
    """Mean of what is finite, and Student's 95 % interval; the interval is NaN with fewer than two values."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return (float(known[0]) if len(known) else np.nan), np.nan, np.nan
    mean, error = float(known.mean()), float(known.std(ddof=1)) / np.sqrt(len(known))
    reach = float(special.stdtrit(len(known) - 1, (1 + CONFIDENCE) / 2)) * error
    return mean, mean - reach, mean + reach
