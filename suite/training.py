"""One run: a RunConfig in, its metrics out."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from suite.config import RunConfig, Training, derived_seed
from suite.data import Data
from suite.memory import PeakMemory
from suite.model import SequenceModel, build_model, parameter_count, state_size
from tasks import Batch, Task

BLOCK = 20
"""Optimiser steps in one ``training_step``: Lightning's own work per call is then paid once in twenty steps."""
CHUNK = 256
"""Sequences evaluated at a time."""

type_of_optimizer = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}


class Evaluation(NamedTuple):
    """How well a model answers."""

    loss: float
    score: float
    skill: float
    success: float


@torch.no_grad()
def evaluate(model: nn.Module, task: Task, batch: Batch) -> Evaluation:
    """Loss, score, skill and success of ``model`` on all sequences of ``batch`` together."""
    outputs = torch.cat([model(inputs)[0] for inputs in torch.split(batch.inputs, CHUNK)])
    score = task.score(outputs, batch)
    return Evaluation(task.loss(outputs, batch).item(), score, task.skill(score), task.success(outputs, batch))


@dataclass
class Watcher:
    """What somebody may want to know while a run is under way; each call returns at once."""

    on_progress: Callable[[int], None] = lambda step: None
    """After each block, with the number of optimiser steps done."""
    on_metrics: Callable[[int, dict[str, float]], None] = lambda step, metrics: None
    """After each validation, with the metrics of the curve at that step."""
    should_prune: Callable[[int, float], bool] = lambda step, skill: False
    """After each validation, with its skill: whether to stop an unpromising trial."""


@dataclass
class Result:
    """What a run measured."""

    metrics: dict[str, float]
    """One number each, by name; a figure that does not exist (steps to solve, when never solved) is absent."""
    curves: list[tuple[int, dict[str, float]]]
    """(step, metrics) at each validation."""
    model: SequenceModel
    """The model at its best validation point."""


