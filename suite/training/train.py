"""The training and the test of one run."""

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
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import torch

from suite.data import Data
from suite.errors import StoppedError
from suite.experiment.run_config import RunConfig, Training, derived_seed
from suite.model.sequence_model import SequenceModel, model_of
from suite.model.sizing import frozen_count, parameter_count, state_size
from suite.model.states import grows
from suite.numerics import numerics
from suite.training.by_lag import by_lag
from suite.training.checkpoint import Beginning, Checkpoint
from suite.training.gradient_callback import GradientCallback, GradientMeasurement
from suite.training.lightning_module import TrainingModule, Watcher, answers, finite_metrics, judged
from suite.training.one_process import make_trainer
from suite.training.peak_memory import PeakMemory
from tasks import Batch

MEASURES = ("loss", "score", "skill")
"""What is measured of the answers to a split."""


@dataclass
class TrainingResult:
    """The result of a run."""

    metrics: dict[str, float]
    """The metrics by name. One that does not exist is left out, such as ``steps_to_solve`` of an unsolved task."""
    curves: list[tuple[int, dict[str, float]]]
    """The step and the metrics of each validation."""
    model: SequenceModel
    """The model with the weights of its best validation."""
    gradient_flow: dict[str, GradientMeasurement] = field(default_factory=dict)
    """The gradient flow by moment of the run; empty without ``Training.diagnostics``."""


def train(
    config: RunConfig,
    watcher: Watcher | None = None,
    device: str = "cpu",
    threads: int = 1,
    checkpoint: Path | None = None,
) -> TrainingResult:
    """Train and test one configuration.

    The result depends on ``config`` alone. Its last bits also depend on the machine, the versions of the libraries and
    ``threads``.

    Args:
        config: the configuration.
        watcher: is called with the progress, and may prune or stop the run.
        device: ``"cpu"`` or ``"cuda"``.
        threads: the number of threads in one operation. A small model is fastest with one.
        checkpoint: the file from which an interrupted run goes on, and in which it keeps its state every half minute.
            The caller deletes it once the result is safe.

    Raises:
        StoppedError: if the watcher stops the run, after a checkpoint.
    """
    watcher = watcher or Watcher()
    with numerics(threads), torch.random.fork_rng(), PeakMemory(device) as memory:
        started = time.perf_counter()
        state = Checkpoint(checkpoint, config.key, watcher)
        module, diagnostics = state.restored(partial(_begin, config, watcher))
        started -= state.earlier_seconds
        _fit(module, device, [diagnostics] if diagnostics else [])
        if state.stopped:
            raise StoppedError(f"stopped after {module.steps} of {config.training.steps} steps")
        module.model.to(device)
        test_started = time.perf_counter()
        metrics = _measure(module, device)
        metrics["testing_seconds"] = time.perf_counter() - test_started
        if diagnostics:
            metrics.update(diagnostics.metrics)
        metrics["wall_seconds"] = time.perf_counter() - started
    metrics["peak_memory_mb"] = memory.peak_mb
    flow = diagnostics.measured if diagnostics else {}
    return TrainingResult(finite_metrics(metrics), module.curves, module.model, flow)


def _begin(config: RunConfig, watcher: Watcher) -> Beginning:
    """Make a training, ready for its first step."""
    torch.manual_seed(derived_seed("training", config.seed))  # Cells that draw numbers need it, as for dropout.
    data = Data(config.task, config.seed, config.training.batch_size)
    model = model_of(config.model, data.task, seed=derived_seed("weights", config.seed))
    _compile(model, data)
    module = TrainingModule(model, data, config.training, watcher)
    return module, GradientCallback(config.seed) if config.training.diagnostics else None


def _compile(model: SequenceModel, data: Data) -> None:
    """Go forward and backward once, so that the measured throughput does not include the compilation of kernels."""
    outputs, _ = model(data.sample("train", 2).inputs)
    outputs.sum().backward()
    model.zero_grad(set_to_none=True)


