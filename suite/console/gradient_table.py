"""The survey of gradient flow as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from suite.diagnostics.survey_row import SurveyRow, Through
from suite.leaderboards.text.table_styles import terminal_table
from suite.results.wording import UNKNOWN
from suite.statistics.student import Interval

QUOTIENTS: dict[Through, str] = {
    "state": "The gradient through the state, v·∂s(T)/∂s(T − τ)",
    "input": "The gradient from output to input, v·∂y(T)/∂x(T − τ)",
}
LEGEND = (
    "τ = 10 is the norm of the gradient over ten steps, where s holds all states, y is the output, x the input, and v "
    "a random unit vector. It is a geometric mean over vectors, sequences and seeds. The slope is the change of its "
    "natural logarithm per step. The memory is −1/slope, in steps, with a 95 % interval over seeds. For a gradient "
    "that becomes exactly 0, it is the last τ at which there is one. A gradient that falls and rises again has "
    "neither. From output to input, the last input (τ = 0) does not count. The size is the hidden size."
)


def show(rows: Sequence[SurveyRow], console: Console) -> None:
    """Print the survey as tables of at most 80 columns, unless a label is long."""
    for through, title in QUOTIENTS.items():
        if its := [row for row in rows if row.through == through]:
            console.print(_table(its, title), "")
            for row in its:
                style = "yellow" if row.turn else None
                console.print(f"The gradient of {row.label} {row.words}.", style=style, markup=False, highlight=False)
            if through == "state" and (missing := without_state(rows)):
                console.print(missing, style="yellow", markup=False, highlight=False)
            console.print()
    console.print(LEGEND, style="dim")


def without_state(rows: Sequence[SurveyRow]) -> str:
    """Return a sentence that names the architectures whose gradient through the state does not exist, or nothing."""
    stateful = {row.label for row in rows if row.through == "state"}
    missing = [row.label for row in rows if row.label not in stateful]
    have = "has" if len(missing) == 1 else "have"
    return f"{', '.join(missing)} {have} no state of constant size, and so no gradient through it." if missing else ""


def _table(rows: Sequence[SurveyRow], title: str) -> Table:
    last = min(row.last for row in rows)
    steps = last + rows[0].first
    taus = (steps // 10, steps // 2, last)
    table = terminal_table(title)
    table.add_column("architecture", overflow="fold")
    for heading in (*(f"τ = {tau}" for tau in taus), "slope", "memory [95 %]", "size", "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        norms = [_norm(row.mark(tau).mean) for tau in taus]
        described = (UNKNOWN, UNKNOWN) if row.turn else (_slope(row.slope), _memory(row.memory))
        table.add_row(escape(row.label), *norms, *described, str(row.hidden_size), str(row.seeds))
    return table


def as_json(rows: Sequence[SurveyRow]) -> str:
    """Return the rows with their curves. Values that are not finite are null, such as an infinite memory."""
    page = [
        {
            "architecture": row.label,
            "through": row.through,
            "hidden_size": row.hidden_size,
            "seeds": row.seeds,
            "slope": row.slope._asdict(),
            "memory": row.memory._asdict(),
            "monotone": row.turn is None,
            "words": row.words,
            "residual": row.residual,
            "log_norm": dict(zip(("mean", "low", "high"), (end.tolist() for end in row.curve), strict=True)),
        }
        for row in rows
    ]
    return json.dumps(_finite(page), indent=2, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _norm(log: float) -> str:
    """Return exp(log) with two digits, however small or large it is."""
    return "0" if log == -math.inf else f"{Decimal(log).exp():.1e}"


def _slope(slope: Interval) -> str:
    return UNKNOWN if math.isnan(slope.mean) else "0" if abs(slope.mean) < 5e-4 else f"{slope.mean:.2g}"


def _memory(memory: Interval) -> str:
    """Return a memory with its interval, as text."""
    ends = "" if math.isnan(memory.low) else f" [{_steps(memory.low)}, {_steps(memory.high)}]"
    return _steps(memory.mean) + ends


def _steps(memory: float) -> str:
    """Return a memory in steps, as text."""
    if math.isnan(memory):
        return UNKNOWN
    return "∞" if math.isinf(memory) else f"{memory:,.1f}" if memory < 1000 else f"{memory:,.0f}"
