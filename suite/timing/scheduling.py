"""The cost of the work around runs: several workers side by side, the scheduler, and planning."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from suite.engines import Engine, Inline, Signals, Workers
from suite.experiment.loading import parse
from suite.planning.job import Job, Outcome
from suite.running import runner
from suite.running.events import RunListener
from suite.running.execute import open_store
from suite.store.addresses import StoreLocation
from suite.store.store import Store

SIZES = (100, 1000, 10_000)
RUNS_PER_WORKER = 8
EXPERIMENT: dict[str, Any] = {
    "title": "for timing",
    "tasks": {"adding": {"length": 100}},
    "architectures": {"lstm": {}},
    "model": {"hidden_size": 64},
    "training": {"steps": 300, "stop_when_solved": False},
}


def measure_workers(repetitions: int = 3) -> dict[str, float]:
    """Measure the runs per minute of one worker process and of two, in turns; return medians and their ratio.

    A run takes about two seconds. The first two runs of each worker are not counted, because the first one starts it.
    """
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(repetitions):
        for count, measured in rates.items():
            measured.append(_runs_per_minute(count))
    ratios = [of_two / of_one for of_one, of_two in zip(rates[1], rates[2], strict=True)]
    return {"one": median(rates[1]), "two": median(rates[2]), "ratio": median(ratios)}


def _runs_per_minute(count: int) -> float:
    experiment = parse({**EXPERIMENT, "evaluation": {"seeds": count * (RUNS_PER_WORKER + 2)}}, "scaling")
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        plan = runner.open_plan(experiment, store)
        listener = _Clock(ends)
        runner.run(plan, store, Workers([None] * count), listener)
    # Between these two ends all workers are busy.
    first, last = 2 * count - 1, len(ends) - count
    return 60 * (last - first) / (ends[last] - ends[first])


class _Clock(RunListener):
    """A listener that notes when each run has ended."""

    def __init__(self, ends: list[float]) -> None:
        self.ends = ends

    def on_done(self, job: Job, outcome: Outcome) -> None:
        self.ends.append(time.perf_counter())


def finish_at_once(
    job: Job, location: StoreLocation, experiment: str, study_run: str, owner: str, signals: Signals
) -> Outcome | None:
    """Execute a run that does nothing but enter its end in the ledger."""
    outcome = Outcome(dict.fromkeys((f"measure_{i}" for i in range(40)), 0.1) | {"objective": 0.1, "pruned": 0.0})
    store = open_store(location)
    return outcome if store.ledger.finish(experiment, job.key, owner, "", outcome) else None


def measure_scheduler(
    runs: int, storage: str | None = None, tracking: str | None = None, engine: Callable[[], Engine] = Inline
) -> dict[str, float]:
    """Measure the scheduler on runs that do nothing: milliseconds per run, and seconds to plan when all are done.

    The experiment has ten levels and ten variants, with ten trials for each of the hundred studies; below 2,000 runs
    it has two of each.

    Args:
        runs: the approximate number of runs.
        storage: the address of a database, instead of files in a temporary folder.
        tracking: the address of a tracking server, instead of files in a temporary folder.
        engine: makes the engine.
    """
    experiment = parse(_tables(runs), f"scaling_{uuid4().hex[:8]}")  # a shared store may have an earlier one
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), storage, tracking)
        plan = runner.open_plan(experiment, store)
        ends: list[float] = []
        listener = _Clock(ends)
        runner.run(plan, store, engine(), listener, execute_run=finish_at_once)
        store.ledger.engine.dispose()
        started = time.perf_counter()
        done_plan = runner.open_plan(experiment, Store(Path(folder), storage, tracking))
        assert not done_plan.missing()
        planning = time.perf_counter() - started
    half = len(ends) // 2
    return {
        "runs": plan.planned,
        "milliseconds_per_run": 1000 * (ends[-1] - ends[0]) / (len(ends) - 1),
        "milliseconds_in_the_second_half": 1000 * (ends[-1] - ends[half]) / (len(ends) - 1 - half),
        "planning_seconds": planning,
    }


def _tables(runs: int) -> dict[str, Any]:
    """Return the tables of an experiment of about this many runs."""
    levels, variants = (10, 10) if runs >= 2000 else (2, 2)
    trials = 10
    seeds = max(1, runs // (levels * variants) - trials)
    return {
        **EXPERIMENT,
        "tasks": {"adding": {"length": [10 * (i + 1) for i in range(levels)]}},
        "architectures": {f"gru_{i}": {"architecture": "gru"} for i in range(variants)},
        "model": {"parameters": 5000},
        "sweep": {"trials": trials, "space": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}},
        "evaluation": {"seeds": seeds},
    }
