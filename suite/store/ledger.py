"""The ledger: which runs are finished, under way, or failed. What several commands on several machines share.

One row per run, in a database: a file of the store, or PostgreSQL. A run is taken by one owner at a time, who shows by
a heartbeat that it is alive; only who still holds a run can finish it. MLflow holds what people look at; planning,
leaderboards and ``memspan status`` need the ledger alone.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from suite.planning.job import Job, Outcome
from suite.store.retrying import patiently

BEAT_SECONDS = 5.0
"""Between two heartbeats."""
GRACE_SECONDS = 30.0
"""A run whose heartbeat was watched to stand still for so long belongs to nobody any more."""

ABANDONED_SECONDS = 600.0
"""What is done once, as summing up a study, is done again by somebody else after so long."""

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


class Taken(Enum):
    """What became of taking a run."""

    MINE = "mine"
    DONE = "done"
    ELSEWHERE = "elsewhere"
    FAILED = "failed"


@dataclass(frozen=True)
class Entry:
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
        patiently(self._create)

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

        return patiently(read)

    def outcomes(self, experiment: str, curves: bool = False) -> dict[str, Outcome]:
        """Every finished run of an experiment by its key; with ``curves``, its metrics at each validation as well."""
        columns = [_runs.c.key, _runs.c.metrics, _runs.c.environment, *([_runs.c.curves] if curves else [])]
        query = sa.select(*columns).where(_runs.c.experiment == experiment, _runs.c.state == DONE).order_by(_runs.c.key)

        def read() -> dict[str, Outcome]:
            with self._begin() as connection:
                return {row[0]: _outcome(*row[1:]) for row in connection.execute(query)}

        return patiently(read)

    def run_ids(self, experiment: str) -> dict[str, str]:
        """MLflow's id of every finished run, by key."""
        query = sa.select(_runs.c.key, _runs.c.run_id).where(_runs.c.experiment == experiment, _runs.c.state == DONE)

        def read() -> dict[str, str]:
            with self._begin() as connection:
                return {row[0]: row[1] for row in connection.execute(query)}

        return patiently(read)

    def unfinished(self, experiment: str) -> list[Entry]:
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

        def read() -> list[Entry]:
            with self._begin() as connection:
                return [
                    Entry(*row[:5], row[5] or "", row[6] or 0.0, row[7] or 0.0, row[8], row[9] or "", row[10] or "")
                    for row in connection.execute(query)
                ]

        return patiently(read)

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

        patiently(write)

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

        return patiently(mine)

    def _update(self, experiment: str, key: str, owner: str, **values: Any) -> bool:
        mine = (_runs.c.owner == owner) & (_runs.c.state == RUNNING)
        statement = sa.update(_runs).where(_here(experiment, key), mine).values(**values)

        def write() -> bool:
            with self._begin() as connection:
                return connection.execute(statement).rowcount == 1

        return patiently(write)

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

        return patiently(settle)

    def _insert(self, table: sa.Table) -> Any:
        from sqlalchemy.dialects import postgresql, sqlite

        return (sqlite if self.engine.dialect.name == "sqlite" else postgresql).insert(table)


