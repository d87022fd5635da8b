"""The ledger: which runs are finished, under way, or failed. What several commands on several machines share.

One row per run, in a database: a file of the store, or PostgreSQL. A run is taken by one owner at a time, who shows by
a heartbeat that it is alive; only who still holds a run can finish it. MLflow holds what people look at; planning,
leaderboards and ``memspan status`` need the ledger alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from suite.planning.job import Outcome
from suite.store.ledger_tables import (
    _POSTGRESQL,
    DONE,
    RUNNING,
    _facts,
    _here,
    _outcome,
    _runs,
    _set_up_sqlite,
    _tables,
    _text,
)
from suite.store.retrying import retried


@dataclass(frozen=True)
class UnfinishedRun:
    """A run that is not finished."""

    key: str
    study: str
    role: str
    number: int
    state: str
    owner: str
    age: float
    """Seconds since the last heartbeat."""
    seconds: float
    """Since the run was taken."""
    failures: int
    error: str
    run_id: str


class Ledger:
    """The ledger in the database at ``address``; its tables are made when they are not there."""

    def __init__(self, address: str) -> None:
        self.address = address
        sqlite = address.startswith("sqlite")
        self.engine = sa.create_engine(
            address, pool_pre_ping=not sqlite, connect_args={"timeout": 60} if sqlite else _POSTGRESQL
        )
        if sqlite:
            sa.event.listen(self.engine, "connect", _set_up_sqlite)
            clock: Any = sa.literal_column("(julianday('now') - 2440587.5) * 86400.0", sa.Double)
        else:
            clock = sa.literal_column("extract(epoch from clock_timestamp())", sa.Double)
        self.clock = clock
        retried(self._create)

    def _create(self) -> None:
        try:
            _tables.create_all(self.engine)
        except SQLAlchemyError:
            time.sleep(0.5)  # another process may have been making them at this moment
            _tables.create_all(self.engine)
        if not self._has_environments():  # made by an older version
            try:
                with self._begin() as connection:
                    connection.execute(sa.text(f"ALTER TABLE {_runs.name} ADD COLUMN environment VARCHAR(16)"))
            except SQLAlchemyError:
                if not self._has_environments():  # otherwise another process was first
                    raise

    def _has_environments(self) -> bool:
        return "environment" in {column["name"] for column in sa.inspect(self.engine).get_columns(_runs.name)}

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        with self.engine.begin() as connection:
            yield connection

    def version(self) -> str:
        """Of the database."""
        query = "select sqlite_version()" if self.engine.dialect.name == "sqlite" else "show server_version"

        def read() -> str:
            with self._begin() as connection:
                return str(connection.execute(sa.text(query)).scalar_one())

        return retried(read)

    def outcomes(self, experiment: str, curves: bool = False) -> dict[str, Outcome]:
        """Every finished run of an experiment by its key; with ``curves``, its metrics at each validation as well."""
        columns = [_runs.c.key, _runs.c.metrics, _runs.c.environment, *([_runs.c.curves] if curves else [])]
        query = sa.select(*columns).where(_runs.c.experiment == experiment, _runs.c.state == DONE).order_by(_runs.c.key)

        def read() -> dict[str, Outcome]:
            with self._begin() as connection:
                return {row[0]: _outcome(*row[1:]) for row in connection.execute(query)}

        return retried(read)

    def run_ids(self, experiment: str) -> dict[str, str]:
        """MLflow's id of every finished run, by key."""
        query = sa.select(_runs.c.key, _runs.c.run_id).where(_runs.c.experiment == experiment, _runs.c.state == DONE)

        def read() -> dict[str, str]:
            with self._begin() as connection:
                return {row[0]: row[1] for row in connection.execute(query)}

        return retried(read)

    def unfinished(self, experiment: str) -> list[UnfinishedRun]:
        """The runs that somebody does, or has begun."""
        names = ("key", "study", "role", "number", "state", "owner")
        query = (
            sa.select(
                *(_runs.c[name] for name in names),
                self.clock - _runs.c.heartbeat,
                self.clock - _runs.c.started,
                _runs.c.failures,
                _runs.c.error,
                _runs.c.run_id,
            )
            .where(_runs.c.experiment == experiment, _runs.c.state != DONE)
            .order_by(_runs.c.study, _runs.c.role, _runs.c.number)
        )

        def read() -> list[UnfinishedRun]:
            with self._begin() as connection:
                return [
                    UnfinishedRun(
                        *row[:5], row[5] or "", row[6] or 0.0, row[7] or 0.0, row[8], row[9] or "", row[10] or ""
                    )
                    for row in connection.execute(query)
                ]

        return retried(read)

    def add_finished(self, experiment: str, found: Iterable[tuple[Mapping[str, Any], Outcome]]) -> None:
        """Enter runs that were recorded elsewhere: ``key``, ``study``, ``role``, ``number``, ``run_id`` of each."""
        rows = [
            {
                **names,
                "experiment": experiment,
                "state": DONE,
                "failures": 0,
                "metrics": _text(outcome.metrics),
                "curves": _text(tuple(outcome.curves)),
                "environment": outcome.environment,
            }
            for names, outcome in found
        ]

        def write() -> None:
            with self._begin() as connection:
                for row in rows:
                    connection.execute(self._insert(_runs).values(row).on_conflict_do_nothing())

        retried(write)

    def begun(self, experiment: str, key: str, owner: str, run_id: str) -> None:
        """Note MLflow's id of a run under way."""
        self._update(experiment, key, owner, run_id=run_id)

    def finish(self, experiment: str, key: str, owner: str, run_id: str, outcome: Outcome) -> bool:
        """Enter what a run has measured; False if it belongs to somebody else by now, whose result will count."""
        values = {
            "metrics": _text(outcome.metrics),
            "curves": _text(tuple(outcome.curves)),
            "environment": outcome.environment,
            "run_id": run_id,
        }
        if self._update(experiment, key, owner, state=DONE, error=None, **values):
            return True

        def mine() -> bool:  # the first answer may have been lost on its way
            query = sa.select(_runs.c.run_id).where(_here(experiment, key), _runs.c.state == DONE)
            with self._begin() as connection:
                return connection.execute(query).scalar() == run_id

        return retried(mine)

    def _update(self, experiment: str, key: str, owner: str, **values: Any) -> bool:
        mine = (_runs.c.owner == owner) & (_runs.c.state == RUNNING)
        statement = sa.update(_runs).where(_here(experiment, key), mine).values(**values)

        def write() -> bool:
            with self._begin() as connection:
                return connection.execute(statement).rowcount == 1

        return retried(write)

    def fact(self, name: str, value: str | None = None) -> str | None:
        """What is written under ``name``; ``value`` is written where there is nothing yet."""

        def settle() -> str | None:
            with self._begin() as connection:
                if value is not None:
                    row = {"name": name, "value": value}
                    connection.execute(self._insert(_facts).values(row).on_conflict_do_nothing())
                found: str | None = connection.execute(
                    sa.select(_facts.c.value).where(_facts.c.name == name)
                ).scalar_one_or_none()
                return found

        return retried(settle)

    def _insert(self, table: sa.Table) -> Any:
        from sqlalchemy.dialects import postgresql, sqlite

        return (sqlite if self.engine.dialect.name == "sqlite" else postgresql).insert(table)
