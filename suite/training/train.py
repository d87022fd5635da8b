"""One run: a RunConfig in, its metrics out."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import lightning.pytorch as pl
import torch

from suite.data import Data
from suite.errors import StoppedError
from suite.experiment.run_config import RunConfig, Training, derived_seed
from suite.model.sequence_model import SequenceModel, model_of
from suite.model.sizing import parameter_count, state_size
from suite.numerics import numerics
from suite.training.checkpoint import Checkpoint
from suite.training.gradient_callback import GradientCallback, GradientMeasurement
from suite.training.lightning_module import TrainingModule, Watcher, evaluate, finite
from suite.training.peak_memory import PeakMemory


@dataclass
class Result:
    """What a run measured."""

    metrics: dict[str, float]
    """One number each, by name; a figure that does not exist (steps to solve, when never solved) is absent."""
    curves: list[tuple[int, dict[str, float]]]
    """(step, metrics) at each validation."""
    model: SequenceModel
    """The model at its best validation point."""
    gradient_flow: dict[str, GradientMeasurement] = field(default_factory=dict)
    """By moment of the run; empty without ``Training.diagnostics``."""


def train(
    config: RunConfig,
    watcher: Watcher | None = None,
    device: str = "cpu",
    threads: int = 1,
    checkpoint: Path | None = None,
) -> Result:
    """Train and test one configuration.

    The result depends on ``config`` alone (and, in the last bits, on machine, library versions and ``threads``).

    Args:
        config: what to train on what, and how.
        watcher: is told of the progress and may prune.
        device: ``"cpu"`` or ``"cuda"``.
        threads: threads inside one operation; one is the fastest at these sizes, and leaves the other cores to others.
        checkpoint: the file from which an interrupted run goes on, and in which it keeps its state every half minute;
            left there, for the caller to discard once the result is safe.

    Raises:
        StoppedError: if the watcher asked for it; the checkpoint is there.
    """
    watcher = watcher or Watcher()
    with numerics(threads), torch.random.fork_rng(), PeakMemory(device) as memory:
        torch.manual_seed(derived_seed("training", config.seed))  # for cells that draw, as dropout does
        started = time.perf_counter()
        data = Data(config.task, config.seed, config.training.batch_size)
        model = model_of(config.model, data.task, seed=derived_seed("weights", config.seed))
        _compile(model, data)
        module = TrainingModule(model, data, config.training, watcher)
        diagnostics = [GradientCallback(config.seed)] if config.training.diagnostics else []
        state = Checkpoint(checkpoint, watcher.should_stop)
        state.restore(module, diagnostics[0] if diagnostics else None)
        started -= state.earlier_seconds
        _fit(module, device, diagnostics)
        if state.stopped:
            raise StoppedError(f"stopped after {module.steps} of {config.training.steps} steps")
        model.to(device)
        testing = time.perf_counter()
        metrics = _test(module, device)
        metrics["testing_seconds"] = time.perf_counter() - testing
        for found in diagnostics:
            metrics.update(found.metrics)
        metrics["wall_seconds"] = time.perf_counter() - started
    metrics["peak_memory_mb"] = memory.peak_mb
    flow = {moment: measured for found in diagnostics for moment, measured in found.measured.items()}
    return Result(finite(metrics), module.curves, model, flow)


def _compile(model: SequenceModel, data: Data) -> None:
    """One pass forward and back, so that compiling kernels is not charged to the throughput."""
    outputs, _ = model(data.sample("train", 2).inputs)
    outputs.sum().backward()
    model.zero_grad(set_to_none=True)


class _OwnSignals(pl.Callback):
    """Gives SIGTERM back to whoever had it: Lightning would end the training on it, without a checkpoint."""

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.handler)


def _fit(module: TrainingModule, device: str, callbacks: Sequence[pl.Callback]) -> None:
    with _quiet_lightning():
        trainer = pl.Trainer(
            accelerator="gpu" if device == "cuda" else device,
            devices=1,
            max_epochs=1,
            callbacks=[*callbacks, _OwnSignals()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        try:
            trainer.fit(module)
        except SystemExit as error:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from error


def _test(module: TrainingModule, device: str) -> dict[str, float]:
    """Every figure of a finished training; leaves the best weights in the model."""
    model, data, config, task = module.model, module.data, module.training_config, module.data.task
    model.eval()
    samples = {
        "train": data.train_sample(config.validation_size).to(device),
        "validation": module.validation_batch.to(device),
        "test": data.sample("test", config.test_size).to(device),
    }
    metrics: dict[str, float] = {}
    for prefix, weights in (("final_", None), ("", module.best_weights)):
        if weights is not None:
            model.load_state_dict(weights)
        at_best_already = not prefix and module.best_step == module.steps
        for split, batch in samples.items():
            names = [f"{prefix}{split}_{measure}" for measure in ("loss", "score", "skill")]
            if at_best_already:
                values = [metrics[f"final_{name}"] for name in names]
            else:
                values = list(evaluate(model, task, batch)[:3])
            metrics.update(zip(names, values, strict=True))
        metrics[f"{prefix}gap_loss"] = metrics[f"{prefix}test_loss"] - metrics[f"{prefix}train_loss"]
        metrics[f"{prefix}gap_skill"] = metrics[f"{prefix}train_skill"] - metrics[f"{prefix}test_skill"]
    for length in data.config.test_lengths:
        longer = data.sample("test", config.test_size, length).to(device)
        metrics[f"skill_at_length_{length}"] = evaluate(model, task, longer).skill
    if module.diverged:
        # A diverged run remembers nothing, whatever it could do before; its losses are left as measured.
        metrics.update({name: 0.0 for name in metrics if "skill" in name})

    norms = torch.stack(module.norms).double().cpu()
    is_finite = norms.isfinite()
    known = norms[is_finite] if is_finite.any() else norms.new_full((1,), math.nan)
    p50, p90, p99 = known.quantile(torch.tensor([0.5, 0.9, 0.99], dtype=torch.double)).tolist()
    solved = module.solved_step is not None and not module.diverged
    return {
        **metrics,
        "objective": _objective(metrics["validation_skill"], module.solved_step if solved else None, config),
        "steps": module.steps,
        "best_step": module.best_step,
        "solved": float(solved),
        "steps_to_solve": float(module.solved_step) if solved and module.solved_step is not None else math.nan,
        "diverged": float(module.diverged),
        "pruned": float(module.pruned),
        "gradient_norm_p50": p50,
        "gradient_norm_p90": p90,
        "gradient_norm_p99": p99,
        "gradient_norm_max": known.max().item(),
        "gradient_norm_nonfinite": float((~is_finite).sum()),
        "clip_fraction": (norms > config.clip).double().mean().item(),
        "parameters": parameter_count(model),
        "state_size": state_size(model),
        "training_seconds": module.training_seconds,
        "validation_seconds": module.validation_seconds,
        "sequences_per_second": module.steps * config.batch_size / module.training_seconds,
    }


def _objective(skill: float, solved_step: int | None, config: Training) -> float:
    """What a sweep maximises, on validation: the skill; where solving stops the run, the earlier the better."""
    if solved_step is None or not config.stop_when_solved:
        return skill
    return 1.0 + (1.0 - solved_step / config.steps)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's remarks on loggers, workers and devices, which are for its own training loop."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        try:
            yield
        finally:
            logger.setLevel(level)
