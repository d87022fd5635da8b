"""Numbers and names as text. Every table formats numbers of one kind here, and so alike."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from suite.results import horizon

UNKNOWN = "–"
NOT_STATED = "not stated"
"""The size of the state of a layer without a step, which is neither 0 nor missing."""


def stem(*parts: str) -> str:
    """Return a file name without its ending, made of parts of which empty ones are left out."""
    return re.sub(r"[^\w-]+", "_", "_".join(part for part in parts if part))


def horizon_figure(kind: str, ladder: str) -> str:
    """Return the stem of the picture of a memory horizon."""
    return stem("horizon", ladder, "" if kind == horizon.TRAINED else kind)


def is_unknown(value: float | None) -> bool:
    """Return whether a number is missing: None, or NaN."""
    return value is None or math.isnan(value)


def number_text(value: float | None, kind: str = "number") -> str:
    """Return a number as tables show it.

    Args:
        value: the number; None and NaN become a dash.
        kind: "number" has two decimals, "signed" a sign too, "percent" no decimals, "count" is a whole number, and
            "short" has one decimal below ten. Every other kind is shown as "number" is.
    """
    if value is None or math.isnan(value):
        return UNKNOWN
    if kind == "percent":
        return f"{100 * value:.0f}%"
    if kind == "count" or (kind == "short" and value >= 10):
        return f"{value:,.0f}"
    digits = 1 if kind == "short" else 2
    rounded = round(value, digits) + 0.0  # adding 0.0 makes a 0.00 of −0.00
    return f"{rounded:+.{digits}f}" if kind == "signed" else f"{rounded:.{digits}f}"


def ends_text(low: float | None, high: float | None, kind: str = "number") -> str:
    """Return an interval such as ``[0.42, 0.55]``; empty where an end is unknown."""
    if is_unknown(low) or is_unknown(high):
        return ""
    return "[{}, {}]".format(*(number_text(end, kind).removesuffix("%") for end in (low, high)))


def interval_text(value: float | None, low: float | None, high: float | None, kind: str = "number") -> str:
    """Return a number and its interval, ``0.49 [0.42, 0.55]``, or the number alone where it has none."""
    return " ".join(filter(None, (number_text(value, kind), ends_text(low, high, kind))))


def state_text(size: float | None, growth: float | None) -> str:
    """Return the size of a state with what each step adds, such as ``6,400 (64 per step)``."""
    if is_unknown(size):
        return NOT_STATED
    return " ".join(filter(None, (number_text(size, "count"), growth_text(growth))))


def growth_text(growth: float | None) -> str:
    """Return what each step adds to a state, such as ``(64 per step)``; empty if it adds nothing."""
    return "" if is_unknown(growth) or not growth else f"({number_text(growth, 'count')} per step)"


def horizon_text(row: Mapping[str, Any] | pd.Series[Any], key: str = "d50") -> str:
    """Return a memory horizon as text, such as ``32 [20, ≥ 64]``.

    The point stands alone where there is no interval, and a dash where there is nothing.

    Args:
        row: a row of ``horizon.horizons``; its columns may have a prefix.
        key: ``d50`` or ``d90``, with that prefix.
    """
    prefix = key[: -len("d50")]
    point, low, high = (row[name] for name in (key, f"{key}_low", f"{key}_high"))
    if is_unknown(point):
        return UNKNOWN
    ends = row[f"{prefix}shortest"], row[f"{prefix}longest"]
    sign = {"right": "≥ ", "left": "< ", "both": "~ ", "": ""}[row[f"{prefix}censored"]] if key.endswith("d50") else ""
    text = f"{sign}{delay_text(point)}" if sign else _within_ladder(point, *ends)
    return text if is_unknown(low) else f"{text} [{_within_ladder(low, *ends)}, {_within_ladder(high, *ends)}]"


def _within_ladder(delay: float, shortest: float, longest: float) -> str:
    """Return a delay with the sign that says that it lies at an end of its ladder, or beyond."""
    sign = "≥ " if delay >= longest else "< " if delay <= shortest else ""
    return sign + delay_text(delay)


def delay_text(delay: float) -> str:
    """Return a delay with one decimal where it is short and not whole."""
    return f"{delay:.0f}" if delay >= 9.95 or delay == round(delay) else f"{delay:.1f}"


def setting_text(value: float) -> str:
    """Return a hyper-parameter in two digits; an infinite threshold is off."""
    return "off" if value == math.inf else f"{value:.2g}"
