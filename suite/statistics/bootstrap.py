"""The guaranteed interval of a mean skill: a bootstrap over seeds, with one more seed that nobody has seen.

When ten seeds of ten solve a task, every resample is the same, and Student's interval and the percentile interval have
length 0. Where the true rate is nine in ten, they cover the truth in 65 % of cases only. The interval of this module
counts an *unseen* seed and holds whatever the scores are between 0 and 1. The price is its width, and so it stands
beside Student's interval (`suite.statistics.student`) and not in its place.

Nothing here reads or touches a global generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from suite.statistics.table import TAILS, Floats

RESAMPLES = 10_000


def guaranteed_interval(skills: Mapping[str, Floats], resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of an architecture's mean over tasks, given its skills by task; NaN without a run.

    This is the percentile interval with one unseen seed, which may be the worst (for the low end) or the best (for the
    high end): a share u ~ Beta(1, n) of each resampled mean goes to 0 or 1. It is Gaffke's (2005) interval for a
    bounded mean (Learned-Miller & Thomas 2019), with multinomial in place of Dirichlet weights. For scores that are
    only 0 or 1 it is close to the interval of Clopper & Pearson. With K tasks there is still only *one* unseen seed:
    each task gets u ~ Beta(1/K, n). The deviations of the resampled means are widened, see `widened`.

    Seeds are resampled for each task (Efron 1979; Agarwal et al. 2021, section 4.1). What is drawn depends on the task
    and the number of its seeds alone, so a row does not change when another joins the table.
    """
    if not skills or any(len(values) == 0 for values in skills.values()):
        return np.nan, np.nan
    low, high = np.zeros((2, resamples))
    for task, values in skills.items():
        n = len(values)
        unseen = _unseen(seed, task, n, 1 / len(skills), resamples)
        drawn = widened(_draws(seed, task, n, resamples) @ values / n, values.mean(), n)
        low += (1 - unseen) * drawn / len(skills)
        high += ((1 - unseen) * drawn + unseen) / len(skills)
    # A sum may exceed 1 by a rounding error.
    return float(np.quantile(low, TAILS[0])), min(1.0, float(np.quantile(high, TAILS[1])))


def generator(seed: int, task: str, n: int, purpose: str) -> np.random.Generator:
    """Return a generator whose draws depend on these arguments alone."""
    return np.random.default_rng([seed, n, *f"{purpose} {task}".encode()])


def widened(drawn: Floats, mean: Floats | float, n: int) -> Floats:
    """Return resampled means of n seeds with deviations widened by √(n/(n − 1)), held within [0, 1].

    The bootstrap's variance is that of a population of n and not of a sample, which this makes up for.
    """
    clipped: Floats = np.clip(mean + (drawn - mean) * np.sqrt(n / max(n - 1, 1)), 0, 1)
    return clipped


@lru_cache(maxsize=64)
def _draws(seed: int, task: str, n: int, resamples: int) -> Floats:
    """Return how often each resample has each of n seeds, ``[resamples, n]``."""
    drawn = generator(seed, task, n, "seeds").multinomial(n, np.full(n, 1 / n), size=resamples)
    return drawn.astype(np.float64)


@lru_cache(maxsize=256)
def _unseen(seed: int, task: str, n: int, weight: float, resamples: int) -> Floats:
    """Return the share of one unseen seed in each resample."""
    return generator(seed, task, n, "unseen").beta(weight, n, size=resamples)
