"""The tables of the ledger, and the form of outcomes in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from suite.planning.job import Outcome

RUNNING, WAITING, DONE = "running", "waiting", "done"

POSTGRESQL_OPTIONS = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "options": "-c idle_in_transaction_session_timeout=30s -c lock_timeout=30s",
}
"""The options of a connection to PostgreSQL, by which a machine that is gone holds no row after half a minute."""

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
    """Return the outcome that these columns hold."""
    points = tuple((step, values) for step, values in json.loads(curves)) if curves else ()
    return Outcome(json.loads(metrics), points, environment or "")


def _json(value: Mapping[str, float] | list[tuple[int, dict[str, float]]]) -> str:
    return json.dumps(value, separators=(",", ":"))


def set_up_sqlite(connection: Any, record: object) -> None:
    """Prepare a new connection to an embedded database for many writers."""
    connection.execute("PRAGMA journal_mode=WAL")  # Readers need not wait for a writer.
    connection.execute("PRAGMA synchronous=FULL")