class MemoryModule(pl.LightningModule):
    """Trains a model on a task by Lightning's manual optimisation, a block of steps at a time.

    Divergence (a loss that is not finite) ends the training and is an outcome. Gradient norms are those before
    clipping.
    """

    def __init__(self, model: SequenceModel, data: Data, training: Training, watcher: Watcher) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.data = data
        self.training_config = training
        self.watcher = watcher
        self.validation_batch = data.sample("validation", training.validation_size)

        self.steps = 0
        self.training_seconds = 0.0
        self.validation_seconds = 0.0
        self.losses: list[Tensor] = []  # since the last validation
        self.norms: list[Tensor] = []  # of the whole run
        self.curves: list[tuple[int, dict[str, float]]] = []
        self.best_step = 0
        self.best_loss = math.inf
        self.best_weights = _copy(model)
        self.solved_at: int | None = None
        self.diverged = False
        self.pruned = False

    def configure_optimizers(self) -> torch.optim.Optimizer:
        config = self.training_config
        make: Any = type_of_optimizer[config.optimizer]
        options = {"fused": True} if config.optimizer != "rmsprop" else {"foreach": True}
        optimizer: torch.optim.Optimizer = make(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, **options
        )
        return optimizer

    def train_dataloader(self) -> DataLoader[Any]:
        """The steps of each block: at most ``BLOCK``, and none across a validation."""
        every, last = self.training_config.validate_every, self.training_config.steps
        ends = sorted({*range(every, last, every), last})
        spans = zip([0, *ends], ends, strict=False)
        blocks = [range(i, min(i + BLOCK, end)) for start, end in spans for i in range(start, end, BLOCK)]
        return DataLoader(blocks, batch_size=None)  # type: ignore[arg-type]  # a list is a dataset

    def training_step(self, block: Sequence[int]) -> None:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        started = time.perf_counter()
        for step in block:
            batch = self.data.train_batch(step).to(self.device)
            outputs, _ = self.model(batch.inputs)
            loss = self.data.task.loss(outputs, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.norms.append(clip_gradient(self.model, self.training_config.clip))
            optimizer.step()
            self.losses.append(loss.detach())
        self.diverged = not math.isfinite(self.losses[-1].item())
        self.training_seconds += time.perf_counter() - started
        self.steps = block[-1] + 1

    def on_train_batch_end(self, outputs: Any, batch: Sequence[int], batch_idx: int) -> None:
        config = self.training_config
        if self.diverged or self.steps % config.validate_every == 0 or self.steps == config.steps:
            started = time.perf_counter()
            self.validate()
            self.validation_seconds += time.perf_counter() - started
        self.watcher.on_progress(self.steps)

    def validate(self) -> None:
        """Measure the validation split, keep the best weights, and decide whether to go on."""
        config, task = self.training_config, self.data.task
        self.model.eval()
        found = evaluate(self.model, task, self.validation_batch.to(self.device))
        self.model.train()
        self.diverged = self.diverged or not math.isfinite(found.loss)
        solved = not self.diverged and found.success > task.solved_at
        if solved and self.solved_at is None:
            self.solved_at = self.steps
        stop_here = solved and config.stop_when_solved
        if not self.diverged and (found.loss < self.best_loss or stop_here):
            self.best_step, self.best_loss, self.best_weights = self.steps, found.loss, _copy(self.model)
        recent = torch.stack(self.norms[-len(self.losses) :])
        metrics = finite(
            {
                "train/loss": torch.stack(self.losses).mean().item(),
                "train/gradient_norm": recent.median().item(),
                "validation/loss": found.loss,
                "validation/score": found.score,
                "validation/skill": 0.0 if self.diverged else found.skill,
            }
        )
        self.losses.clear()
        self.curves.append((self.steps, metrics))
        self.watcher.on_metrics(self.steps, metrics)
        last = self.steps == config.steps or stop_here or self.diverged
        if not last and self.watcher.should_prune(self.steps, metrics["validation/skill"]):
            self.pruned = True
        if last or self.pruned:
            self.trainer.should_stop = True


def clip_gradient(model: nn.Module, threshold: float) -> Tensor:
    """Scale the gradient to the norm ``threshold`` if it is longer; returns its norm before (a scalar).

    Source: Pascanu, Mikolov & Bengio 2013, §3.2.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if threshold < math.inf:
        nn.utils.clip_grads_with_norm_(model.parameters(), threshold, norm)
    return norm


def train(config: RunConfig, watcher: Watcher | None = None, device: str = "cpu", threads: int = 1) -> Result:
    """Train and test one configuration.

    The result depends on ``config`` alone (and, in the last bits, on machine, library versions and ``threads``).

    Args:
        config: what to train on what, and how.
        watcher: is told of the progress and may prune.
        device: ``"cpu"`` or ``"cuda"``.
        threads: threads inside one operation; one is the fastest at these sizes, and leaves the other cores to others.
    """
    with _threads(threads), torch.random.fork_rng(), PeakMemory(device) as memory:
        torch.manual_seed(derived_seed("training", config.seed))  # for cells that draw, as dropout does
        started = time.perf_counter()
        data = Data(config.task, config.seed, config.training.batch_size)
        model = build_model(
            config.model.architecture,
            config.model.options,
            data.task.input_size,
            config.model.hidden_size,
            data.task.output_size,
            depth=config.model.depth,
            bidirectional=config.model.bidirectional,
            seed=derived_seed("weights", config.seed),
        )
        _compile(model, data)
        module = MemoryModule(model, data, config.training, watcher or Watcher())
        _fit(module, device)
        model.to(device)
        testing = time.perf_counter()
        metrics = _test(module, device)
        metrics["testing_seconds"] = time.perf_counter() - testing
        metrics["wall_seconds"] = time.perf_counter() - started
    metrics["peak_memory_mb"] = memory.peak_mb
    return Result(finite(metrics), module.curves, model)


def _compile(model: SequenceModel, data: Data) -> None:
    """One pass forward and back, so that compiling kernels is not charged to the throughput."""
    outputs, _ = model(data.sample("train", 2).inputs)
    outputs.sum().backward()
    model.zero_grad(set_to_none=True)


def _fit(module: MemoryModule, device: str) -> None:
    with _quiet_lightning():
        trainer = pl.Trainer(
            accelerator="gpu" if device == "cuda" else device,
            devices=1,
            max_epochs=1,
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


def _test(module: MemoryModule, device: str) -> dict[str, float]:
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
    solved = module.solved_at is not None and not module.diverged
    return {
        **metrics,
        "objective": _objective(metrics["validation_skill"], module.solved_at if solved else None, config),
        "steps": module.steps,
        "best_step": module.best_step,
        "solved": float(solved),
        "steps_to_solve": float(module.solved_at) if solved and module.solved_at is not None else math.nan,
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


def _objective(skill: float, solved_at: int | None, config: Training) -> float:
    """What a sweep maximises, on validation: the skill; where solving stops the run, the earlier the better."""
    if solved_at is None or not config.stop_when_solved:
        return skill
    return 1.0 + (1.0 - solved_at / config.steps)


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics that are finite numbers; a figure that does not exist is left out rather than made up."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
