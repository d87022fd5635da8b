"""The ledger of runs: finished ones, those under way and failed ones. Commands on several machines share it.

It is a database with one row per run: a file of the store, or PostgreSQL. A run belongs to one owner at a time (see
`lease`), and only that owner can finish it. MLflow is for people to look at. Planning, leaderboards and
``memspan status`` need the ledger alone.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from suite.planning.job import Outcome
from suite.store.database import Database
from suite.store.ledger_tables import (
    DONE,
    facts,
    held_by,
    is_run,
    outcome_columns,
    outcome_of,
    runs,
    tables,
)
from suite.store.process import Owner


@dataclass(frozen=True)
class UnfinishedRun:
    """A run that was begun and is not finished."""

    key: str
    study: str
    role: str
    number: int
    state: str
    owner: str
    """The owner as text, see `Owner.parse`; empty if the run has none."""
    heartbeat_age: float
    """The seconds since the last heartbeat."""
    seconds: float
    """The seconds since the run was taken."""
    failures: int
    error: str
    """Why it is not finished, as far as that is known: its last failure, or that it makes no step."""
    run_id: str
    """MLflow's id of the run."""

    @property
    def process(self) -> str:
        """The process that executes the run, in words."""
        owner = Owner.parse(self.owner)
        return f"process {owner.process.pid} of {owner.host}"


