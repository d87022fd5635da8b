"""One run, done and recorded."""

from __future__ import annotations

import os
from functools import cache

from suite import kernels
from suite.engines import Signals
from suite.planning import sweep
from suite.planning.job import Job, Outcome
from suite.store.addresses import StoreLocation
from suite.store.store import Store


@cache
def _opened(place: StoreLocation) -> Store:
    """The store, once in each process."""
    return Store.at(place)


def execute(
    job: Job, place: StoreLocation, experiment: str, parent: str, owner: str, signals: Signals
) -> Outcome | None:
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
            "path": "/".join(sorted({kernels.path(cell) for cell in result.model.cells})),
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