class Hand:
    """Somebody who takes runs from a ledger: one command. Used as a context, during which its heart beats."""

    def __init__(self, ledger: Ledger, experiment: str, attempts: int = 3) -> None:
        self.ledger = ledger
        self.experiment = experiment
        self.attempts = attempts
        self.owner = f"{machine()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._watched: dict[str, tuple[str, float, float]] = {}  # key: owner and heartbeat as seen, since when
        self._end = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Hand:
        self._beating.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._beating.join()
        mine = (_runs.c.owner == self.owner) & (_runs.c.state == RUNNING)
        with suppress(SQLAlchemyError), self.ledger._begin() as connection:
            connection.execute(sa.update(_runs).where(mine).values(state=WAITING))
        self.ledger.engine.dispose()

    def _beat(self) -> None:
        mine = (_runs.c.owner == self.owner) & (_runs.c.state == RUNNING)
        statement = sa.update(_runs).where(mine).values(heartbeat=self.ledger.clock)
        while not self._end.wait(BEAT_SECONDS):
            with suppress(SQLAlchemyError), self.ledger._begin() as connection:  # the next one may come through
                connection.execute(statement)

    def take(self, job: Job) -> tuple[Taken, Outcome | None, str]:
        """Take a run, unless somebody has done it, does it, or it has failed too often.

        Returns what became of it, its outcome if it is done, and the MLflow id of what a dead owner has left half-done
        (or the reason of a failure).
        """
        return patiently(self._take, job)

    def _take(self, job: Job) -> tuple[Taken, Outcome | None, str]:
        here = _here(self.experiment, job.key)
        clock = self.ledger.clock
        mine = {"state": RUNNING, "owner": self.owner, "heartbeat": clock, "started": clock}
        new = {
            "experiment": self.experiment,
            "key": job.key,
            "study": job.study,
            "role": job.role,
            "number": job.number,
            "failures": 0,
            **mine,
        }
        with self.ledger._begin() as connection:
            if connection.execute(self.ledger._insert(_runs).values(new).on_conflict_do_nothing()).rowcount == 1:
                return Taken.MINE, None, ""
            row = connection.execute(sa.select(_runs).where(here)).one()
            if row.state == DONE:
                return Taken.DONE, _outcome(row.metrics, row.environment, row.curves), row.run_id or ""
            if row.failures >= self.attempts and row.state == WAITING:
                return Taken.FAILED, None, row.error or ""
            if row.owner == self.owner and row.state == RUNNING:  # taken before; the answer was lost on its way
                return Taken.MINE, None, ""
            if row.state == RUNNING and not self._abandoned(job.key, row.owner, row.heartbeat):
                return Taken.ELSEWHERE, None, ""
            unchanged = (
                (_runs.c.state == row.state)
                & (_runs.c.owner == row.owner)
                & (_runs.c.heartbeat.is_not_distinct_from(row.heartbeat))
            )
            won = connection.execute(sa.update(_runs).where(here, unchanged).values(**mine, run_id=None)).rowcount == 1
        return (Taken.MINE, None, row.run_id or "") if won else (Taken.ELSEWHERE, None, "")

    def give_back(self, key: str, error: str = "", failed: bool = False) -> int:
        """Let go of a run that is not finished; how often it has failed, this time included if ``failed``."""
        values: dict[str, Any] = {"error": error} if error else {}
        failures = _runs.c.failures + int(failed)
        self.ledger._update(self.experiment, key, self.owner, state=WAITING, failures=failures, **values)

        def read() -> int:
            with self.ledger._begin() as connection:
                query = sa.select(_runs.c.failures).where(_here(self.experiment, key))
                return int(connection.execute(query).scalar_one())

        return patiently(read)

    def once(self, name: str) -> bool:
        """Whether the caller is the one to do something that is done once; `did` says that it is done."""
        if self.ledger.fact(f"did {name}") is not None:
            return False
        owner, _, since = str(self.ledger.fact(f"does {name}", f"{self.owner} {time.time():.0f}")).rpartition(" ")
        place, pid, _ = owner.rsplit(":", 2)
        return owner == self.owner or not alive(place, int(pid)) or time.time() - float(since) > ABANDONED_SECONDS

    def did(self, name: str) -> None:
        self.ledger.fact(f"did {name}", self.owner)

    def _abandoned(self, key: str, owner: str, heartbeat: float) -> bool:
        """Whether an owner is gone: its process is known to be, or its heartbeat was watched to stand still."""
        place, pid, _ = owner.rsplit(":", 2)
        if not alive(place, int(pid)):
            return True
        now = time.monotonic()
        seen = self._watched.get(key)
        if seen is None or seen[:2] != (owner, heartbeat):
            self._watched[key] = (owner, heartbeat, now)
            return False
        return now - seen[2] > GRACE_SECONDS


def machine() -> str:
    """A name for this machine, or this container on it: where a process number means something."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    return f"{platform.node()}/{space}"


def _here(experiment: str, key: str) -> Any:
    return (_runs.c.experiment == experiment) & (_runs.c.key == key)


def _text(value: Any) -> str:
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, separators=(",", ":"))


def _outcome(metrics: str, environment: str | None, curves: str | None = None) -> Outcome:
    points = tuple((step, values) for step, values in json.loads(curves)) if curves else ()
    return Outcome(json.loads(metrics), points, environment or "")


def alive(place: str, pid: int) -> bool:
    """Whether a process is known to run; one of another machine, or of nobody knows which, is taken to."""
    if place != machine():
        return bool(place)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _set_up_sqlite(connection: Any, record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")  # a writer does not keep readers waiting
    connection.execute("PRAGMA synchronous=FULL")
