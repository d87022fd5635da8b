"""The runner: it executes every missing run of an experiment, and shares the work with others on the same store."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from suite.engines import Engine, EngineTask, TaskResult, TaskStatus
from suite.engines.dispatch import POLL_SECONDS, Work, dispatch
from suite.errors import StoreError, redacted
from suite.experiment.experiment import Experiment
from suite.experiment.run_config import digest
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan, studies
from suite.planning.study import Study
from suite.planning.study_progress import StudyProgress
from suite.running.events import RunListener
from suite.running.execute import execute
from suite.running.optuna_record import OptunaRecord
from suite.store.lease import Leases, LeaseStatus
from suite.store.ledger_tables import RUNNING
from suite.store.store import Store


def open_plan(experiment: Experiment, store: Store, curves: bool = False) -> Plan:
    """Return the studies of an experiment, checked, with the finished runs of a store.

    Args:
        experiment: the experiment.
        store: the store of its runs.
        curves: whether the learning curves of finished runs are needed.

    Raises:
        InputError: if the experiment breaks a rule, or a model of it cannot be built.
    """
    checked = studies(experiment)
    needed = curves or experiment.sweep.pruner != "none"
    return Plan(experiment, checked, store.finished(experiment.name, curves=needed))


def run(
    plan: Plan,
    store: Store,
    engine: Engine,
    listener: RunListener | None = None,
    *,
    attempts: int = 3,
    execute_run: Any = execute,
) -> dict[str, str]:
    """Execute every run of a plan that the store lacks. Afterwards, ``plan.finished`` has them all.

    After an interruption, the next call goes on with the runs that are missing. Several callers at once share
    the runs, also on several machines, and each of them returns when all runs are finished.

    Args:
        plan: the plan.
        store: the store in which runs are recorded.
        engine: the engine that executes them. Its context is left at the end.
        listener: is told about each run.
        attempts: the number of failures after which a run is given up.
        execute_run: executes one run, see `execute`.

    Returns:
        The reason of each run that was given up, by key; empty if the plan is complete.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM. The runs under way have kept a checkpoint, unless it came twice.
        StoreError: if the store is full or does not answer.
    """
    listener = listener or RunListener()
    name = plan.experiment.name
    with Leases(store.ledger, name, attempts) as leases:
        runs = _MissingRuns(plan, store, leases, listener, execute_run)
        if runs.ready:
            store.tracking.close_abandoned(name)
        if not dispatch(runs, engine, listener.on_stopping):
            raise KeyboardInterrupt
        if runs.given_up:
            runs.close_studies()
        try:
            _summarise_studies(plan, store, leases, runs.record)
        except Exception as error:  # Every result is in the ledger, and the next call makes up for the summaries.
            text = f"the studies could not be summarised in MLflow: {redacted(str(error))}"
            listener.on_trouble(text)
    return runs.given_up


class _MissingRuns(Work):
    """The runs of a plan that are not finished. Each known run stands in one of four tables, by its key."""

    def __init__(self, plan: Plan, store: Store, leases: Leases, listener: RunListener, execute_run: Any) -> None:
        self.plan = plan
        self.store = store
        self.leases = leases
        self.listener = listener
        self.execute_run = execute_run
        self.ready: dict[str, Job] = {}
        self.running: dict[str, Job] = {}
        self.elsewhere: dict[str, Job] = {}
        self.given_up: dict[str, str] = {}
        """The reason for which each of these runs was given up."""
        self.silent: set[str] = set()
        """The keys of runs under way for which the ledger notes that they make no step."""
        self.record = OptunaRecord(plan.experiment.name, store, leases, listener)
        self.studies = {study.name: study for study in plan.studies}
        self.waiting_studies: dict[str, set[str]] = {}
        """The names of the studies that wait for each run. Two studies may need the same one."""
        self.last_poll = time.monotonic()
        """The time at which the ledger was last asked about the runs elsewhere."""
        for study in plan.studies:
            self._add_runs_of(study)

    def _add_runs_of(self, study: Study) -> StudyProgress:
        """Enter the runs of a study that can be started now, and return its progress."""
        progress = self.plan.progress(study)
        for key, job in progress.missing.items():
            self.waiting_studies.setdefault(key, set()).add(study.name)
            if not any(key in table for table in (self.running, self.elsewhere, self.given_up)):
                self.ready[key] = job
        return progress

    def is_left(self) -> bool:
        return bool(self.ready or self.elsewhere)

    def next_task(self) -> tuple[str, EngineTask] | None:
        if self.elsewhere and time.monotonic() - self.last_poll > POLL_SECONDS:
            self.last_poll = time.monotonic()
            self.ready.update(self.elsewhere)
            self.elsewhere.clear()
        while self.ready:
            job = self.ready.pop(next(iter(self.ready)))
            lease = self.leases.take(job)
            if lease.status is LeaseStatus.ACQUIRED:
                self.store.tracking.close(lease.abandoned_run, "its process died")
                return job.key, self._start(job)
            if lease.outcome is not None:
                self._finish(job, lease.outcome)
            elif lease.status is LeaseStatus.GIVEN_UP:
                self.given_up[job.key] = lease.reason
            else:
                self.elsewhere[job.key] = job
        return None

    def _start(self, job: Job) -> EngineTask:
        self.running[job.key] = job
        study_run = self.store.tracking.study_run(self.studies[job.study])
        experiment, owner = self.plan.experiment.name, self.leases.owner
        return partial(self.execute_run, job, self.store.location, experiment, study_run, owner)

    def _finish(self, job: Job, outcome: Outcome) -> None:
        self.plan.finished[job.key] = outcome
        self.listener.on_done(job, outcome)
        for study in sorted(self.waiting_studies.pop(job.key)):
            self.record.add(self.studies[study], self._add_runs_of(self.studies[study]))

    def on_result(self, key: str, result: TaskResult) -> None:
        job = self.running.pop(key)
        if result.status is TaskStatus.STORE:
            raise StoreError(result.reason)
        if result.status is TaskStatus.DONE:
            if result.value is not None:
                self._finish(job, result.value)
            else:  # The run belongs to another owner by now.
                self.elsewhere[key] = job
            return
        failed = result.status is TaskStatus.FAILED
        failures = self.leases.give_back(key, result.reason, failed, result.is_final)
        if failed:
            self.listener.on_failed(job, result, failures >= self.leases.attempts)
        if result.status is not TaskStatus.STOPPED:
            self.ready[key] = job

    def on_idle(self) -> None:
        self.listener.on_waiting(len(self.ready), len(self.elsewhere))

    def on_step(self, key: str, step: int) -> None:
        job = self.running.get(key)
        if job is not None:
            self.listener.on_step(job, step)
        if key in self.silent:
            self.silent.discard(key)
            self.leases.note(key, "")

    def on_note(self, key: str, text: str) -> None:
        job = self.running.get(key)
        if job is not None:
            self.listener.on_trouble(f"{job.title}: {text}")

    def on_silent(self, key: str, text: str) -> None:
        super().on_silent(key, text)
        self.silent.add(key)
        self.leases.note(key, text)

    def on_interrupted(self) -> None:
        self.close_studies()

    def close_studies(self) -> None:
        """Mark the studies in MLflow that are not finished, unless somebody works on them."""
        busy = {run.study for run in self.store.ledger.unfinished(self.plan.experiment.name) if run.state == RUNNING}
        self.store.tracking.interrupt_studies(busy)


def _summarise_studies(plan: Plan, store: Store, leases: Leases, record: OptunaRecord) -> None:
    """Summarise each finished study in MLflow, and record what Optuna's storage still lacks of its trials."""
    for study in plan.studies:
        progress = plan.progress(study)
        name = f"summary {plan.experiment.name} {digest(study.name)} {study.version}"
        if not progress.is_complete or not leases.begin_once(name):
            continue
        is_recorded = record.add(study, progress)
        evaluations = [outcome for _, outcome in progress.outcomes(progress.evaluations)]
        store.tracking.summarise(study, progress.best_params or {}, evaluations)
        (leases.end_once if is_recorded else leases.leave_once)(name)
