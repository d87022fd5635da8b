"""The execution of one run, and its record."""

from __future__ import annotations

import os
from functools import cache

from suite import kernels
from suite.engines import Signals
from suite.planning import sweep
from suite.planning.job import Job, Outcome
from suite.registry import architectures
from suite.store.addresses import StoreLocation
from suite.store.store import Store


@cache
def open_store(location: StoreLocation) -> Store:
    """Return the store of a location. It is opened once in each process."""
    return Store.at(location)


def execute(
    job: Job, location: StoreLocation, experiment: str, study_run: str, owner: str, signals: Signals
) -> Outcome | None:
    """Execute one run and record it.

    Args:
        job: the run.
        location: the location of the store.
        experiment: the name of the experiment.
        study_run: MLflow's id of the run of the study, under which this run is nested.
        owner: the owner that holds the run, see `Leases`.
        signals: the link to the process that started the run.

    Returns:
        The outcome; None if the run belongs to another owner by the time it is finished.

    Raises:
        StoppedError: if the run was asked to stop. It has kept a checkpoint.
    """
    from suite.plots.learning_curve import learning_curve
    from suite.results.wording import state_text
    from suite.store.environment import environment
    from suite.store.files import remove
    from suite.training.gradient_callback import as_data, lag_curves
    from suite.training.lightning_module import Watcher
    from suite.training.train import train

    store = open_store(location)
    checkpoint = store.checkpoints / f"{job.key}.pt"
    watcher = Watcher(on_step=signals.on_step, should_stop=signals.should_stop, on_note=signals.on_note)
    if job.pruner:
        watcher.should_prune = sweep.GenerationPruner(job.pruner)
    with store.tracking.recording(job, experiment, study_run, owner) as recorder:
        watcher.on_metrics = recorder.curve
        result = train(job.config, watcher, signals.device, checkpoint=checkpoint)
        flow = lag_curves(result.gradient_flow)
        for lag, powers in flow:
            recorder.curve(lag, powers)
        measured_on = environment(signals.device)
        outcome = Outcome(result.metrics, (*result.curves, *flow), store.keep_environment(measured_on))
        for place, scores in outcome.by_lag:
            recorder.curve(place, dict(scores))
        tags = {
            "family": architectures.get(job.config.model.architecture).family,
            "state": state_text(*(result.metrics.get(name) for name in ("state_size", "state_growth"))),
            "environment": outcome.environment,
            "path": "/".join(sorted({kernels.path(cell) for cell in result.model.cells})),
            "threads": str(measured_on["threads"]),
            "cpu_capability": measured_on["cpu_capability"],
            "device": signals.device,
            "visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        }
        recorder.result(job, outcome, tags)
        recorder.data(measured_on, "environment.json")
        recorder.figure(learning_curve(job, result.curves, result.gradient_flow), "learning_curve.png")
        if result.gradient_flow:
            recorder.data(as_data(result.gradient_flow), "gradient_flow.json")
    remove(checkpoint)
    return outcome if recorder.counts else None
