"""A leaderboard as one HTML file that needs nothing else: text, tables, pictures, scripts and data.

The page is `assets/page.html`, filled here. The table of the first scope of each tab stands in the HTML, where it can
be read without scripts; `assets/scripts/` writes the others from the same columns. The same data always give the same
bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from suite.errors import many
from suite.leaderboards.columns import INTROS, RESOLUTION, cell, explained
from suite.leaderboards.page.colours import colour_rules, outline
from suite.leaderboards.page.payload import payload
from suite.leaderboards.page.tabs import tabs
from suite.statistics.table import FEW_SEEDS, OVERALL

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    "basics",
    "tables",
    "plots",
    "figures",
    "gradients",
    "tab_figures",
    "chips",
    "drawer",
    "comparing",
    "listening",
)
"""The parts of the page's script, in this order."""


def render(data: Mapping[str, Any]) -> str:
    """Return the whole page as one HTML text.

    Args:
        data: everything that is shown, as `page_data` gives it.

    Raises:
        ValueError: if a number is neither finite nor None.
    """
    text: str = template("page.html").render(
        data=data,
        tabs=tabs(data),
        facts=_facts(data),
        colours=colour_rules(data["architectures"]),
        families=_families(data),
        index={each["label"]: i for i, each in enumerate(data["architectures"])},
        markers=[outline(each["marker"]) for each in data["architectures"]],
        css=asset("page.css"),
        scripts=[asset(f"vendor/{name}") for name in ("d3.min.js", "plot.umd.min.js")],
        script=Markup("\n\n").join(asset(f"scripts/{name}.js") for name in SCRIPTS),
        payload=payload(data),
        cell=cell,
        resolution=RESOLUTION,
        resolution_text=INTROS["resolution"],
        explained=explained(),
        pieces=lambda label: re.split("(?<=_)", label),
        bar=bar,
        few=FEW_SEEDS,
    )
    return text


@cache
def template(name: str) -> Any:
    """Return a template of `assets`, which escapes what it is filled with."""
    loader = FileSystemLoader(ASSETS, encoding="utf-8")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


@cache
def asset(name: str) -> Markup:
    """Return a style or a script of ours, which may stand in the page as it is."""
    text = (ASSETS / name).read_text(encoding="utf-8").strip()
    if re.search(r"</(script|style)|<!--", text, re.IGNORECASE):
        raise ValueError(f"{name} would end its own element; write '<\\/script' and no HTML comments")
    return Markup(text)


def _families(data: Mapping[str, Any]) -> list[str]:
    """Return the families among which one can choose; none where there are fewer than two."""
    families = sorted({each["family"] for each in data["architectures"] if each["family"]})
    return families if len(families) > 1 else []


def _facts(data: Mapping[str, Any]) -> list[str]:
    """Return what the header counts."""
    rows = [row for ranking in data["rankings"].values() for row in ranking]
    seeds = sorted({int(row["seeds"]) for row in rows if row["seeds"] is not None})
    levels = [scope for scope in data["scopes"] if scope != OVERALL]
    facts = [many(len(data["architectures"]), "architecture"), many(len(levels), "task")]
    if seeds:
        facts.append(many(seeds[-1], "seed") if seeds[0] == seeds[-1] else f"{seeds[0]} to {seeds[-1]} seeds")
    planned = many(data["planned"], "run")
    return [*facts, f"{planned}, complete" if data["complete"] else f"{data['done']:,} of {planned}, not complete"]


def bar(row: Mapping[str, Any]) -> dict[str, str] | None:
    """Return where the line and the dot of a skill stand on an axis from 0 to 100, or None where there is none."""
    if row["mean"] is None:
        return None
    mean, low, high = (
        min(1.0, max(0.0, row["mean"] if row[key] is None else row[key])) for key in ("mean", "low", "high")
    )
    return {"mean": f"{100 * mean:.2f}", "low": f"{100 * low:.2f}", "high": f"{100 * high:.2f}"}
