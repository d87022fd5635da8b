"""The gradient through time in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

APPRECIABLE = math.log(3)
"""A change of log norm that counts, which is a factor of three. Changes by chance are smaller."""


class Turn(NamedTuple):
    """The place in a curve at which it turns, and the one at which it has gone farthest back afterwards."""

    first: int
    second: int


def turn(log_norms: ArrayLike) -> Turn | None:
    """Return where a curve of log norm by τ turns, and None for a curve that only falls or only rises.

    A curve turns if it both falls and rises by a factor of three or more. A slope and a memory describe a curve that
    goes one way, and say nothing of one that turns. Only the part up to the first value that is not finite counts.
    """
    logs = np.asarray(log_norms, dtype=np.float64)
    finite = np.isfinite(logs)
    logs = logs if finite.all() else logs[: int(np.argmin(finite))]
    if len(logs) < 3:
        return None
    fall = np.maximum.accumulate(logs) - logs
    rise = logs - np.minimum.accumulate(logs)
    if min(fall.max(), rise.max()) < APPRECIABLE:
        return None
    return Turn(*sorted((int(fall.argmax()), int(rise.argmax()))))


def norm_text(log: float) -> str:
    """Return exp(log) in two digits, such as ``0.79``, or as a power of ten, such as ``10^−23``."""
    power = log / math.log(10)
    return f"{math.exp(log):.2g}" if abs(power) < 2 else f"10^{_number(power, '.0f' if abs(power) >= 10 else '.1f')}"


def slope_text(slope: float, steps: int) -> str:
    """Return what a slope of log norm per step means, such as ``shrinks by e^−0.54 per step, 10^−23 over 100``.

    Args:
        slope: the change of the natural logarithm of the gradient's norm per step.
        steps: the number of steps over which the change is summed up.
    """
    if abs(slope * steps) < 0.005:
        return f"keeps its size over {steps} steps"
    rate = f"e^{_number(slope, '.2g')} per step, {norm_text(slope * steps)} over {steps}"
    if abs(slope * steps) < APPRECIABLE:
        return f"keeps about its size: {rate}"
    return f"{'shrinks' if slope < 0 else 'grows'} by {rate}"


def curve_text(log_norms: ArrayLike, slope: float, lags: Sequence[int] | None = None) -> str:
    """Return in words what a gradient does.

    Args:
        log_norms: its log norm by τ.
        slope: the slope that was fitted to it.
        lags: the values of τ, which by default are 0 … T.
    """
    logs = np.asarray(log_norms, dtype=np.float64)
    lags = range(len(logs)) if lags is None else lags
    if (turned := turn(logs)) is not None:
        first, second = turned
        there, back = ("falls", "rises") if logs[first] < logs[second] else ("rises", "falls")
        one, other = (f"{norm_text(logs[place])} at τ = {lags[place]}" for place in turned)
        return f"{there} to {one} and {back} again to {other}, so that neither a slope nor a memory describes it"
    if math.isnan(slope):
        end = int(np.argmin(np.isfinite(logs)))
        return f"is {'exactly 0' if np.isneginf(logs[end]) else 'not finite'} from τ = {lags[end]} on"
    return slope_text(slope, lags[-1])


def _number(value: float, form: str) -> str:
    return f"{value:{form}}".replace("-", "−")
