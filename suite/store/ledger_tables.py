"""The tables of the ledger, and the form of outcomes in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from suite.planning.job import Outcome

RUNNING, WAITING, DONE = "running", "waiting", "done"

tables = sa.MetaData()
runs = sa.Table(
    "memspan_runs",
    tables,
    sa.Column("experiment", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(10), nullable=False, index=True),
    sa.Column("owner", sa.String(200)),
    sa.Column("heartbeat", sa.Double),  # Seconds since 1970 by the clock of the database.
    sa.Column("started", sa.Double),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("run_id", sa.String(64)),  # MLflow's id of the run.
    sa.Column("metrics", sa.Text),  # JSON
    sa.Column("curves", sa.Text),  # JSON: [[step, {name: value}], …]
    sa.Column("environment", sa.String(16)),  # A digest; the fact "environment …" has the whole.
)
facts = sa.Table(
    "memspan_facts",
    tables,
    sa.Column("name", sa.String(300), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)


def is_run(experiment: str, key: str) -> Any:
    """Return the condition that a row is the run of this key."""
    return (runs.c.experiment == experiment) & (runs.c.key == key)


def held_by(owner: str) -> Any:
    """Return the condition that a run is under way and belongs to this owner."""
    return (runs.c.owner == owner) & (runs.c.state == RUNNING)


def outcome_columns(outcome: Outcome) -> dict[str, str]:
    """Return the columns that hold an outcome."""
    return {
        "metrics": _json(dict(outcome.metrics)),
        "curves": _json([(step, dict(metrics)) for step, metrics in outcome.curves]),
        "environment": outcome.environment,
    }


def outcome_of(metrics: str, environment: str | None, curves: str | None = None) -> Outcome:
    """Return the outcome that these columns hold.

    Raises:
        ValueError: if they hold anything that `outcome_columns` does not write.
    """
    measured, points = json.loads(metrics), json.loads(curves or "[]")
    if not _are_numbers(measured) or not isinstance(points, list) or not all(map(_is_point, points)):
        raise ValueError("the metrics of a run are not numbers by their names")
    return Outcome(measured, tuple((step, values) for step, values in points), environment or "")


def _are_numbers(values: Any) -> bool:
    return isinstance(values, dict) and all(isinstance(value, int | float) for value in values.values())


def _is_point(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and isinstance(point[0], int) and _are_numbers(point[1])


def _json(value: Mapping[str, float] | list[tuple[int, dict[str, float]]]) -> str:
    return json.dumps(value, separators=(",", ":"))
