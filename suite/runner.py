"""What of an experiment is missing, and getting it done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from suite import kernels, sweep
from suite.engines import Engine, Inline, Workers
from suite.experiment import Experiment
from suite.job import Job, Outcome
from suite.plan import Plan, best, evaluations, missing, studies, trials
from suite.tracking import Store


def open_plan(experiment: Experiment, store: Store) -> Plan:
    """The studies of an experiment, checked, with the finished runs that the store has."""
    found = studies(experiment)
    return Plan(experiment, found, store.finished(experiment.name, curves=experiment.sweep.pruner != "none"))


def execute(job: Job, folder: Path, experiment: str, parent: str, on_progress: Callable[[int], None]) -> Outcome:
    """Do one run and record it."""
    from suite.diagnostics.during_run import as_data
    from suite.module import Watcher
    from suite.plots.learning_curve import learning_curve
    from suite.training import train

    watcher = Watcher(on_progress)
    if job.pruner:
        watcher.should_prune = sweep.GenerationPruner(job.pruner)
    with Store(folder).recording(job, experiment, parent) as recorder:
        watcher.on_metrics = recorder.curve
        result = train(job.config, watcher)
        path = "/".join(sorted({kernels.path(cell) for cell in result.model.cells}))  # type: ignore[arg-type]
        recorder.result(job, result.metrics, threads=1, path=path)
        recorder.figure(learning_curve(job, result.curves, result.gradient_flow), "learning_curve.png")
        if result.gradient_flow:
            recorder.data(as_data(result.gradient_flow), "gradient_flow.json")
    return Outcome(result.metrics, tuple((step, metrics["validation/skill"]) for step, metrics in result.curves))


def run(
    state: Plan,
    store: Store,
    *,
    workers: int = 1,
    on_done: Callable[[Job, Outcome], None] = lambda job, outcome: None,
    on_progress: Callable[[Job, int], None] = lambda job, step: None,
    on_interrupt: Callable[[], None] = lambda: None,
) -> None:
    """Do every run of a plan that the store lacks; afterwards ``state.finished`` has them all.

    A study's runs are taken up in the order in which it names them. Interrupted and called again, it goes on with what
    is missing.

    Args:
        state: what to do.
        store: where it is recorded.
        workers: runs at a time, each in a process of its own with one thread; 1 stays in this process.
        on_done: called with each finished run.
        on_progress: called now and then with the optimiser steps that a current run has done, also from a thread.
        on_interrupt: called after Ctrl-C, before what is under way in other processes is waited for.
    """
    store.experiment_id(state.experiment.name)
    store.close_unfinished(state.experiment.name)
    study_of = {study.name: study for study in state.studies}
    submitted: dict[str, Job] = {}

    def listener(key: str, step: int) -> None:
        on_progress(submitted[key], step)

    engine: Engine = Inline(listener) if workers == 1 else Workers(workers, listener)

    def submit(jobs: dict[str, Job]) -> None:
        for key, job in jobs.items():
            if key not in submitted:
                submitted[key] = job
                parent = store.study_run(study_of[job.study])
                engine.submit(key, partial(execute, job, store.folder, state.experiment.name, parent))

    with engine:
        try:
            submit(state.missing())
            while engine.pending:
                for key, outcome in engine.wait():
                    state.finished[key] = outcome
                    job = submitted[key]
                    on_done(job, outcome)
                    submit(missing(study_of[job.study], state.finished))
        except KeyboardInterrupt:
            on_interrupt()
            raise
        finally:
            if state.missing():
                store.interrupt_studies()
    _keep_studies(state, store)


def _keep_studies(state: Plan, store: Store) -> None:
    """Sum up each study in its own run, and put its trials into Optuna's journal, for Optuna's own tools."""
    journal = sweep.storage(store.journal)
    for study in state.studies:
        tried = [(job, state.finished[job.key]) for job in trials(study, state.finished)]
        if tried:
            sweep.record(study, tried, journal)
        evaluated = [state.finished[job.key].metrics for job in evaluations(study, state.finished)]
        store.summarise(study, best(study, state.finished) or {}, evaluated)
