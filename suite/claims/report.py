"""Verdicts on the terminal, in Markdown, CSV and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from suite.claims.verdict import CONTRADICTS, SIGN, SUPPORTS, ClaimVerdict
from suite.statistics.bootstrap import FEW_SEEDS, OVERALL

COLOURS = {"supported": "green", "refuted": "red", "conditional": "yellow", "unresolved": "dim"}
LEGEND = f"""\
effect: the first comparison of the claim, first arm minus second, with its 95 % interval (a mean over the levels where
there are several). for, against: comparisons on single levels that support or contradict the claim, of so many; the
rest are unresolved, or uninformative: both arms at the floor or both at the ceiling. A difference counts if it is
beyond the margin and significant (paired, Holm over the whole claim); "no difference" if the whole interval lies within
the margin, which misses failures rarer than one in so many seeds. supported, refuted: at least half of the informative
ones are resolved and all agree; conditional: some support it and some contradict it. Fewer than {FEW_SEEDS} seeds are
an indication, not a result."""
ROW_COLUMNS = ("first", "", "second", "level", "measure", "first", "second", "difference [95 %]", "margin", "p (Holm)",
               "pairs", "found", "says")  # fmt: skip
COLUMNS = ("claim", "verdict", "effect [95 %]", "for", "against", "of", "seeds")


def headline(judged: ClaimVerdict) -> str:
    """``gru − lstm, test_skill: +0.10 [0.02, 0.18]``"""
    row = judged.pooled.iloc[0]
    against = row["second"]
    name = f"{row['first']} − {against}" if judged.claim.scale == "linear" else f"{row['first']} / {against}"
    return f"{name}: {effect(row, judged.claim.scale)}"


def effect(row: pd.Series[Any], scale: str) -> str:
    """``+0.10 [0.02, 0.18]``, or as a ratio on a logarithmic scale: ``× 0.91 [0.88, 0.94]``."""
    numbers = [float(row[name]) for name in ("difference", "low", "high")]
    if scale == "log" and all(map(math.isfinite, numbers)):
        point, low, high = map(math.exp, numbers)
        return f"× {point:.2f} [{low:.2f}, {high:.2f}]"
    point, low, high = numbers
    if math.isnan(point):
        return "–"
    digits = 2 if max(abs(point), abs(row["margin"])) >= 0.02 else 3
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low) else ""
    return f"{point:+.{digits}f}{interval}"


def _cells(judged: ClaimVerdict) -> tuple[str, ...]:
    return (
        judged.claim.name,
        judged.verdict,
        effect(judged.pooled.iloc[0], judged.claim.scale),
        str(judged.count(SUPPORTS)),
        str(judged.count(CONTRADICTS)),
        str(judged.voting),
        str(judged.seeds),
    )


def show(found: Sequence[ClaimVerdict], console: Console) -> None:
    """Print the verdicts, and each comparison where there is one claim only."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in COLUMNS[:3] else "right", no_wrap=name != "claim")
    for judged in found:
        cells = _cells(judged)
        table.add_row(cells[0], f"[{COLOURS[judged.verdict]}]{cells[1]}[/]", *cells[2:])
    console.print(table, "")
    if len(found) == 1:
        _show_rows(found[0], console)
    console.print(LEGEND.replace("\n", " "), style="dim")


def _show_rows(judged: ClaimVerdict, console: Console) -> None:
    claim = judged.claim
    console.print(f"“{claim.statement}”", soft_wrap=False)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    for name in ("comparison", "level", "difference [95 %]", "found", "says"):
        table.add_column(name)
    for _, row in judged.rows.iterrows():
        table.add_row(
            f"{row['first']} {SIGN[row['direction']]} {row['second']} ({row['measure']})",
            row["task"], effect(row, claim.scale), row["found"],
            f"({row['says']})" if row["context"] else row["says"],
        )  # fmt: skip
    console.print(table, "")


