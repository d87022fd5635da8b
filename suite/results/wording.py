"""Numbers and names as text."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from suite.results import horizon


def stem(*parts: str) -> str:
    """The name of a file."""
    return re.sub(r"[^\w-]+", "_", "_".join(part for part in parts if part))


def horizon_figure(kind: str, ladder: str) -> str:
    return stem("horizon", ladder, kind if kind == horizon.EXTRAPOLATED else "")


def horizon_text(row: pd.Series[Any], name: str = "d50", prefix: str = "") -> str:
    """``32 [20, ≥ 64]``; the point alone where there is no interval, "–" where there is nothing."""
    point, low, high = (row[f"{prefix}{column}"] for column in (name, f"{name}_low", f"{name}_high"))
    if math.isnan(point):
        return "–"
    ends = row[f"{prefix}shortest"], row[f"{prefix}longest"]
    sign = {"right": "≥ ", "left": "< ", "both": "~ ", "": ""}[row[f"{prefix}censored"]] if name == "d50" else ""
    text = f"{sign}{_delay(point)}" if sign else _held(point, *ends)
    return text if math.isnan(low) else f"{text} [{_held(low, *ends)}, {_held(high, *ends)}]"


def _held(delay: float, shortest: float, longest: float) -> str:
    sign = "≥ " if delay >= longest else "< " if delay <= shortest else ""
    return sign + _delay(delay)


def _delay(delay: float) -> str:
    return f"{delay:.0f}" if delay >= 9.95 or delay == round(delay) else f"{delay:.1f}"


def number(value: float) -> str:
    """A setting in a few digits; an infinite threshold is off."""
    return "off" if value == math.inf else f"{value:.2g}"
