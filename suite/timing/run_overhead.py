"""The time that memspan adds to a training loop, measured side by side with a bare loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from statistics import median
from uuid import uuid4

import torch

from suite.data import Data
from suite.engines import Signals
from suite.experiment.run_config import ModelConfig, RunConfig, Source, TaskConfig, Training
from suite.model.sequence_model import model_of
from suite.numerics import numerics
from suite.planning.job import Job
from suite.registry import architectures
from suite.running.execute import execute
from suite.store.lease import Leases
from suite.store.store import Store

SHARES = ("training", "validation", "testing", "the rest of Lightning", "recording")


def measure_overhead(architecture: str = "lstm", steps: int = 1000, repetitions: int = 5) -> dict[str, float]:
    """Measure a whole run through memspan as a multiple of a bare PyTorch loop, and where its time goes.

    Both do the same steps with the same model, kernel and data on one thread, at T = 100, batch 32 and hidden size 64.
    The bare loop neither validates nor tests nor records. The two take turns. Returned are medians of
    ``bare_seconds``, ``whole_seconds``, their ``ratio``, and each of ``SHARES`` as a multiple of the bare loop.
    """
    config = RunConfig(
        task=TaskConfig(name="adding", options={}, length=100),
        model=ModelConfig(architecture=architecture, options=architectures.options(architecture, {}), hidden_size=64),
        training=Training(steps=steps, stop_when_solved=False),
        seed=0,
        source=Source(task="", architecture=""),
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        _warm_up(config, store)
        pairs = [_measure_pair(config, store) for _ in range(repetitions)]
    return {name: median(pair[name] for pair in pairs) for name in pairs[0]}


def _warm_up(config: RunConfig, store: Store) -> None:
    """Import, compile the kernels and create MLflow's experiment, which are not among the costs of a run."""
    short = config.model_copy(update={"training": config.training.model_copy(update={"steps": 20})})
    _time_bare_loop(short)
    _time_whole_run(short, store)


def _measure_pair(config: RunConfig, store: Store) -> dict[str, float]:
    bare = _time_bare_loop(config)
    whole, metrics = _time_whole_run(config, store)
    training, validation, testing = (metrics[f"{part}_seconds"] for part in ("training", "validation", "testing"))
    lightning = metrics["wall_seconds"] - training - validation - testing
    parts = (training, validation, testing, lightning, whole - metrics["wall_seconds"])
    shares = {name: part / bare for name, part in zip(SHARES, parts, strict=True)}
    return {"ratio": whole / bare, "bare_seconds": bare, "whole_seconds": whole, **shares}


def _time_whole_run(config: RunConfig, store: Store) -> tuple[float, Mapping[str, float]]:
    """Return the seconds of a run through memspan, and its metrics."""
    job = Job(uuid4().hex, config, "overhead", config.model.architecture, "adding", "trial", 0)
    started = time.perf_counter()
    with Leases(store.ledger, "overhead") as leases:
        leases.take(job)
        outcome = execute(job, store.location, "overhead", "", leases.owner, Signals())
    assert outcome is not None
    return time.perf_counter() - started, outcome.metrics


def _time_bare_loop(config: RunConfig) -> float:
    """Return the seconds of the loop that one would write by hand."""
    with numerics():
        started = time.perf_counter()
        data = Data(config.task, config.seed, config.training.batch_size)
        model = model_of(config.model, data.task, seed=0)
        optimizer = torch.optim.Adam(model.parameters(), lr=config.training.learning_rate)
        for step in range(config.training.steps):
            batch = data.train_batch(step)
            outputs, _ = model(batch.inputs)
            loss = data.task.loss(outputs, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.training.clip)
            optimizer.step()
        return time.perf_counter() - started