def markdown(found: Sequence[ClaimVerdict]) -> str:
    """All verdicts in one table, then each claim with its comparisons and its picture."""
    budgets = " and ".join(sorted({judged.budget for judged in found}))
    lines = [f"# Claims put to the test, budget {budgets}", "", *verdict_table(found), "", LEGEND, ""]
    for judged in found:
        claim = judged.claim
        lines += [
            f"## {claim.name}: {judged.verdict}", "",
            f"> {claim.statement}", "",
            f"Source: {claim.source}", "",
            *([f"Expected by the literature: {claim.expected}", ""] if claim.expected else []),
            f"![effects]({claim.name}.png)", "",
            f"| {' | '.join(ROW_COLUMNS)} |",
            f"|{'---|' * 5}{'--:|' * 6}---|---|",
        ]  # fmt: skip
        for _, r in judged.rows.iterrows():
            pairs = f"{r['pairs']} ({r['lost']} lost)" if r["lost"] else str(r["pairs"])
            says = f"({r['says']}, context)" if r["context"] else r["says"]
            lines.append(
                f"| {r['first']} | {SIGN[r['direction']]} | {r['second']} | {r['task']} | {r['measure']} | "
                f"{r['first_mean']:.3g} | {r['second_mean']:.3g} | {effect(r, claim.scale)} | {r['margin']:g} | "
                f"{r['p_holm']:.2g} | {pairs} | {r['found']} | {says} |"
            )
        pooled = judged.pooled[[len(set(t)) > 1 for t in _levels_of(judged)]]
        lines += [""]
        lines += [
            f"Over all levels, {r['first']} {'/' if claim.scale == 'log' else '−'} {r['second']}, {r['measure']}: "
            f"{effect(r, claim.scale)}.  "
            for _, r in pooled.iterrows()
        ]
        if judged.few_seeds:
            lines += [
                "",
                f"**{judged.seeds} seeds, fewer than {FEW_SEEDS}: an indication and not a result to publish.**",
            ]
        lines += [""]
    return "\n".join(lines)


def _levels_of(judged: ClaimVerdict) -> list[list[str]]:
    keys = ["first", "second", "measure", "direction"]
    by = {key: list(group["task"]) for key, group in judged.rows.groupby(keys, sort=False)}
    return [by.get(tuple(row), []) for row in judged.pooled[keys].to_numpy()]


def verdict_table(found: Sequence[ClaimVerdict]) -> list[str]:
    """The verdicts as the lines of a Markdown table."""
    lines = [
        "| claim | says | verdict | effect [95 %] | for | against | of | seeds |",
        "|---|---|---|---|--:|--:|--:|--:|",
    ]
    for judged in found:
        name, verdict, _, *counts = _cells(judged)
        lines.append(
            f"| {name} | {judged.claim.statement} | **{verdict}** | {headline(judged)} | {' | '.join(counts)} |"
        )
    return lines


def as_json(found: Sequence[ClaimVerdict]) -> str:
    """Everything but the observations; a figure that does not exist is null."""

    def records(frame: pd.DataFrame) -> Any:
        return json.loads(frame.to_json(orient="records", double_precision=12))

    page = [
        {
            "claim": judged.claim.name,
            "statement": judged.claim.statement,
            "source": judged.claim.source,
            "budget": judged.budget,
            "verdict": judged.verdict,
            "rows": records(judged.rows),
            OVERALL: records(judged.pooled),
        }
        for judged in found
    ]
    return json.dumps(page, indent=2, ensure_ascii=False) + "\n"


def observations(found: Sequence[ClaimVerdict]) -> pd.DataFrame:
    """Every number that a verdict was made from."""
    tables = [judged.observations.assign(claim=judged.claim.name) for judged in found]
    columns = ["claim", "measure", "task", "architecture", "seed", "value"]
    return pd.concat(tables)[columns].sort_values(columns[:-1], ignore_index=True)


def write(found: Sequence[ClaimVerdict], folder: Path) -> list[Path]:
    """``claims.md``, ``claims.json``, ``observations.csv`` and a picture of each claim (PNG and SVG)."""
    from suite.claims.figure import claim_figure
    from suite.plots.style import save

    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "claims.md": markdown(found),
        "claims.json": as_json(found),
        "observations.csv": observations(found).to_csv(index=False, lineterminator="\n", float_format="%.7g"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    pictures = [path for judged in found for path in save(claim_figure(judged), folder / judged.claim.name)]
    return [*(folder / name for name in texts), *pictures]
