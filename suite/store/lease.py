"""Leases: a run is taken by one owner at a time, who shows by a heartbeat that it is alive.

A lost heartbeat is noticed in `Leases._abandoned`, by whoever wants the run.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from suite.errors import many
from suite.planning.job import Job, Outcome
from suite.store.ledger import Ledger
from suite.store.ledger_tables import DONE, RUNNING, WAITING, held_by, is_run, runs
from suite.store.process import Owner

BEAT_SECONDS = 5.0
"""The seconds between two heartbeats."""
GRACE_SECONDS = 30.0
"""A run whose heartbeat stands still for this many seconds, while somebody watches it, has lost its owner."""
SUMMARY_SECONDS = 600.0
"""A summary that is not complete after this many seconds is made by somebody else."""


class LeaseStatus(Enum):
    """The answer to an owner that wants to take a run."""

    ACQUIRED = auto()
    """The run belongs to the owner."""
    FINISHED = auto()
    """The run is finished already."""
    HELD_ELSEWHERE = auto()
    """Another owner does the run."""
    GIVEN_UP = auto()
    """The run has failed too often."""


@dataclass(frozen=True)
class Lease:
    """The result of trying to take a run."""

    status: LeaseStatus
    outcome: Outcome | None = None
    """The outcome of a run that is finished."""
    abandoned_run: str = ""
    """MLflow's id of the incomplete record of an earlier owner that is gone."""
    reason: str = ""
    """The reason why a run was given up."""


class Leases:
    """The runs that one command has taken from a ledger. In the context of this object, their heartbeats are written.

    Args:
        ledger: the ledger.
        experiment: the name of the experiment to which they belong.
        attempts: the number of failures after which a run is given up.
    """

    def __init__(self, ledger: Ledger, experiment: str, attempts: int = 3) -> None:
        self.ledger = ledger
        self.experiment = experiment
        self.attempts = attempts
        self.owner = str(Owner.new())
        self._watched: dict[str, tuple[str, float, float]] = {}
        """For each key, the owner and the heartbeat as last seen, and the time since when they have been the same."""
        self._end = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Leases:
        self._beating.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._beating.join()
        with suppress(SQLAlchemyError), self.ledger.begin() as connection:
            connection.execute(sa.update(runs).where(held_by(self.owner)).values(state=WAITING))
        self.ledger.engine.dispose()

    def _beat(self) -> None:
        statement = sa.update(runs).where(held_by(self.owner)).values(heartbeat=self.ledger.clock)
        while not self._end.wait(BEAT_SECONDS):
            with suppress(SQLAlchemyError), self.ledger.begin() as connection:  # The next one may succeed.
                connection.execute(statement)

    def take(self, job: Job) -> Lease:
        """Take a run, unless it is finished, belongs to another owner, or has failed too often."""
        return self.ledger.database.retried(partial(self._take, job))

    def _take(self, job: Job) -> Lease:
        this_run = is_run(self.experiment, job.key)
        now = self.ledger.clock
        taken = {"state": RUNNING, "owner": self.owner, "heartbeat": now, "started": now, "error": None}
        new = {
            "experiment": self.experiment,
            "key": job.key,
            "study": job.study,
            "role": job.role,
            "number": job.number,
            "failures": 0,
            **taken,
        }
        with self.ledger.begin() as connection:
            if connection.execute(self.ledger.insert(runs).values(new).on_conflict_do_nothing()).rowcount == 1:
                return Lease(LeaseStatus.ACQUIRED)
            row = connection.execute(sa.select(runs).where(this_run)).one()
            if row.state == DONE:
                return Lease(LeaseStatus.FINISHED, self.ledger.outcome(row.metrics, row.environment, row.curves))
            if row.failures >= self.attempts and row.state == WAITING:
                return Lease(LeaseStatus.GIVEN_UP, reason=row.error or many(row.failures, "failure"))
            if row.owner == self.owner and row.state == RUNNING:  # The answer to an earlier call was lost.
                return Lease(LeaseStatus.ACQUIRED)
            if row.state == RUNNING and not self._abandoned(job.key, row.owner, row.heartbeat):
                return Lease(LeaseStatus.HELD_ELSEWHERE)
            unchanged = (
                (runs.c.state == row.state)
                & (runs.c.owner == row.owner)
                & (runs.c.heartbeat.is_not_distinct_from(row.heartbeat))
            )
            statement = sa.update(runs).where(this_run, unchanged).values(**taken, run_id=None)
            if connection.execute(statement).rowcount == 0:  # Another owner was faster.
                return Lease(LeaseStatus.HELD_ELSEWHERE)
        return Lease(LeaseStatus.ACQUIRED, abandoned_run=row.run_id or "")

    def note(self, key: str, text: str) -> None:
        """Note what keeps a run from its end, for others to see. An empty text takes the note back."""
        self.ledger.update(self.experiment, key, self.owner, error=text or None)

    def give_back(self, key: str, error: str = "", failed: bool = False, is_final: bool = False) -> int:
        """Let go of a run that is not finished, and return how often it has failed.

        Args:
            key: the key of the run.
            error: why it is not finished.
            failed: whether this counts as a failure of the run.
            is_final: whether the failure would be the same at every try. It then counts as all of them.
        """
        values = {"error": error} if error else {}
        failures: Any = runs.c.failures + int(failed)
        if is_final:
            failures = sa.case((failures < self.attempts, self.attempts), else_=failures)
        self.ledger.update(self.experiment, key, self.owner, state=WAITING, failures=failures, **values)
        query = sa.select(runs.c.failures).where(is_run(self.experiment, key))
        return int(self.ledger.fetch(query)[0][0])

    def begin_once(self, name: str) -> bool:
        """Tell whether the caller should do something that is done once. `end_once` notes that it is done."""
        if self.is_done(name):
            return False
        claim = f"{self.owner} {time.time():.0f}"
        owner, _, since = str(self.ledger.fact(f"does {name}", claim)).rpartition(" ")
        if owner == self.owner or not Owner.parse(owner).process.alive:
            return True
        return time.time() - float(since) > SUMMARY_SECONDS

    def is_done(self, name: str) -> bool:
        """Tell whether something that is done once is done."""
        return self.ledger.fact(f"did {name}") is not None

    def end_once(self, name: str) -> None:
        """Note that something that is done once is done."""
        self.ledger.fact(f"did {name}", self.owner)

    def leave_once(self, name: str) -> None:
        """Leave something that is done once to whoever comes next, because it could not be done."""
        self.ledger.replace_fact(f"does {name}", f"{self.owner} 0")

    def _abandoned(self, key: str, owner: str, heartbeat: float) -> bool:
        """Tell whether an owner is gone, because its process has ended or its heartbeat stands still."""
        if not Owner.parse(owner).process.alive:
            return True
        now = time.monotonic()
        seen = self._watched.get(key)
        if seen is None or seen[:2] != (owner, heartbeat):
            self._watched[key] = (owner, heartbeat, now)
            return False
        return now - seen[2] > GRACE_SECONDS
