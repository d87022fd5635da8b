"""Runs taken by one owner at a time."""

from __future__ import annotations

import os
import threading
import time
import uuid
from contextlib import suppress
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from suite.planning.job import Job, Outcome
from suite.store.ledger import Ledger
from suite.store.ledger_tables import DONE, RUNNING, WAITING, _here, _outcome, _runs
from suite.store.process import alive, machine
from suite.store.retrying import retried

BEAT_SECONDS = 5.0
"""Between two heartbeats."""


GRACE_SECONDS = 30.0
"""A run whose heartbeat was watched to stand still for so long belongs to nobody any more."""


ABANDONED_SECONDS = 600.0
"""What is done once, as summing up a study, is done again by somebody else after so long."""


class LeaseStatus(Enum):
    """What became of taking a run."""

    MINE = "mine"
    DONE = "done"
    ELSEWHERE = "elsewhere"
    FAILED = "failed"


class Leases:
    """Somebody who takes runs from a ledger: one command. Used as a context, during which its heart beats."""

    def __init__(self, ledger: Ledger, experiment: str, attempts: int = 3) -> None:
        self.ledger = ledger
        self.experiment = experiment
        self.attempts = attempts
        self.owner = f"{machine()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._watched: dict[str, tuple[str, float, float]] = {}  # key: owner and heartbeat as seen, since when
        self._end = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Leases:
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

    def take(self, job: Job) -> tuple[LeaseStatus, Outcome | None, str]:
        """Take a run, unless somebody has done it, does it, or it has failed too often.

        Returns what became of it, its outcome if it is done, and the MLflow id of what a dead owner has left half-done
        (or the reason of a failure).
        """
        return retried(self._take, job)

    def _take(self, job: Job) -> tuple[LeaseStatus, Outcome | None, str]:
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
                return LeaseStatus.MINE, None, ""
            row = connection.execute(sa.select(_runs).where(here)).one()
            if row.state == DONE:
                return LeaseStatus.DONE, _outcome(row.metrics, row.environment, row.curves), row.run_id or ""
            if row.failures >= self.attempts and row.state == WAITING:
                return LeaseStatus.FAILED, None, row.error or ""
            if row.owner == self.owner and row.state == RUNNING:  # taken before; the answer was lost on its way
                return LeaseStatus.MINE, None, ""
            if row.state == RUNNING and not self._abandoned(job.key, row.owner, row.heartbeat):
                return LeaseStatus.ELSEWHERE, None, ""
            unchanged = (
                (_runs.c.state == row.state)
                & (_runs.c.owner == row.owner)
                & (_runs.c.heartbeat.is_not_distinct_from(row.heartbeat))
            )
            won = connection.execute(sa.update(_runs).where(here, unchanged).values(**mine, run_id=None)).rowcount == 1
        return (LeaseStatus.MINE, None, row.run_id or "") if won else (LeaseStatus.ELSEWHERE, None, "")

    def give_back(self, key: str, error: str = "", failed: bool = False) -> int:
        """Let go of a run that is not finished; how often it has failed, this time included if ``failed``."""
        values: dict[str, Any] = {"error": error} if error else {}
        failures = _runs.c.failures + int(failed)
        self.ledger._update(self.experiment, key, self.owner, state=WAITING, failures=failures, **values)

        def read() -> int:
            with self.ledger._begin() as connection:
                query = sa.select(_runs.c.failures).where(_here(self.experiment, key))
                return int(connection.execute(query).scalar_one())

        return retried(read)

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
