"""Verdicts as text: on the terminal, and as a report in Markdown, CSV and JSON."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from suite.claims.evidence import GRADIENT_SLOPES, THROUGH_STATE
from suite.claims.verdict import COMPARISON, CONTRADICTS, SIGN, SUPPORTS, ClaimVerdict, power_of
from suite.diagnostics.wording import slope_text
from suite.leaderboards.text.table_styles import markdown_table, terminal_table
from suite.results.wording import UNKNOWN, number_text
from suite.statistics.table import FEW_SEEDS, OVERALL

UNITS = dict.fromkeys(GRADIENT_SLOPES, " per step")
"""The units of differences that are not differences of shares."""
COLOURS = {"supported": "green", "refuted": "red", "conditional": "yellow", "unresolved": "dim"}
LEGEND = f"""\
The effect is that of the comparisons behind the verdict: the mean difference over the levels that decided, first arm
minus second, with its 95 % interval. If nothing is decided, it is that of the first comparison over all of its levels.

"For" and "against" count the comparisons, each on a single level, that support or contradict the claim; "of" counts all
that state it. Two arms differ if their difference is shown to exceed the margin (a paired test with Holm's adjustment
over these comparisons) and, where one arm was tuned twice, the difference between those two tunings as well. They are
tied if the whole interval lies within the margin, although a failure that is rarer than one in the number of seeds may
go unseen. A comparison without a difference is uninformative if both arms learn next to nothing, or both are nearly
perfect. Every other comparison is unresolved, as is one in which an arm lacks a value because its run diverged.

