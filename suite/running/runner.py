"""What of an experiment is missing, and getting it done: alone, or together with others on the same store."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from suite import kernels
from suite.engines import Ended, Engine, Kind, Signals
from suite.errors import StoreError
from suite.experiment.experiment import Experiment
from suite.experiment.run_config import digest
from suite.planning import sweep
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan, best, evaluations, missing, studies, trials
from suite.planning.study import Study
from suite.results.record import Record
from suite.store.addresses import Place, redacted
from suite.store.ledger import Hand, Taken
from suite.store.retrying import patiently
from suite.store.store import Store

LOOK_SECONDS = 2.0
"""Between two looks at what others do."""


def open_plan(experiment: Experiment, store: Store, curves: bool = False) -> Plan:
    """The studies of an experiment, checked, with the finished runs of the store; with their ``curves`` if wanted."""
    found = studies(experiment)
    needed = curves or experiment.sweep.pruner != "none"
    return Plan(experiment, found, store.finished(experiment.name, curves=needed))


def record_of(plan: Plan, store: Store) -> Record:
    """What a leaderboard of a plan is made from, with the environments of its runs."""
    return Record.of(plan, store.environments(outcome.environment for outcome in plan.finished.values()))


@cache
def _opened(place: Place) -> Store:
    """The store, once in each process."""
    return Store.at(place)


def execute(job: Job, place: Place, experiment: str, parent: str, owner: str, signals: Signals) -> Outcome | None:
    """Do one run and record it; None if it belongs to another owner by the time it is done."""
    from suite.plots.learning_curve import learning_curve
    from suite.store.environment import environment
    from suite.training.checkpoint import discard
    from suite.training.gradient_callback import as_data, lag_curves
    from suite.training.lightning_module import Watcher
    from suite.training.train import train

    store = _opened(place)
    checkpoint = store.checkpoints / f"{job.key}.pt"
    watcher = Watcher(on_progress=signals.report, should_stop=signals.should_stop)
    if job.pruner:
        watcher.should_prune = sweep.GenerationPruner(job.pruner)
    with store.tracking.recording(job, experiment, parent, owner) as recorder:
        watcher.on_metrics = recorder.curve
        result = train(job.config, watcher, signals.device, checkpoint=checkpoint)
        flow = lag_curves(result.gradient_flow)
        for lag, powers in flow:
            recorder.curve(lag, powers)
        found = environment(signals.device)
        outcome = Outcome(result.metrics, (*result.curves, *flow), store.note(found))
        tags = {
            "environment": outcome.environment,
            "path": "/".join(sorted({kernels.path(cell) for cell in result.model.cells})),  # type: ignore[arg-type]
            "threads": str(found["threads"]),
            "cpu_capability": found["cpu_capability"],
            "device": signals.device,
            "visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        }
        recorder.result(job, outcome, tags)
        recorder.data(found, "environment.json")
        recorder.figure(learning_curve(job, result.curves, result.gradient_flow), "learning_curve.png")
        if result.gradient_flow:
            recorder.data(as_data(result.gradient_flow), "gradient_flow.json")
    discard(checkpoint)
    return outcome if recorder.counts else None


@dataclass
class Told:
    """What somebody wants to know while an experiment is under way; each call returns at once."""

    step: Callable[[Job, int], None] = lambda job, step: None
    """A run has come so far; now and then, also from another thread."""
    done: Callable[[Job, Outcome], None] = lambda job, outcome: None
    """A run is finished, here or elsewhere."""
    failed: Callable[[Job, Ended, bool], None] = lambda job, end, last: None
    """A run has failed; ``last`` says that it is not tried again."""
    stopping: Callable[[], None] = lambda: None
    """After Ctrl-C: what is under way keeps checkpoints and ends."""
    waiting: Callable[[int, int], None] = lambda ready, elsewhere: None
    """Nothing is under way here: so many runs have no room, and others do so many."""
    trouble: Callable[[str], None] = lambda text: None
    """Something went wrong that does not touch any result."""


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
    plan: Plan, store: Store, engine: Engine, told: Told | None = None, *, attempts: int = 3, do: Any = execute
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
    told = told or Told()
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
    with engine, Hand(store.ledger, name, attempts) as hand, _interruptible(engine, told) as stopping:
        if work.ready:
            store.tracking.close_abandoned(name)

        def done(job: Job, outcome: Outcome) -> None:
            plan.finished[job.key] = outcome
            told.done(job, outcome)
            for study in sorted(askers.pop(job.key)):
                add(study_of[study])

        def start(job: Job) -> None:
            taken, outcome, note = hand.take(job)
            if taken is Taken.MINE:
                if note:
                    store.tracking.close(note, "its process died")
                parent = store.tracking.study_run(study_of[job.study])
                work.running[job.key] = job
                engine.submit(job.key, partial(do, job, store.place, name, parent, hand.owner))
            elif outcome is not None:
                done(job, outcome)
            elif taken is Taken.FAILED:
                work.failed[job.key] = note
            else:
                work.elsewhere[job.key] = job

        def end(key: str, how: Ended) -> None:
            job = work.running.pop(key)
            if how.kind is Kind.DONE:
                if how.value is not None:
                    done(job, how.value)
                else:  # somebody else's by now
                    work.elsewhere[key] = job
            elif how.kind is Kind.STORE:
                raise StoreError(how.reason)
            else:
                failed = how.kind is Kind.FAILED
                failures = hand.give_back(key, how.reason, failed)
                if failed:
                    told.failed(job, how, failures >= attempts)
                if how.kind is not Kind.STOPPED:
                    work.ready[key] = job

        looked = time.monotonic()
        while work.running or (not stopping and (work.ready or work.elsewhere)):
            while work.ready and engine.free > 0 and not stopping:
                start(work.ready.pop(next(iter(work.ready))))
            if engine.pending:
                for key, how in engine.wait(LOOK_SECONDS):
                    end(key, how)
            elif work.ready or work.elsewhere:  # the engine has no room, or others do what is left
                told.waiting(len(work.ready), len(work.elsewhere))
                time.sleep(LOOK_SECONDS)
            if work.elsewhere and time.monotonic() - looked > LOOK_SECONDS:
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
def _interruptible(engine: Engine, told: Told) -> Iterator[list[int]]:
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


def _keep_studies(plan: Plan, store: Store, hand: Hand) -> None:
    """Sum up each finished study in its own run, and put its trials into Optuna's storage, for Optuna's own tools."""
    journal: Any = None
    for study in plan.studies:
        jobs = evaluations(study, plan.finished)
        found = [plan.finished[job.key] for job in jobs if job.key in plan.finished]
        name = f"summary {plan.experiment.name} {digest(study.name)} {study.version}"
        if found and len(found) == len(jobs) and hand.once(name):
            tried = [(job, plan.finished[job.key]) for job in trials(study, plan.finished)]
            if tried:
                journal = journal or patiently(sweep.storage, store.journal)
                patiently(sweep.record, study, tried, journal)
            store.tracking.summarise(study, best(study, plan.finished) or {}, found)
            hand.did(name)
