"""The data of the page's scripts as JSON.

Tables are written as columns, so that names are said once; `scripts/basics.js` makes rows of them again. Everything
else stands as `suite.leaderboards.page.data` gives it.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup

from suite.leaderboards.page.colours import MARKERS
from suite.leaderboards.page.tabs import tabs
from suite.statistics.table import FEW_SEEDS

COLUMN = ("key", "heading", "kind", "low", "high", "sort", "best", "left")
"""The attributes of a column that the scripts read."""
CURVES = {"curve": "step", "gradient": "lag", "input_gradient": "lag"}
"""The axis of each curve in the details of a row."""
IN_TEXT = ("description", "notes", "measured", "resolution", "cite", "files")
"""What stands in the text of the page, and needs no script."""
POINTS = 11_000
"""About the number of points of all learning curves together; the curve of a row keeps at least 16."""


def payload(data: Mapping[str, Any]) -> Markup:
    """Return the data as JSON that may stand in a script element."""
    levels = data["rows"]
    points = max(16, POINTS // max(1, sum(map(len, levels.values()))))
    places = {each["label"]: place for place, each in enumerate(data["architectures"])}
    pairs = {
        scope: [{**pair, "first": places[pair["first"]], "second": places[pair["second"]]} for pair in rows]
        for scope, rows in data["comparisons"].items()
    }
    page = {
        "data": {
            **{name: value for name, value in data.items() if name not in IN_TEXT},
            "rankings": {scope: _columns(rows) for scope, rows in data["rankings"].items()},
            "beyond": {scope: _columns(rows) for scope, rows in data["beyond"].items()},
            "overfitting": {ladder: _columns(rows) for ladder, rows in data["overfitting"].items()},
            "profiles": {scope: _stepped(profile) for scope, profile in data["profiles"].items()},
            "longer": _columns(data["longer"]),
            "by_lag": _columns(data["by_lag"]),
            "horizons": [
                {**ladder, "points": _columns(ladder["points"]), "fits": _columns(ladder["fits"])}
                for ladder in data["horizons"]
            ],
            "comparisons": {scope: _columns(rows) for scope, rows in pairs.items()},
            "rows": {level: _level(rows, points) for level, rows in levels.items()},
        },
        "tables": [
            {
                "name": tab.name,
                "source": tab.source,
                "scopes": tab.scopes,
                "columns": [{name: getattr(column, name) for name in COLUMN} for column in tab.columns],
            }
            for tab in tabs(data)
        ],
        "markers": MARKERS,
        "few": FEW_SEEDS,
    }
    try:
        text = json.dumps(page, allow_nan=False, separators=(",", ":"))  # ASCII, so that U+2028 is escaped already
    except ValueError as error:
        raise ValueError(f"every number of a page is finite or None: {error}") from error
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows that have the same names as columns.

    A column whose values are all alike becomes ``{"all": value}``. A column of texts that repeat becomes ``{"texts": …,
    "places": …}``. Every other column stays a list.
    """
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
    alike = {name: {"all": values[0]} for name, values in columns.items() if _are_alike(values)}
    if len(alike) == len(columns):  # The others say how many rows there are.
        return columns
    return {name: alike.get(name) or _few_texts(values) for name, values in columns.items()}


def _few_texts(values: Sequence[Any]) -> Any:
    """Return texts that come several times each as ``{"texts": …, "places": …}``; others as they are."""
    texts = list(dict.fromkeys(values)) if all(isinstance(value, str) for value in values) else values
    if 2 * len(texts) > len(values):
        return values
    places = {text: place for place, text in enumerate(texts)}
    return {"texts": texts, "places": [places[value] for value in values]}


def _are_alike(values: Sequence[Any]) -> bool:
    return all(value == values[0] and type(value) is type(values[0]) for value in values)


def _stepped(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile with its curves as runs, because those of few seeds have few steps."""
    curves = {label: {name: _runs(values) for name, values in its.items()} for label, its in profile["curves"].items()}
    return {**profile, "curves": curves}


def _runs(values: Sequence[Any]) -> list[Any]:
    """Return values as ``[value, its times, the next value, …]``."""
    return [part for value, run in groupby(values) for part in (value, len(list(run)))]


def _level(rows: Mapping[str, Mapping[str, Any]], points: int) -> dict[str, Any]:
    """Return the rows of a level as columns, with the parts of configurations that they share said once."""
    configs = [row["config"] for row in rows.values()]
    shared = {part: _in_all(part, configs) for part in configs[0]} if configs else {}
    own = [
        {
            **row,
            "architecture": name,
            "config": {part: _differing(values, shared[part]) for part, values in row["config"].items()},
        }
        for name, row in rows.items()
    ]
    curves = {
        name: _stacked([_thinned(row[name], axis, points) for row in own], axis) for name, axis in CURVES.items() if own
    }
    return {"shared": shared, **_columns(own), **curves}


def _stacked(curves: Sequence[Mapping[str, Any] | None], axis: str) -> dict[str, Any]:
    """Return the curves of rows as columns, with null where a row has none.

    Most rows share the values of their axis. They are written once, in ``axes``, and each row has their place there.
    """
    axes: list[Any] = []
    for curve in curves:
        if curve and curve[axis] not in axes:
            axes.append(curve[axis])
    names = dict.fromkeys(name for curve in curves if curve for name in curve)
    columns = {name: [curve.get(name) if curve else None for curve in curves] for name in names}
    return {**columns, axis: [axes.index(curve[axis]) if curve else None for curve in curves], "axes": axes}


def _in_all(part: str, configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return those settings in a part of the first configuration that all others have too, if with other values."""
    return {name: value for name, value in configs[0][part].items() if all(name in each[part] for each in configs)}


def _differing(values: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in shared or shared[name] != value}


def _thinned(curve: Mapping[str, Any] | None, axis: str, points: int) -> Mapping[str, Any] | None:
    """Return at most so many points of a curve, its ends among them: evenly spaced steps, lags by their logarithm."""
    if not curve or len(curve[axis]) <= points:
        return curve
    at = [math.log1p(value) if axis == "lag" else value for value in curve[axis]]
    marks = [at[0] + (at[-1] - at[0]) * i / (points - 1) for i in range(points)]
    places = sorted({0, len(at) - 1, *(bisect_left(at, mark, hi=len(at) - 1) for mark in marks)})
    return {name: [values[i] for i in places] if values else values for name, values in curve.items()}
