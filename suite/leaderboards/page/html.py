"""A leaderboard as one HTML file that needs nothing else: text, tables, pictures, scripts and data.

The page is `assets/page.html`, filled here. Tables of the first scope of each tab stand in the HTML, readable without
scripts; `assets/scripts/` writes the others by the same columns. The same data are the same bytes, always.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from suite.leaderboards.columns import Column
from suite.leaderboards.page.colours import _outline, _styles
from suite.leaderboards.page.payload import _payload
from suite.leaderboards.page.tabs import FEW, _tables

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("basics", "tables", "plots", "figures", "drawer", "comparing", "listening")
"""One script in parts, in this order."""
UNKNOWN = "–"


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


# --- the data of the scripts ------------------------------------------------------------------------------------------