A claim is supported or refuted if at least half of the informative comparisons are resolved and all of these agree. It
is conditional if some of them support it and others contradict it, and otherwise it is unresolved. "Cause" is the same
verdict on the reason that the claim gives, from comparisons of their own. Comparisons in parentheses do not state the
claim. Fewer than {FEW_SEEDS} seeds give an indication, not a result."""
COLUMNS = ("claim", "verdict", "effect [95 %]", "for", "against", "of", "seeds")
ROW_COLUMNS = (
    *("first", "", "second", "level", "measure", "mean of first", "mean of second", "difference [95 %]"),
    *("margin", "two tunings", "p (Holm)", "pairs", "observed", "says"),
)


def headline(verdict: ClaimVerdict) -> str:
    """Return the effect of the claim with its arms: ``gru − lstm: +0.10 [0.02, 0.18]``."""
    row = verdict.effect
    return f"{_arms(row, verdict)}: {effect(row, verdict.claim.scale)}{UNITS.get(row['measure'], '')}"


def effect(row: pd.Series[Any], scale: str) -> str:
    """Return ``+0.10 [0.02, 0.18]``, or on a logarithmic scale a ratio such as ``× 0.91 [0.88, 0.94]``."""
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


def in_words(row: pd.Series[Any]) -> str:
    """Return what the effect means, where its number does not say so by itself; otherwise nothing."""
    if row["measure"] not in GRADIENT_SLOPES or math.isnan(row["difference"]):
        return ""
    against = "" if row["second"] == "0" else f", against that of {row['second']}"
    way = "" if row["measure"] in THROUGH_STATE else " from output to input"
    return f"The gradient of {row['first']}{way} {slope_text(float(row['difference']), 100)}{against}."


def _arms(row: pd.Series[Any], verdict: ClaimVerdict) -> str:
    return f"{row['first']} {'/' if verdict.claim.scale == 'log' else '−'} {row['second']}"


def _cells(verdict: ClaimVerdict) -> tuple[str, ...]:
    """Return the cells of `COLUMNS`."""
    return (
        verdict.claim.name,
        verdict.verdict,
        effect(verdict.effect, verdict.claim.scale),
        str(verdict.count(SUPPORTS)),
        str(verdict.count(CONTRADICTS)),
        str(verdict.counted),
        str(verdict.seeds),
    )


# On the terminal ----------------------------------------------------------------------------------------------------


def print_verdicts(verdicts: Sequence[ClaimVerdict], console: Console, legend: bool = True) -> None:
    """Print the verdicts, and the comparisons as well if there is only one claim; then what the columns mean."""
    rows = [_cells(verdict) for verdict in verdicts]
    causes = [f"\n[dim]cause {verdict.cause}[/]" if verdict.cause else "" for verdict in verdicts]
    widest = max((f"cause {verdict.cause}" for verdict in verdicts if verdict.cause), key=len, default="")
    room = _room_for_first([COLUMNS, *rows, ("", widest, *[""] * (len(COLUMNS) - 2))], console.width)
    table = terminal_table(space=2)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in COLUMNS[:3] else "right", no_wrap=True)
    for (name, answer, *numbers), cause in zip(rows, causes, strict=True):
        table.add_row(_broken_at_underscores(name, room), f"[{COLOURS[answer]}]{answer}[/]{cause}", *numbers)
    console.print(table, "")
    if len(verdicts) == 1:
        _print_comparisons(verdicts[0], console)
    for paragraph in LEGEND.split("\n\n") if legend else ():
        console.print(paragraph.replace("\n", " "), style="dim")


def _print_comparisons(verdict: ClaimVerdict, console: Console) -> None:
    """Print the statement, and each comparison with one line per level."""
    console.print(f"“{escape(verdict.claim.statement)}”", "")
    if words := in_words(verdict.effect):
        console.print(words, "", highlight=False)
    if power := power_of(verdict.claim, verdict.seeds):
        console.print(power, "", highlight=False)
    rows = [row for _, row in verdict.rows.iterrows()]
    lines = [_line(row, verdict) for row in rows]
    headings = ("level", "difference [95 %]", "observed", "says")
    first, *others = (max(map(len, column)) for column in zip(headings, *lines, strict=True))
    first = min(first, _room_for_first([headings, *lines], console.width - 2))

    def print_lines(cells: Iterable[tuple[str, ...]], style: str = "") -> None:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False, style=style)
        for width in (first, *others):
            table.add_column(width=width)
        for level, *numbers in cells:
            table.add_row(_broken_at_underscores(level, first), *numbers)
        console.print(Padding(table, (0, 0, 0, 2), expand=False))

    print_lines([headings], "dim")
    for key, group in groupby(zip(rows, lines, strict=True), key=lambda pair: tuple(pair[0][COMPARISON])):
        arm, other, measure, direction = key
        console.print(f"[bold]{escape(f'{arm} {SIGN[direction]} {other}')}[/bold] ({escape(measure)})")
        print_lines(line for _, line in group)
    console.print()


def _line(row: pd.Series[Any], verdict: ClaimVerdict) -> tuple[str, ...]:
    """Return the cells of one comparison on one level."""
    says = row["says"] if row["role"] == "statement" else f"({row['says']})"
    return row["task"], effect(row, verdict.claim.scale), row["observed"], says


def _room_for_first(rows: Sequence[Sequence[str]], width: int) -> int:
    """Return the width that is left for the first column beside the others, which stand two spaces apart."""
    return width - sum(2 + max(map(len, column)) for column in list(zip(*rows, strict=True))[1:])


def _broken_at_underscores(text: str, width: int) -> str:
    """Return a text in which no word is longer than ``width``, as far as its underscores allow it."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if len(word) > width:
            pieces = textwrap.wrap(word.replace("_", "_ "), width, break_long_words=False, break_on_hyphens=False)
            words[i] = "\n".join(piece.replace("_ ", "_") for piece in pieces)
    return escape(" ".join(words))


# The report ---------------------------------------------------------------------------------------------------------


