"""What of an experiment is missing, and getting it done: alone, or together with others on the same store."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from suite.engines import Engine, TaskResult, TaskStatus
from suite.errors import StoreError, redacted
from suite.experiment.experiment import Experiment
from suite.experiment.run_config import digest
from suite.planning import sweep
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan, best, evaluations, missing, studies, trials
from suite.planning.study import Study
from suite.running.events import RunListener
from suite.running.execute import execute
from suite.store.lease import Leases, LeaseStatus
from suite.store.retrying import retried
from suite.store.store import Store

POLL_SECONDS = 2.0
"""Between two looks at what others do."""


def open_plan(experiment: Experiment, store: Store, curves: bool = False) -> Plan:
    """The studies of an experiment, checked, with the finished runs of the store; with their ``curves`` if wanted."""
    found = studies(experiment)
    needed = curves or experiment.sweep.pruner != "none"
    return Plan(experiment, found, store.finished(experiment.name, curves=needed))


@dataclass
class _Work:
    """The state of the work: every run that can be named and is not finished is in one of these, by key."""

    ready: dict[str, Job] = field(default_factory=dict)
    running: dict[str, Job] = field(default_factory=dict)
    elsewhere: dict[str, Job] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """With the reason."""

    def add(self, jobs: dict[str, Job]) -> None:
        known = (self.running, self.elsewhere, self.failed)
        self.ready.update({key: job for key, job in jobs.items() if not any(key in part for part in known)})


def run(
    plan: Plan, store: Store, engine: Engine, told: RunListener | None = None, *, attempts: int = 3, do: Any = execute
) -> dict[str, str]:
    """Do every run of a plan that the store lacks; afterwards ``plan.finished`` has them all.

    A study's runs are taken up in the order in which it names them. Interrupted and called again, it goes on with what
    is missing; called several times at once, also on several machines, the callers share the work, and each returns
    when all of it is done.

    Args:
        plan: what to do.
        store: where it is recorded.
        engine: where runs execute; it is left at the end.
        told: what is told to whoever watches.
        attempts: a run that has failed so often is given up.
        do: does one run; see `execute`.

    Returns:
        The reason of each run that was given up, by key; empty if the plan is complete.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM. Once: runs under way have kept a checkpoint. Twice: at once.
        StoreError: if the store is full or stays away.
    """
    told = told or RunListener()
    name = plan.experiment.name
    study_of = {study.name: study for study in plan.studies}
    askers: dict[str, set[str]] = {}  # the studies of each run: two may ask for the same configuration
    work = _Work()

    def add(study: Study) -> None:
        jobs = missing(study, plan.finished)
        for key in jobs:
            askers.setdefault(key, set()).add(study.name)
        work.add(jobs)

    for study in plan.studies:
        add(study)

    def listener(key: str, step: int) -> None:
        job = work.running.get(key)
        if job is not None:
            told.step(job, step)

    engine.listener = listener
    with engine, Leases(store.ledger, name, attempts) as hand, _interruptible(engine, told) as stopping:
        if work.ready:
            store.tracking.close_abandoned(name)

        def done(job: Job, outcome: Outcome) -> None:
            plan.finished[job.key] = outcome
            told.done(job, outcome)
            for study in sorted(askers.pop(job.key)):
                add(study_of[study])

        def start(job: Job) -> None:
            taken, outcome, note = hand.take(job)
            if taken is LeaseStatus.MINE:
                if note:
                    store.tracking.close(note, "its process died")
                parent = store.tracking.study_run(study_of[job.study])
                work.running[job.key] = job
                engine.submit(job.key, partial(do, job, store.place, name, parent, hand.owner))
            elif outcome is not None:
                done(job, outcome)
            elif taken is LeaseStatus.FAILED:
                work.failed[job.key] = note
            else:
                work.elsewhere[job.key] = job

        def end(key: str, how: TaskResult) -> None:
            job = work.running.pop(key)
            if how.kind is TaskStatus.DONE:
                if how.value is not None:
                    done(job, how.value)
                else:  # somebody else's by now
                    work.elsewhere[key] = job
            elif how.kind is TaskStatus.STORE:
                raise StoreError(how.reason)
            else:
                failed = how.kind is TaskStatus.FAILED
                failures = hand.give_back(key, how.reason, failed)
                if failed:
                    told.failed(job, how, failures >= attempts)
                if how.kind is not TaskStatus.STOPPED:
                    work.ready[key] = job

        looked = time.monotonic()
        while work.running or (not stopping and (work.ready or work.elsewhere)):
            while work.ready and engine.free > 0 and not stopping:
                start(work.ready.pop(next(iter(work.ready))))
            if engine.pending:
                for key, how in engine.wait(POLL_SECONDS):
                    end(key, how)
            elif work.ready or work.elsewhere:  # the engine has no room, or others do what is left
                told.waiting(len(work.ready), len(work.elsewhere))
                time.sleep(POLL_SECONDS)
            if work.elsewhere and time.monotonic() - looked > POLL_SECONDS:
                work.ready.update(work.elsewhere)
                work.elsewhere.clear()
                looked = time.monotonic()
        if stopping or work.failed:
            busy = {entry.study for entry in store.ledger.unfinished(name) if entry.state == "running"}
            store.tracking.interrupt_studies(busy)
        if stopping:
            raise KeyboardInterrupt
        try:
            _keep_studies(plan, store, hand)
        except Exception as error:  # every result is in the ledger; what is lacking here is made up for next time
            told.trouble(f"the studies could not be summed up in MLflow and Optuna: {redacted(str(error))}")
    return work.failed


@contextmanager
def _interruptible(engine: Engine, told: RunListener) -> Iterator[list[int]]:
    """Ctrl-C or SIGTERM once puts its number into the list and stops the engine; a second one interrupts as usual."""
    stopping: list[int] = []  # without a lock, for a handler runs in the middle of anything
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return

    def stop(number: int, frame: Any) -> None:
        if stopping:
            raise KeyboardInterrupt
        stopping.append(number)
        engine.stop()
        told.stopping()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep_studies(plan: Plan, store: Store, hand: Leases) -> None:
    """Sum up each finished study in its own run, and put its trials into Optuna's storage, for Optuna's own tools."""
    journal: Any = None
    for study in plan.studies:
        jobs = evaluations(study, plan.finished)
        found = [plan.finished[job.key] for job in jobs if job.key in plan.finished]
        name = f"summary {plan.experiment.name} {digest(study.name)} {study.version}"
        if found and len(found) == len(jobs) and hand.once(name):
            tried = [(job, plan.finished[job.key]) for job in trials(study, plan.finished)]
            if tried:
                journal = journal or retried(sweep.storage, store.journal)
                retried(sweep.record, study, tried, journal)
            store.tracking.summarise(study, best(study, plan.finished) or {}, found)
            hand.did(name)
