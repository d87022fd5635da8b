"""The LightningModule, which trains a model on a task and evaluates it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from suite.contracts.tasks import score_fault
from suite.data import Data
from suite.errors import InputError, qualified_name
from suite.experiment.run_config import Training
from suite.model.sequence_model import SequenceModel
from suite.training.flat_parameters import FlatParameters
from suite.training.optimizer import make_optimizer
from suite.training.schedule import learning_rate
from tasks import Batch, Task

BLOCK = 20
"""The number of optimiser steps in one ``training_step``, so that the overhead of Lightning counts once in 20 steps."""
CHUNK = 256
"""The number of sequences that are evaluated at a time."""
CHECKPOINTED = (
    "steps",
    "training_seconds",
    "validation_seconds",
    "curves",
    "best_step",
    "best_loss",
    "best_weights",
    "solved_step",
    "diverged",
)
"""The attributes of a module in a checkpoint, which also holds its weights, its optimiser and its random numbers."""


class EvaluationResult(NamedTuple):
    """The quality of the answers of a model."""

    loss: float
    score: float
    skill: float
    success: float


def evaluate(model: nn.Module, task: Task, batches: Sequence[Batch]) -> EvaluationResult:
    """Evaluate a model on all sequences of some batches, which may differ in their length.

    The loss, the score and the success of several batches are means over them, in which each sequence counts alike.

    Raises:
        InputError: if the outputs are finite, and a score of the task is none.
    """
    return judged(task, answers(model, batches), batches)


@torch.no_grad()
def answers(model: nn.Module, batches: Sequence[Batch]) -> list[Tensor]:
    """Return the outputs of a model for each batch, ``[batch, time, output_size]``."""
    return [torch.cat([model(inputs)[0] for inputs in torch.split(batch.inputs, CHUNK)]) for batch in batches]


def judged(task: Task, outputs: Sequence[Tensor], batches: Sequence[Batch]) -> EvaluationResult:
    """Return what the outputs of a model for some batches are worth, see `evaluate`."""
    results = [_judged(task, answer, batch) for answer, batch in zip(outputs, batches, strict=True)]
    if len(results) == 1:
        return results[0]
    sizes = [len(batch.inputs) for batch in batches]
    loss, score, success = (
        sum(size * value for size, value in zip(sizes, values, strict=True)) / sum(sizes)
        for values in zip(*((result.loss, result.score, result.success) for result in results), strict=True)
    )
    return EvaluationResult(loss, score, task.skill(score), success)


def _judged(task: Task, outputs: Tensor, batch: Batch) -> EvaluationResult:
    """Judge the outputs for all sequences of a batch together."""
    score = task.score(outputs, batch)
    result = EvaluationResult(task.loss(outputs, batch).item(), score, task.skill(score), task.success(outputs, batch))
    fault = score_fault(qualified_name(type(task)), result.score, result.skill, result.success)
    if fault and outputs.isfinite().all():
        raise InputError(fault)
    return result


@dataclass
class Watcher:
    """The functions that a training calls while it is under way. Each of them should return at once."""

    on_step: Callable[[int], None] = lambda step: None
    """It is called after each block, with the number of optimiser steps so far."""
    on_metrics: Callable[[int, dict[str, float]], None] = lambda step, metrics: None
    """It is called after each validation, with the step and its point of the learning curve."""
    should_prune: Callable[[int, float], bool] = lambda step, skill: False
    """It is called after each validation, with the step and the skill. True ends an unpromising trial."""
    should_stop: Callable[[], bool] = lambda: False
    """It is called after each block. True ends the training after a checkpoint, from which it can go on later."""
    on_note: Callable[[str], None] = lambda text: None
    """It is called with a sentence about something that changes no result, such as a checkpoint that is damaged."""


class TrainingModule(pl.LightningModule):
    """A model and its training on a task, by Lightning's manual optimisation, one block of steps at a time.

    A loss that is not finite means that the training has diverged. This ends the training and is a valid outcome.
    """

    def __init__(self, model: SequenceModel, data: Data, training: Training, watcher: Watcher) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.data = data
        self.training_config = training
        self.watcher = watcher
        self.validation_set = data.held_out("validation", training.validation_size)

        self.steps = 0
        self.training_seconds = 0.0
        self.validation_seconds = 0.0
        self.losses: list[Tensor] = []
        """The losses since the last validation."""
        self.norms: list[Tensor] = []
        """The norms of all gradients of the run, before clipping."""
        self.curves: list[tuple[int, dict[str, float]]] = []
        self.best_step = 0
        self.best_loss = math.inf
        self.best_weights = _copy(model)
        self.solved_step: int | None = None
        self.diverged = False
        self.pruned = False
        self.resumed: dict[str, Any] | None = None
        self.after_block: Callable[[TrainingModule], None] = lambda module: None

    def state(self) -> dict[str, Any]:
        """Return the state on which the rest of the training depends, with the measurements so far."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return {
            "weights": self.model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "norms": torch.stack(self.norms),
            "losses": torch.stack(self.losses) if self.losses else torch.empty(0),
            **{name: getattr(self, name) for name in CHECKPOINTED},
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a `state`. Call this before the training starts."""
        self.resumed = state
        for name in CHECKPOINTED:
            setattr(self, name, state[name])
        self.norms, self.losses = list(state["norms"]), list(state["losses"])
        self.model.load_state_dict(state["weights"])

    def tell_curves(self) -> None:
        """Tell the watcher of the validations so far, so that it knows as much as after an uninterrupted run."""
        for step, metrics in self.curves:
            self.watcher.on_metrics(step, metrics)
            self.watcher.should_prune(step, metrics["validation/skill"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.flat = FlatParameters(self.model)
        optimizer = make_optimizer(self.flat, self.training_config)
        if self.resumed is not None:
            optimizer.load_state_dict(self.resumed["optimizer"])
        return optimizer

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients to 0 in place, whatever ``set_to_none`` says, because they are views of one vector."""
        self.flat.clear_gradient()

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the steps of each block that is left. A block has at most ``BLOCK`` steps and ends at a validation."""
        every, last = self.training_config.validate_every, self.training_config.steps
        ends = sorted({*range(every, last, every), last})
        spans = zip([0, *ends], ends, strict=False)
        blocks = [range(i, min(i + BLOCK, end)) for start, end in spans for i in range(start, end, BLOCK)]
        remaining = [block for block in blocks if block.start >= self.steps]
        return DataLoader(remaining, batch_size=None)  # type: ignore[arg-type]  # A list is a dataset.

    def training_step(self, block: Sequence[int]) -> None:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        if self.resumed is not None:  # It is too early before, because a data loader draws a number when it starts.
            torch.set_rng_state(self.resumed["random"])
            if self.resumed["random_cuda"] is not None and self.device.type == "cuda":
                torch.cuda.set_rng_state(self.resumed["random_cuda"], self.device)
            self.norms = [norm.to(self.device) for norm in self.norms]
            self.losses = [loss.to(self.device) for loss in self.losses]
            self.resumed = None
        started = time.perf_counter()
        for step in block:
            batch = self.data.train_batch(step).to(self.device)
            outputs, _ = self.model(batch.inputs)
            loss = self.data.task.loss(outputs, batch)
            self.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.norms.append(self.flat.clip_gradient(self.training_config.clip))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, self.training_config)
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
        self.watcher.on_step(self.steps)
        self.after_block(self)

    def validate(self) -> None:
        """Evaluate the model on the validation split, keep the best weights, and decide whether to go on."""
        config, task = self.training_config, self.data.task
        self.model.eval()
        result = evaluate(self.model, task, [batch.to(self.device) for batch in self.validation_set])
        self.model.train()
        self.diverged = self.diverged or not math.isfinite(result.loss)
        solved = not self.diverged and result.success > task.solved_at
        if solved and self.solved_step is None:
            self.solved_step = self.steps
        stops_here = solved and config.stop_when_solved
        if not self.diverged and (result.loss < self.best_loss or stops_here):
            self.best_step, self.best_loss, self.best_weights = self.steps, result.loss, _copy(self.model)
        recent = torch.stack(self.norms[-len(self.losses) :])
        metrics = finite_metrics(
            {
                "train/loss": torch.stack(self.losses).mean().item(),
                "train/gradient_norm": recent.median().item(),
                "validation/loss": result.loss,
                "validation/score": result.score,
                "validation/skill": 0.0 if self.diverged else result.skill,
            }
        )
        self.losses.clear()
        self.curves.append((self.steps, metrics))
        self.watcher.on_metrics(self.steps, metrics)
        last = self.steps == config.steps or stops_here or self.diverged
        if not last and self.watcher.should_prune(self.steps, metrics["validation/skill"]):
            self.pruned = True
        if last or self.pruned:
            self.trainer.should_stop = True


def finite_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics that are finite numbers. A metric that does not exist is left out."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
