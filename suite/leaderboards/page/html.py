"""A leaderboard as one HTML file that needs nothing else: text, tables, pictures, scripts and data.

The page is `assets/page.html`, filled here. Tables of the first scope of each tab stand in the HTML, readable without
scripts; `assets/scripts/` writes the others by the same columns. The same data are the same bytes, always.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from suite.leaderboards.columns import COST, MEMORY, OVERFITTING, Column

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("basics", "tables", "plots", "figures", "drawer", "comparing", "listening")
"""One script in parts, in this order."""
PAPER = {"light": "#fcfcfa", "dark": "#141517"}
"""The grounds of both themes, as in `page.css`."""
CONTRAST = {"light": 3.2, "dark": 4.5}
"""Of what is drawn, to its ground: WCAG 1.4.11 asks for 3; thin lines on a dark ground want more."""
UNKNOWN = "–"
FEW = 10
"""Fewer seeds than these are marked."""

MARKERS: dict[str, list[tuple[float, float]]] = {
    "o": [],  # a circle is no polygon
    "s": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "^": [(0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
    "v": [(0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
    "D": [(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)],
    "P": [
        *[(-0.4, -1.15), (0.4, -1.15), (0.4, -0.4), (1.15, -0.4), (1.15, 0.4), (0.4, 0.4)],
        *[(0.4, 1.15), (-0.4, 1.15), (-0.4, 0.4), (-1.15, 0.4), (-1.15, -0.4), (-0.4, -0.4)],
    ],
    "X": [
        *[(0, -0.57), (0.53, -1.1), (1.1, -0.53), (0.57, 0), (1.1, 0.53), (0.53, 1.1)],
        *[(0, 0.57), (-0.53, 1.1), (-1.1, 0.53), (-0.57, 0), (-1.1, -0.53), (-0.53, -1.1)],
    ],
    "*": [
        *[(0, -1.4), (0.33, -0.45), (1.33, -0.43), (0.53, 0.17), (0.82, 1.13)],
        *[(0, 0.55), (-0.82, 1.13), (-0.53, 0.17), (-1.33, -0.43), (-0.33, -0.45)],
    ],
}
"""The outlines of markers, of a circle of radius 1: for swatches and plots alike."""


def render(data: Mapping[str, Any]) -> str:
    """The whole page as one HTML text.

    Args:
        data: everything that is shown, as `suite.leaderboards.page.data` gives it: plain values, every number finite
            or None.
    """
    text: str = _template().render(
        data=data,
        tables=_tables(data),
        facts=_facts(data),
        styles=_styles(data["architectures"]),
        index={each["label"]: i for i, each in enumerate(data["architectures"])},
        markers=[_outline(each["marker"]) for each in data["architectures"]],
        css=_asset("page.css"),
        scripts=[_asset(f"vendor/{name}") for name in ("d3.min.js", "plot.umd.min.js")],
        script=Markup("\n\n").join(_asset(f"scripts/{name}.js") for name in SCRIPTS),
        payload=_payload(data),
        cell=cell,
        pieces=lambda label: re.split("(?<=_)", label),
        bar=bar,
        few=FEW,
    )
    return text


@cache
def _template() -> Any:
    loader = FileSystemLoader(ASSETS, encoding="utf-8")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html")


@cache
def _asset(name: str) -> Markup:
    """A style or a script of ours, that may stand in the page as it is."""
    text = (ASSETS / name).read_text(encoding="utf-8").strip()
    if re.search(r"</(script|style)|<!--", text, re.IGNORECASE):
        raise ValueError(f"{name} would end its own element; write '<\\/script' and no HTML comments")
    return Markup(text)


def _tables(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tabs that the data have: name, title, columns, scopes and the rows of the first."""
    found = [
        ("memory", "Long-term memory", MEMORY, data["memory"]),
        ("overfitting", "Overfitting", OVERFITTING, data["overfitting"]),
        ("cost", "Cost", COST, data["cost"]),
    ]
    tables = []
    for name, title, columns, scopes in found:
        if scopes:
            ordered = [scope for scope in data["scopes"] if scope in scopes]
            ordered += [scope for scope in scopes if scope not in ordered]
            some = any(row.get("horizon") for rows in scopes.values() for row in rows)
            shown = [column for column in columns if column.key != "horizon" or some]
            tables.append(
                {"name": name, "title": title, "columns": shown, "scopes": ordered, "rows": scopes[ordered[0]]}
            )
    return tables