def write_report(verdicts: Sequence[ClaimVerdict], folder: Path) -> list[Path]:
    """Write ``claims.md``, ``claims.json``, ``observations.csv`` and a picture of each claim (PNG and SVG)."""
    from suite.claims.figure import claim_figure
    from suite.plots.style import save

    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "claims.md": markdown_report(verdicts),
        "claims.json": json_report(verdicts),
        "observations.csv": observations(verdicts).to_csv(index=False, lineterminator="\n", float_format="%.7g"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    pictures = [path for verdict in verdicts for path in save(claim_figure(verdict), folder / verdict.claim.name)]
    return [*(folder / name for name in texts), *pictures]


def markdown_report(verdicts: Sequence[ClaimVerdict]) -> str:
    """Return all verdicts in one table, then each claim with its comparisons and its picture."""
    budgets = " and ".join(sorted({verdict.budget for verdict in verdicts}))
    lines = [f"# Claims put to the test, budget {budgets}", "", *verdict_table(verdicts), "", LEGEND, ""]
    for verdict in verdicts:
        lines += _markdown_of_claim(verdict)
    return "\n".join(lines)


def verdict_table(verdicts: Sequence[ClaimVerdict]) -> list[str]:
    """Return the verdicts as the lines of a Markdown table."""
    rows = []
    for verdict in verdicts:
        name, answer, _, *counts = _cells(verdict)
        cause = verdict.cause or UNKNOWN
        rows.append((name, verdict.claim.statement, f"**{answer}**", cause, headline(verdict), *counts))
    headings = ("claim", "says", "verdict", "cause", "effect [95 %]", "for", "against", "of", "seeds")
    return list(markdown_table(headings, "lllllrrrr", rows))


def _markdown_of_claim(verdict: ClaimVerdict) -> list[str]:
    claim = verdict.claim
    cause = f", its cause {verdict.cause}" if verdict.cause else ""
    lines = [
        f"## {claim.name}: {verdict.verdict}{cause}",
        "",
        f"> {claim.statement}",
        "",
        f"Source: {claim.source}",
        "",
    ]
    if claim.expected:
        lines += [f"Expected by the literature: {claim.expected}", ""]
    levels = verdict.effect["levels"]
    mean = f", a mean over {levels} levels" if levels > 1 else f", on {verdict.effect['task']}"
    behind = f"{headline(verdict)} in `{verdict.effect['measure']}`{mean}. {in_words(verdict.effect)}"
    lines += [behind.rstrip(), ""]
    lines += [f"![effects]({claim.name}.png)", ""]
    rows = []
    for _, row in verdict.rows.iterrows():
        pairs = f"{row['pairs']} ({row['lost']} lost)" if row["lost"] else str(row["pairs"])
        says = row["says"] if row["role"] == "statement" else f"({row['says']}, {row['role']})"
        means = (f"{row[name]:.3g}" for name in ("first_mean", "second_mean"))
        tunings = number_text(row["yardstick"])
        names = (row["first"], SIGN[row["direction"]], row["second"], row["task"], row["measure"])
        numbers = (
            *means,
            effect(row, claim.scale),
            f"{row['margin']:g}",
            tunings,
            f"{row['p_holm']:.2g}",
            pairs,
        )
        rows.append((*names, *numbers, row["observed"], says))
    lines += [*markdown_table(ROW_COLUMNS, "lllllrrrrrrrll", rows), ""]
    for _, row in _over_several_levels(verdict).iterrows():
        lines.append(f"Over all levels, {_arms(row, verdict)}, {row['measure']}: {effect(row, claim.scale)}.  ")
    if power := power_of(claim, verdict.seeds):
        lines += ["", power]
    if verdict.few_seeds:
        few = f"There are {verdict.seeds} seeds, fewer than {FEW_SEEDS}: this is an indication and not a result."
        lines += ["", f"**{few}**"]
    return [*lines, ""]


def _over_several_levels(verdict: ClaimVerdict) -> pd.DataFrame:
    """Return the pooled rows of comparisons that are made on more than one level."""
    levels = verdict.rows.groupby(COMPARISON)["task"].nunique()
    return verdict.pooled[[levels.get(tuple(row), 0) > 1 for row in verdict.pooled[COMPARISON].to_numpy()]]


def json_report(verdicts: Sequence[ClaimVerdict]) -> str:
    """Return everything but the observations as JSON; a number that does not exist is null."""

    def records(frame: pd.DataFrame) -> Any:
        return json.loads(frame.to_json(orient="records", double_precision=12))

    claims = [
        {
            "claim": verdict.claim.name,
            "statement": verdict.claim.statement,
            "source": verdict.claim.source,
            "budget": verdict.budget,
            "verdict": verdict.verdict,
            "cause": verdict.cause,
            "effect": json.loads(verdict.effect.to_json(double_precision=12)),
            "rows": records(verdict.rows),
            OVERALL: records(verdict.pooled),
        }
        for verdict in verdicts
    ]
    return json.dumps(claims, indent=2, ensure_ascii=False) + "\n"


def observations(verdicts: Sequence[ClaimVerdict]) -> pd.DataFrame:
    """Return every number from which a verdict was made."""
    tables = [verdict.observations.assign(claim=verdict.claim.name) for verdict in verdicts]
    columns = ["claim", "measure", "task", "architecture", "seed", "value"]
    return pd.concat(tables)[columns].sort_values(columns[:-1], ignore_index=True)
