"""A row of the survey of gradients: one gradient of one architecture, with what follows from its curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from suite.diagnostics.gradients import Decay, effective_memory, input_memory, memory_of
from suite.diagnostics.wording import Turn, curve_text, turn
from suite.statistics.student import Interval, mean_interval
from suite.statistics.table import Floats

Through = Literal["state", "input"]
"""The gradient that is measured: the one through the state, or the one from output to input."""


@dataclass(frozen=True)
class SurveyRow:
    """The measured gradients of one architecture."""

    label: str
    hidden_size: int
    logs: Floats
    """The logarithm of the norm by τ = 0, 1, 2, …, ``[seeds, τ]``; −inf where the norm is exactly 0.

    The norm is ‖vᵀ ∂s_T/∂s_{T−τ}‖ through the state, up to τ = T, and ‖vᵀ ∂y_T/∂x_{T−τ}‖ from output to input, up to
    τ = T − 1.
    """
    through: Through = "state"

    @property
    def seeds(self) -> int:
        return len(self.logs)

    @property
    def last(self) -> int:
        """The largest τ."""
        return int(self.logs.shape[1]) - 1

    @property
    def first(self) -> int:
        """The smallest τ that counts for slope, memory and words: what x_T does to y_T says nothing of memory."""
        return 0 if self.through == "state" else 1

    def mark(self, tau: int) -> Interval:
        """Return the logarithm of the norm at a τ, with its interval over seeds."""
        return over_seeds(self.logs[:, tau])

    @property
    def decays(self) -> list[Decay]:
        """The decay of each seed's curve."""
        decay = effective_memory if self.through == "state" else input_memory
        return [decay(curve) for curve in self.logs]

    @property
    def curve(self) -> tuple[Floats, Floats, Floats]:
        """The mean over seeds and both ends of its interval, by τ: ``[τ]`` each."""
        mean, low, high = np.array([over_seeds(logs) for logs in self.logs.T]).T
        return mean, low, high

    @property
    def trend(self) -> Floats:
        """The mean curve from the first τ that counts, which words describe.

        From output to input, it is a moving mean over a tenth of the lags. An output has few numbers, in adding only
        one, and so the norm at a single lag depends on the weights by chance.
        """
        mean = self.curve[0][self.first :]
        return mean if self.through == "state" else moving_mean(mean, self.last // 10)

    @property
    def turn(self) -> Turn | None:
        """Where the trend turns, so that neither slope nor memory describes it; None for most."""
        return turn(self.trend)

    @property
    def words(self) -> str:
        """What the gradient does, such as ``shrinks by e^−0.54 per step, 10^−23 over 100``."""
        return curve_text(self.trend, self.slope.mean, range(self.first, self.last + 1))

    @property
    def residual(self) -> float:
        """The mean over seeds of the distance from an exponential decay, see ``Decay``."""
        return float(np.mean([decay.residual for decay in self.decays]))

    @property
    def slope(self) -> Interval:
        """The change of the logarithm per step; NaN where the gradient is cut off."""
        return over_seeds(np.array([decay.slope for decay in self.decays]))

    @property
    def memory(self) -> Interval:
        """−1/slope for the mean slope and the ends of its interval, or the last τ before the gradient is cut off."""
        slope = self.slope
        if math.isnan(slope.mean):
            return over_seeds(np.array([decay.memory for decay in self.decays]))
        return Interval(*map(memory_of, slope))


def moving_mean(values: Floats, reach: int) -> Floats:
    """Return the mean of each value and those around it, up to the first that is not finite.

    Args:
        values: the values, one per τ.
        reach: how many values count, half of them on each side; fewer at the ends.
    """
    finite = np.isfinite(values)
    count = len(values) if finite.all() else int(np.argmin(finite))
    sums = np.concatenate([[0.0], np.cumsum(values[:count])])
    places = np.arange(count)
    first, after = np.maximum(places - reach // 2, 0), np.minimum(places + reach // 2 + 1, count)
    return np.concatenate([(sums[after] - sums[first]) / (after - first), values[count:]])


def over_seeds(values: Floats) -> Interval:
    """Return the mean of one value per seed with Student's interval; a mean that is not finite has no interval."""
    if not np.isfinite(values).all():
        return Interval(float(values.mean()), math.nan, math.nan)
    return mean_interval(values)