class Ledger:
    """The ledger in a database. Its tables are made if they are missing.

    Args:
        address: SQLAlchemy's address of the database, ``sqlite:///…`` or ``postgresql+psycopg://…``.
        reads_only: open it for reading alone. A database without the tables is then an empty ledger.

    Raises:
        DamagedError: if the file of an embedded database is damaged.
        StoreError: if the database cannot be used, or does not answer.
    """

    def __init__(self, address: str | sa.URL, *, reads_only: bool = False) -> None:
        remedy = "memspan makes the ledger again from MLflow's record"
        self.database = Database(sa.make_url(address), "the ledger", remedy, reads_only=reads_only)
        self.engine = self.database.engine
        seconds_since_1970 = (
            "(julianday('now') - 2440587.5) * 86400.0"
            if self.engine.dialect.name == "sqlite"
            else "extract(epoch from clock_timestamp())"
        )
        self.clock: Any = sa.literal_column(seconds_since_1970, sa.Double)
        if not reads_only:
            self.database.retried(self._create)
        self._columns = self.database.columns(runs.name)

    def _create(self) -> None:
        try:
            tables.create_all(self.engine)
        except SQLAlchemyError:
            time.sleep(0.5)  # Another process may have been making them at this moment.
            tables.create_all(self.engine)
        if not self._has_environments():  # An older version made the table.
            try:
                with self.begin() as connection:
                    connection.execute(sa.text(f"ALTER TABLE {runs.name} ADD COLUMN environment VARCHAR(16)"))
            except SQLAlchemyError:
                if not self._has_environments():  # Otherwise, another process was first.
                    raise

    def _has_environments(self) -> bool:
        return "environment" in {column["name"] for column in sa.inspect(self.engine).get_columns(runs.name)}

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """Begin a transaction, which is committed at the end of the context."""
        return self.engine.begin()

    def fetch(self, query: Any) -> list[Any]:
        """Return all rows of a query, none if there are no tables. It is repeated while the database is away."""
        return self.database.fetch(query) if self._columns else []

    def version(self) -> str:
        """Return the version of the database."""
        if self.database.file is not None:
            return sqlite3.sqlite_version
        return str(self.database.fetch(sa.text("show server_version"))[0][0])

    def outcomes(self, experiment: str, curves: bool = False) -> dict[str, Outcome]:
        """Return every finished run of an experiment by its key, with its learning ``curves`` if they are wanted."""
        environment: Any = runs.c.environment if "environment" in self._columns else sa.literal("")
        columns = [runs.c.key, runs.c.metrics, environment, *([runs.c.curves] if curves else [])]
        query = sa.select(*columns).where(runs.c.experiment == experiment, runs.c.state == DONE).order_by(runs.c.key)
        return {key: self.outcome(*values) for key, *values in self.fetch(query)}

    def outcome(self, metrics: str, environment: str | None, curves: str | None = None) -> Outcome:
        """Return the outcome that these columns hold, see `outcome_of`."""
        try:
            return outcome_of(metrics, environment, curves)
        except (ValueError, TypeError) as error:
            raise self.database.damaged(f"a row of a run: {error}") from error

    def run_ids(self, experiment: str) -> dict[str, str]:
        """Return MLflow's id of every finished run, by key."""
        query = sa.select(runs.c.key, runs.c.run_id).where(runs.c.experiment == experiment, runs.c.state == DONE)
        return {row[0]: row[1] for row in self.fetch(query)}

    def unfinished(self, experiment: str) -> list[UnfinishedRun]:
        """Return the runs that were begun and are not finished."""
        texts = {name: sa.func.coalesce(runs.c[name], "") for name in ("owner", "error", "run_id")}
        ages = (sa.func.coalesce(self.clock - runs.c[name], 0.0) for name in ("heartbeat", "started"))
        names = (runs.c[name] for name in ("key", "study", "role", "number", "state"))
        query = (
            sa.select(*names, texts["owner"], *ages, runs.c.failures, texts["error"], texts["run_id"])
            .where(runs.c.experiment == experiment, runs.c.state != DONE)
            .order_by(runs.c.study, runs.c.role, runs.c.number)
        )
        return [UnfinishedRun(*row) for row in self.fetch(query)]

    def add_finished(self, experiment: str, finished: Iterable[tuple[Mapping[str, Any], Outcome]]) -> None:
        """Enter finished runs, each with ``key``, ``study``, ``role``, ``number``, ``run_id`` and its outcome."""
        shared = {"experiment": experiment, "state": DONE, "failures": 0}
        rows = [{**names, **shared, **outcome_columns(outcome)} for names, outcome in finished]

        def write() -> None:
            with self.begin() as connection:
                for row in rows:
                    connection.execute(self.insert(runs).values(row).on_conflict_do_nothing())

        self.database.retried(write)

    def begun(self, experiment: str, key: str, owner: str, run_id: str) -> None:
        """Note MLflow's id of a run under way."""
        self.update(experiment, key, owner, run_id=run_id)

    def finish(self, experiment: str, key: str, owner: str, run_id: str, outcome: Outcome) -> bool:
        """Enter the outcome of a run. False means that it belongs to another owner by now, whose result will count."""
        columns = outcome_columns(outcome)
        if self.update(experiment, key, owner, state=DONE, error=None, run_id=run_id, **columns):
            return True
        # The answer to an earlier call may have been lost.
        query = sa.select(runs.c.run_id).where(is_run(experiment, key), runs.c.state == DONE)
        return [row[0] for row in self.fetch(query)] == [run_id]

    def update(self, experiment: str, key: str, owner: str, **values: Any) -> bool:
        """Change the row of a run that belongs to this owner. False means that it belongs to another one."""
        statement = sa.update(runs).where(is_run(experiment, key), held_by(owner)).values(**values)

        def write() -> bool:
            with self.begin() as connection:
                return connection.execute(statement).rowcount == 1

        return self.database.retried(write)

    def fact(self, name: str, value: str | None = None) -> str | None:
        """Return the text under a name. If there is none yet, ``value`` becomes the text."""
        query = sa.select(facts.c.value).where(facts.c.name == name)
        if value is None:
            return next((row[0] for row in self.fetch(query)), None)
        row = {"name": name, "value": value}

        def settle() -> str:
            with self.begin() as connection:
                connection.execute(self.insert(facts).values(row).on_conflict_do_nothing())
                return str(connection.execute(query).scalar_one())

        return self.database.retried(settle)

    def replace_fact(self, name: str, value: str) -> None:
        """Replace the text under a name."""
        statement = sa.update(facts).where(facts.c.name == name).values(value=value)

        def write() -> None:
            with self.begin() as connection:
                connection.execute(statement)

        self.database.retried(write)

    def insert(self, table: sa.Table) -> Any:
        """Return an insert statement that can skip rows that exist already."""
        from sqlalchemy.dialects import postgresql, sqlite

        return (sqlite if self.engine.dialect.name == "sqlite" else postgresql).insert(table)
