"""The time that memspan adds to a training loop, measured side by side with a bare loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any
from uuid import uuid4

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

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
from suite.training.schedule import learning_rate

SHARES = ("training", "validation", "testing", "the rest of Lightning", "recording")
KINDS: dict[str, dict[str, Any]] = {
    "Adam": {"optimizer": "adam"},
    "AdamW, cosine": {"optimizer": "adamw", "schedule": "cosine", "warmup": 10, "weight_decay": 0.01},
}
"""The settings of the training that are measured, by name."""


def measure_overhead(architecture: str = "lstm", steps: int = 1000, repetitions: int = 5) -> list[dict[str, Any]]:
    """Measure whole runs through memspan as multiples of bare PyTorch loops, and where their time goes.

    Both do the same steps with the same model, kernel and data on one thread, at T = 100, batch 32 and hidden size 64.
    The bare loop neither validates nor tests nor records. The two take turns.

    Args:
        architecture: the name of the architecture.
        steps: the number of optimiser steps, which is more than ten.
        repetitions: the number of repetitions.

    Returns:
        A row for each of `KINDS`: its name as ``optimizer``, and medians of ``bare_seconds``, ``whole_seconds``, their
        ``ratio``, and each of ``SHARES`` as a multiple of the bare loop.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        return [
            {"optimizer": name, **_measure(_config(architecture, steps, settings), store, repetitions)}
            for name, settings in KINDS.items()
        ]


def _config(architecture: str, steps: int, settings: Mapping[str, Any]) -> RunConfig:
    return RunConfig(
        task=TaskConfig(name="adding", options={}, length=100),
        model=ModelConfig(architecture=architecture, options=architectures.options(architecture, {}), hidden_size=64),
        training=Training(steps=steps, stop_when_solved=False, **settings),
        seed=0,
        source=Source(task="", architecture=""),
    )


def _measure(config: RunConfig, store: Store, repetitions: int) -> dict[str, float]:
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
    training = config.training
    with numerics():
        started = time.perf_counter()
        data = Data(config.task, config.seed, training.batch_size)
        model = model_of(config.model, data.task, seed=0)
        optimizer, advance = _by_hand(training, model)
        for step in range(training.steps):
            batch = data.train_batch(step)
            outputs, _ = model(batch.inputs)
            loss = data.task.loss(outputs, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip)
            optimizer.step()
            advance()
        return time.perf_counter() - started


def _by_hand(training: Training, model: nn.Module) -> tuple[Optimizer, Callable[[], None]]:
    """Return the optimiser as one would make it, and what sets the learning rate of the next step."""
    if training.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=training.learning_rate), lambda: None
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
    )
    schedule = LambdaLR(optimizer, lambda step: learning_rate(step, training) / training.learning_rate)
    return optimizer, schedule.step
