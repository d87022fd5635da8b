"""What the work around runs costs: workers side by side, the scheduler, and planning what is done."""

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


def workers(repetitions: int = 3) -> dict[str, float]:
    """Runs per minute of one worker process and of two, in turns, and their ratio; medians.

    Of runs of some two seconds. The first two runs of each worker, the first of which starts it, are not counted.
    """
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(repetitions):
        for count, found in rates.items():
            found.append(_rate(count))
    one, two = median(rates[1]), median(rates[2])
    return {"one": one, "two": two, "ratio": median(b / a for a, b in zip(rates[1], rates[2], strict=True))}


def _rate(count: int) -> float:
    experiment = parse({**EXPERIMENT, "evaluation": {"seeds": count * (RUNS_PER_WORKER + 2)}}, "scaling")
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        plan = runner.open_plan(experiment, store)
        listener = _Clock(ends)
        runner.run(plan, store, Workers([None] * count), listener)
    # From one end to another, all workers being busy in between.
    first, last = 2 * count - 1, len(ends) - count
    return 60 * (last - first) / (ends[last] - ends[first])


class _Clock(RunListener):
    """Notes when each run has ended."""

    def __init__(self, ends: list[float]) -> None:
        self.ends = ends

    def on_done(self, job: Job, outcome: Outcome) -> None:
        self.ends.append(time.perf_counter())


def nothing(
    job: Job, location: StoreLocation, experiment: str, study_run: str, owner: str, signals: Signals
) -> Outcome | None:
    """A run that does nothing but enter its end in the ledger."""
    outcome = Outcome(dict.fromkeys((f"measure_{i}" for i in range(40)), 0.1) | {"objective": 0.1, "pruned": 0.0})
    store = open_store(location)
    return outcome if store.ledger.finish(experiment, job.key, owner, "", outcome) else None


def scheduler(
    runs: int, storage: str | None = None, tracking: str | None = None, engine: Callable[[], Engine] = Inline
) -> dict[str, float]:
    """Milliseconds per run of an experiment of so many runs that do nothing, and seconds to plan it when all are done.

    It has ten levels and ten variants, and ten trials for each of a hundred studies where there are that many runs.
    """
    experiment = parse(_planned(runs), f"scaling_{uuid4().hex[:8]}")  # a shared store may have an earlier one
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), storage, tracking)
        plan = runner.open_plan(experiment, store)
        ends: list[float] = []
        listener = _Clock(ends)
        runner.run(plan, store, engine(), listener, execute_run=nothing)
        store.ledger.engine.dispose()
        started = time.perf_counter()
        again = runner.open_plan(experiment, Store(Path(folder), storage, tracking))
        assert not again.missing()
        planning = time.perf_counter() - started
    half = len(ends) // 2
    return {
        "runs": plan.planned,
        "milliseconds_per_run": 1000 * (ends[-1] - ends[0]) / (len(ends) - 1),
        "milliseconds_in_the_second_half": 1000 * (ends[-1] - ends[half]) / (len(ends) - 1 - half),
        "planning_seconds": planning,
    }


def _planned(runs: int) -> dict[str, Any]:
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
