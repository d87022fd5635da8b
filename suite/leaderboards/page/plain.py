"""Plain values for the page: finite numbers of a few digits, or None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

READ, SAID, DRAWN = 5, 4, 3
"""The significant digits of numbers in tables, of those that are said in two digits, and of those that are drawn."""


def plain(value: Any, digits: int = READ) -> Any:
    """Return nested values as JSON has them, rounded; a number that is not finite becomes None.

    Numbers are never rounded more coarsely than to a whole number, and a whole number becomes an integer.
    """
    if isinstance(value, float):  # most are; a double of NumPy is one
        if not math.isfinite(value):
            return None
        decimals = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
        rounded = round(float(value), max(0, decimals))
        return int(rounded) if rounded.is_integer() else rounded
    if isinstance(value, str | int) or value is None:
        return value
    if isinstance(value, np.ndarray | pd.Series | np.generic):
        return plain(value.tolist(), digits)
    if isinstance(value, Mapping):
        return {str(key): plain(part, digits) for key, part in value.items()}
    return [plain(part, digits) for part in value]