class _OwnSignals(pl.Callback):
    """A callback that restores the handlers of signals.

    Lightning's own for SIGTERM would end a training without a checkpoint. After a KeyboardInterrupt, it would ignore
    Ctrl-C for good.
    """

    def __init__(self) -> None:
        self.handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.restore()

    def restore(self) -> None:
        """Put the handlers back that were there before the training."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self.handlers.items():
                if handler is not None:  # Only a handler of Python's can be put back.
                    signal.signal(number, handler)


def _fit(module: TrainingModule, device: str, callbacks: Sequence[pl.Callback]) -> None:
    own_signals = _OwnSignals()
    with _quiet_lightning():
        trainer = make_trainer(device, [*callbacks, own_signals])
        try:
            trainer.fit(module)
        except SystemExit as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # Lightning makes this one of that one.
                raise error.__context__ from None
            raise
        finally:
            own_signals.restore()
        if not trainer.should_stop:  # Lightning takes a StopIteration for the end of the data.
            done, steps = module.steps, module.training_config.steps
            raise RuntimeError(f"StopIteration was raised after {done} of {steps} steps, by the cell or by the task")


def _measure(module: TrainingModule, device: str) -> dict[str, float]:
    """Return every metric of a finished training. Afterwards, the model has its best weights."""
    config, model = module.training_config, module.model
    metrics = _evaluate_splits(module, device)
    is_solved = module.solved_step is not None and not module.diverged
    return {
        **metrics,
        "objective": _objective(metrics["validation_skill"], module.solved_step if is_solved else None, config),
        "steps": module.steps,
        "best_step": module.best_step,
        "solved": float(is_solved),
        "steps_to_solve": float(module.solved_step) if is_solved and module.solved_step is not None else math.nan,
        "chance": module.data.task.chance,
        "diverged": float(module.diverged),
        "pruned": float(module.pruned),
        **_gradient_norms(module),
        "parameters": parameter_count(model),
        "frozen_parameters": frozen_count(model),
        **_state_sizes(module),
        "training_seconds": module.training_seconds,
        "validation_seconds": module.validation_seconds,
        "sequences_per_second": module.steps * config.batch_size / module.training_seconds,
    }


def _state_sizes(module: TrainingModule) -> dict[str, float]:
    """Return the size of the state after the longest training sequence, and of each test length if it grows.

    There is none for a layer without a step.
    """
    task = module.data.config
    size = state_size(module.model, module.data.steps(task.longest))
    if size is None:
        return {}
    sizes: dict[str, float] = {"state_size": size.numbers}
    if grows(module.model.initial_state(1)):
        sizes["state_growth"] = size.growth
        for length in task.test_lengths:
            longer = state_size(module.model, module.data.steps(length))
            assert longer is not None
            sizes[f"state_size_at_length_{length}"] = longer.numbers
    return sizes


def _evaluate_splits(module: TrainingModule, device: str) -> dict[str, float]:
    """Evaluate the final and the best weights on each split, and the best ones on each further test length."""
    model, data, config, task = module.model, module.data, module.training_config, module.data.task
    model.eval()
    samples = {
        "train": data.train_sample(config.validation_size),
        "validation": module.validation_set,
        "test": data.held_out("test", config.test_size),
    }
    validated = dict(module.curves)
    metrics: dict[str, float] = {}
    # In the end, these are the longest test sequences, and what the net with its best weights answers to them.
    tested: list[Batch] = []
    outputs: list[torch.Tensor] = []
    for prefix, weights, step in (("final_", None, module.steps), ("", module.best_weights, module.best_step)):
        if weights is not None:
            model.load_state_dict(weights)
        is_evaluated = not prefix and step == module.steps  # The final weights are the best ones.
        for split, batches in samples.items():
            names = [f"{split}_{measure}" for measure in MEASURES]
            if is_evaluated:
                values = [metrics[f"final_{name}"] for name in names]
            elif split == "validation" and step in validated:  # These weights were validated during the training.
                values = [validated[step].get(f"validation/{measure}", math.nan) for measure in MEASURES]
            else:
                tested = [batch.to(device) for batch in batches]  # The test comes last.
                outputs = answers(model, tested)
                values = list(judged(task, outputs, tested)[:3])
            metrics.update({f"{prefix}{name}": value for name, value in zip(names, values, strict=True)})
        metrics[f"{prefix}gap_loss"] = metrics[f"{prefix}test_loss"] - metrics[f"{prefix}train_loss"]
        metrics[f"{prefix}gap_skill"] = metrics[f"{prefix}train_skill"] - metrics[f"{prefix}test_skill"]
    for length in sorted(data.config.test_lengths):
        tested = [data.sample("test", config.test_size, length).to(device)]
        outputs = answers(model, tested)
        result = judged(task, outputs, tested)
        metrics.update({f"score_at_length_{length}": result.score, f"skill_at_length_{length}": result.skill})
    if not module.diverged:
        metrics.update(by_lag(task, outputs, tested))
    if module.diverged:  # A diverged run remembers nothing, whatever it could do before. Its losses stay as measured.
        metrics.update({name: 0.0 for name in metrics if "skill" in name})
    return metrics


def _gradient_norms(module: TrainingModule) -> dict[str, float]:
    """Return the quantiles of the gradient norms before clipping, and the share of them that were clipped."""
    norms = torch.stack(module.norms).double().cpu()
    is_finite = norms.isfinite()
    finite_norms = norms[is_finite] if is_finite.any() else norms.new_full((1,), math.nan)
    p50, p90, p99 = finite_norms.quantile(torch.tensor([0.5, 0.9, 0.99], dtype=torch.double)).tolist()
    return {
        "gradient_norm_p50": p50,
        "gradient_norm_p90": p90,
        "gradient_norm_p99": p99,
        "gradient_norm_max": finite_norms.max().item(),
        "gradient_norm_nonfinite": float((~is_finite).sum()),
        "clip_fraction": (norms > module.training_config.clip).double().mean().item(),
    }


def _objective(skill: float, solved_step: int | None, config: Training) -> float:
    """Return the objective that a sweep maximises: the skill on validation.

    Where solving the task ends the run, a run that solves it has an objective above 1, which is higher for fewer steps.
    """
    if solved_step is None or not config.stop_when_solved:
        return skill
    return 1.0 + (1.0 - solved_step / config.steps)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence the remarks of Lightning on loggers, workers and devices, which concern its own training loop."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        try:
            yield
        finally:
            logger.setLevel(level)