def _facts(data: Mapping[str, Any]) -> list[str]:
    """What the header counts."""
    seeds = sorted({int(row["seeds"]) for rows in data["memory"].values() for row in rows if row["seeds"] is not None})
    levels = [scope for scope in data["scopes"] if scope != "overall"]
    facts = [_many(len(data["architectures"]), "architecture"), _many(len(levels), "task")]
    if seeds:
        facts.append(_many(seeds[-1], "seed") if seeds[0] == seeds[-1] else f"{seeds[0]} to {seeds[-1]} seeds")
    done, planned = f"{data['done']:,}", f"{data['planned']:,}"
    return [*facts, f"{done} runs, complete" if data["complete"] else f"{done} of {planned} runs, not complete"]


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


# --- the text of a cell -----------------------------------------------------------------------------------------------


def cell(row: Mapping[str, Any], column: Column) -> tuple[str, str]:
    """The text of a cell, and of its interval, if there is one."""
    value = row[column.key]
    if column.kind == "rank":
        low, high = row[column.low], row[column.high]
        return (UNKNOWN if low is None else f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"), ""
    if column.kind in ("name", "text"):
        return str(value or ""), ""
    if column.kind == "horizon":
        text, bracket, rest = (value or UNKNOWN).partition(" [")
        return text, f"[{rest}" if bracket else ""
    if column.kind == "flag":
        return ("yes" if value else ""), ""
    if value is None:
        missing = row.get("missing") if column.kind == "skill" else ""
        return (f"{UNKNOWN} (no {missing})" if missing else UNKNOWN), ""
    low, high = (row[column.low], row[column.high]) if column.low else (None, None)
    if low is None or high is None:
        return _number(value, column.kind), ""
    low, high = (_number(end, column.kind).removesuffix("%") for end in (low, high))
    return _number(value, column.kind), f"[{low}, {high}]"


def _number(value: float, kind: str) -> str:
    if kind == "percent":
        return f"{100 * value:.0f}%"
    if kind == "count":
        return f"{value:,.0f}"
    if kind == "short":
        return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
    return f"{round(value, 2) + 0.0:.2f}"  # adding 0.0 makes of −0.00 a 0.00


def bar(row: Mapping[str, Any]) -> dict[str, str] | None:
    """Where the line and the dot of a skill stand, on an axis from 0 to 100; None where there is none."""
    if row["mean"] is None:
        return None
    mean, low, high = (
        min(1.0, max(0.0, row["mean"] if row[key] is None else row[key])) for key in ("mean", "low", "high")
    )
    return {"mean": f"{100 * mean:.2f}", "low": f"{100 * low:.2f}", "high": f"{100 * high:.2f}"}


# --- colours and markers ----------------------------------------------------------------------------------------------


def _styles(architectures: Sequence[Mapping[str, Any]]) -> Markup:
    """A custom property per architecture: its colour, made as dark or as light as its ground asks for."""
    rules = []
    for i, each in enumerate(architectures):
        color = each["color"] if re.fullmatch("#[0-9a-fA-F]{6}", each["color"]) else "#777777"
        rules.append(f"--a{i}: light-dark({_legible(color, 'light')}, {_legible(color, 'dark')});")
    return Markup(":root { " + " ".join(rules) + " }")


def _legible(color: str, theme: str) -> str:
    """The colour, moved away from the ground of a theme until the contrast suffices."""
    ground = PAPER[theme]
    target = 0 if _luminance(ground) > 0.5 else 255
    start = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    for step in range(21):
        moved = "#" + "".join(f"{round(c + (target - c) * step / 20):02x}" for c in start)
        light, dark = sorted((_luminance(moved), _luminance(ground)), reverse=True)
        if (light + 0.05) / (dark + 0.05) >= CONTRAST[theme]:
            return moved
    return moved


def _luminance(color: str) -> float:
    """Relative luminance as WCAG defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _outline(marker: str, radius: float = 4.0) -> str:
    """The path of a marker around (0, 0)."""
    points = MARKERS.get(marker, [])
    if not points:
        return f"M{-radius},0a{radius},{radius} 0 1,0 {2 * radius},0a{radius},{radius} 0 1,0 {-2 * radius},0z"
    return "M" + "L".join(f"{x * radius:.2f},{y * radius:.2f}" for x, y in points) + "z"


# --- the data of the scripts ------------------------------------------------------------------------------------------

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
