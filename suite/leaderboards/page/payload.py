"""The data of the page's scripts, made small."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from suite.leaderboards.page.colours import MARKERS
from suite.leaderboards.page.tabs import FEW, _tables

DRAWN = frozenset({"curve", "gradient", "profiles", "budget"})
"""What is drawn and hardly read: three significant digits."""


SAID = frozenset({"skills", "overfitting_curves", "horizons", "comparisons"})
"""What is said to two or three digits: four significant digits. Of other numbers seven are kept."""


EXACT = frozenset({"config", "params"})
"""What repeats a run: kept as it is."""


SKILLS = frozenset({"thresholds", "share", "low", "high", "expected", "skill", "skill_low", "skill_high"})
"""Lists between 0 and 1; where they are drawn, they are written in thousandths."""


POINTS = 12_000
"""Of all learning curves together, about; a row's curve keeps 20 in any case."""


def _payload(data: Mapping[str, Any]) -> Markup:
    """The data as JSON that may stand in a script element, made small.

    Numbers are rounded, alike records become columns and rows, parts of configurations are said once, and where there
    are many rows their curves are thinned. The function `unpacked` in `scripts/basics.js` undoes it.
    """
    parts: dict[str, int] = {}
    points = max(20, POINTS // max(1, sum(map(len, data["rows"].values()))))
    slim = dict(data)
    slim["rows"] = {
        level: {
            name: {
                **row,
                "config": _once(row["config"], parts),
                "curve": _thinned(row["curve"], "step", points),
                "gradient": _thinned(row["gradient"], "lag", points),
            }
            for name, row in rows.items()
        }
        for level, rows in data["rows"].items()
    }
    slim = _packed(slim, 7)
    page = {
        "data": slim,
        "parts": [json.loads(text) for text in parts],
        "tables": [
            {"name": t["name"], "scopes": t["scopes"], "columns": [asdict(c) for c in t["columns"]]}
            for t in _tables(data)
        ],
        "markers": MARKERS,
        "few": FEW,
    }
    text = json.dumps(page, allow_nan=False, separators=(",", ":"))  # ASCII: U+2028 and U+2029 are escaped already
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _once(config: Mapping[str, Any], parts: dict[str, int]) -> dict[str, int]:
    """The parts of a configuration by their place in ``parts``."""
    return {name: parts.setdefault(json.dumps(part), len(parts)) for name, part in config.items()}


def _thinned(curve: Mapping[str, Any] | None, axis: str, points: int) -> Mapping[str, Any] | None:
    """At most so many points of a curve, its ends among them: evenly spaced steps, lags by their logarithm."""
    if not curve or len(curve[axis]) <= points:
        return curve
    at = [math.log1p(value) if axis == "lag" else value for value in curve[axis]]
    marks = [at[0] + (at[-1] - at[0]) * i / (points - 1) for i in range(points)]
    kept = sorted({0, len(at) - 1, *(bisect_left(at, mark, hi=len(at) - 1) for mark in marks)})
    return {name: [values[i] for i in kept] if values else values for name, values in curve.items()}


def _packed(value: Any, digits: int | None) -> Any:
    """Rounded to so many digits (None: not at all) and without the names that alike records repeat."""
    if isinstance(value, float):
        return value if digits is None else _rounded(value, digits)
    if isinstance(value, str | int) or value is None:
        return value
    if isinstance(value, Mapping):
        return _tabled({name: _packed_part(str(name), part, digits) for name, part in value.items()}, digits)
    return _tabled([_packed(part, digits) for part in value], digits)


def _packed_part(name: str, part: Any, digits: int | None) -> Any:
    if name in EXACT or digits is None:
        return _packed(part, None)
    if digits == 3 and name in SKILLS and isinstance(part, Sequence):
        return {"$thousandths": [None if each is None else round(1000 * each) for each in part]}
    return _packed(part, 3 if name in DRAWN else 4 if name in SAID else digits)


def _tabled(parts: Any, digits: int | None) -> Any:
    """Two or more records with the same names as columns and rows, whether they are in a list or have names."""
    records = list(parts.values()) if isinstance(parts, dict) else parts
    keys = list(records[0]) if len(records) > 1 and isinstance(records[0], dict) else []
    alike = all(isinstance(each, dict) and list(each) == keys for each in records)
    if digits is None or not keys or keys[0].startswith("$") or not alike:
        return parts
    table: dict[str, Any] = {"$columns": keys, "$rows": [list(each.values()) for each in records]}
    for i, key in enumerate(keys):
        words = list(dict.fromkeys(row[i] for row in table["$rows"] if isinstance(row[i], str)))
        # Words that many rows repeat are said once.
        if words and 4 * len(words) < len(records) and all(isinstance(row[i], str) for row in table["$rows"]):
            table.setdefault("$words", {})[key] = words
            for row in table["$rows"]:
                row[i] = words.index(row[i])
    return {"$names": list(parts), **table} if isinstance(parts, dict) else table


def _rounded(value: float, digits: int) -> float | int:
    """To so many significant digits, but never coarser than to a whole number; a whole number is an integer."""
    if not math.isfinite(value):
        raise ValueError(f"every number of a page is finite or None, and this is {value}")
    found = round(value, max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0)))
    return int(found) if found == int(found) else found
