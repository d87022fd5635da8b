"""Where two nested values differ: a table as it was written, and as it is worked out again."""

from __future__ import annotations

import math
from typing import Any

from suite.errors import shortened

CLOSE = 1e-6
"""The difference up to which figures of tables agree if they were made elsewhere."""

LATER = frozenset(
    ["beyond_ranking", "by_lag", "family", "frozen_parameters", "resolution", "state_growth", "state_size", "trained"]
)
"""The names in tables that an earlier memspan did not write, or not into all of them."""


def difference(there: Any, here: Any, path: str = "") -> str:
    """Return a sentence about where two nested values first differ by more than `CLOSE`; empty if they do not."""
    if isinstance(there, dict) and isinstance(here, dict) and set(there) <= set(here) <= set(there) | LATER:
        parts = (difference(there[key], here[key], f"{path}.{key}" if path else key) for key in there)
        return next(filter(None, parts), "")
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        parts = (difference(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(there, here, strict=True)))
        return next(filter(None, parts), "")
    numbers = isinstance(there, float | int) and isinstance(here, float | int)
    same = math.isclose(there, here, rel_tol=CLOSE, abs_tol=CLOSE) if numbers else there == here
    return "" if same else f"{path} is {shortened(there)}, and {shortened(here)} when it is worked out again"
