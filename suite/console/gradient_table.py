"""The survey of gradient flow as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape

from suite.diagnostics.gradient_survey import SurveyRow
from suite.leaderboards.text.table_styles import terminal_table
from suite.results.wording import UNKNOWN
from suite.statistics.student import Interval

LEGEND = (
    "τ = 10 is the norm of v·∂s(T)/∂s(T − 10), where s holds all states and v is a random unit vector. It is a "
    "geometric mean over vectors, sequences and seeds. The slope is the change of its natural logarithm per step. The "
    "memory is −1/slope, in steps, with a 95 % interval over seeds. For a gradient that becomes exactly 0, it is "
    "the last τ at which there is one. A gradient that falls and rises again has neither. The size is the hidden size."
)


def show(rows: Sequence[SurveyRow], console: Console) -> None:
    """Print the survey as a table of at most 80 columns, unless a label is long."""
    table = terminal_table()
    table.add_column("architecture", overflow="fold")
    for heading in (*(f"τ = {tau}" for tau in rows[0].marks), "slope", "memory [95 %]", "size", "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        norms = [_norm(mark.mean) for mark in row.marks.values()]
        described = (UNKNOWN, UNKNOWN) if row.turn else (_slope(row.slope), _memory(row.memory))
        table.add_row(escape(row.label), *norms, *described, str(row.hidden_size), str(row.seeds))
    console.print(table, "")
    for row in rows:
        said = f"The gradient of {row.label} {row.words}."
        console.print(said, style="yellow" if row.turn else None, markup=False, highlight=False)
    console.print()
    console.print(LEGEND, style="dim")


def as_json(rows: Sequence[SurveyRow]) -> str:
    """Return the rows with their curves. Values that are not finite are null, such as an infinite memory."""
    page = [
        {
            "architecture": row.label,
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
    return UNKNOWN if math.isnan(slope.mean) else f"{slope.mean:.2g}"


def _memory(memory: Interval) -> str:
    """Return a memory with its interval, as text."""
    ends = "" if math.isnan(memory.low) else f" [{_steps(memory.low)}, {_steps(memory.high)}]"
    return _steps(memory.mean) + ends


def _steps(memory: float) -> str:
    """Return a memory in steps, as text."""
    if math.isnan(memory):
        return UNKNOWN
    return "∞" if math.isinf(memory) else f"{memory:,.1f}" if memory < 1000 else f"{memory:,.0f}"
