"""The tables of the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from suite.planning.job import Outcome

_POSTGRESQL = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "options": "-c idle_in_transaction_session_timeout=30s -c lock_timeout=30s",
}
"""A machine that is gone holds no row, and is noticed, after half a minute."""


RUNNING, WAITING, DONE = "running", "waiting", "done"


_tables = sa.MetaData()


_runs = sa.Table(
    "memspan_runs",
    _tables,
    sa.Column("experiment", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(10), nullable=False, index=True),
    sa.Column("owner", sa.String(200)),
    sa.Column("heartbeat", sa.Double),  # seconds since 1970 by the clock of the database
    sa.Column("started", sa.Double),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("run_id", sa.String(64)),  # in MLflow
    sa.Column("metrics", sa.Text),  # JSON
    sa.Column("curves", sa.Text),  # JSON: [[step, {name: value}], …]
    sa.Column("environment", sa.String(16)),  # the fact "environment …" has it whole
)


_facts = sa.Table(
    "memspan_facts",
    _tables,
    sa.Column("name", sa.String(300), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)


def _here(experiment: str, key: str) -> Any:
    return (_runs.c.experiment == experiment) & (_runs.c.key == key)


def _text(value: Any) -> str:
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, separators=(",", ":"))


def _outcome(metrics: str, environment: str | None, curves: str | None = None) -> Outcome:
    points = tuple((step, values) for step, values in json.loads(curves)) if curves else ()
    return Outcome(json.loads(metrics), points, environment or "")


def _set_up_sqlite(connection: Any, record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")  # a writer does not keep readers waiting
    connection.execute("PRAGMA synchronous=FULL")
