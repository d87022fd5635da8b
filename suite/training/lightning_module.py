"""The LightningModule: how a model learns a task, and how well it answers."""

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

from suite.data import Data
from suite.experiment.run_config import Training
from suite.model.sequence_model import SequenceModel
from suite.training.flat_parameters import FlatParameters
from tasks import Batch, Task

BLOCK = 20
"""Optimiser steps in one ``training_step``: Lightning's own work per call is then paid once in twenty steps."""
CHUNK = 256
"""Sequences evaluated at a time."""
KEPT = (
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
"""What a checkpoint keeps of a module, beside weights, optimiser and random numbers."""

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

    on_step: Callable[[int], None] = lambda step: None
    """After each block, with the number of optimiser steps done."""
    on_metrics: Callable[[int, dict[str, float]], None] = lambda step, metrics: None
    """After each validation, with the metrics of the curve at that step."""
    should_prune: Callable[[int, float], bool] = lambda step, skill: False
    """After each validation, with its skill: whether to stop an unpromising trial."""
    should_stop: Callable[[], bool] = lambda: False
    """After each block: whether to keep a checkpoint and end, to be taken up again later."""


class TrainingModule(pl.LightningModule):
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
        self.solved_step: int | None = None
        self.diverged = False
        self.pruned = False
        self.resumed: dict[str, Any] | None = None
        self.after_block: Callable[[TrainingModule], None] = lambda module: None

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on, and everything measured so far."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return {
            "weights": self.model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "norms": torch.stack(self.norms),
            "losses": torch.stack(self.losses) if self.losses else torch.empty(0),
            **{name: getattr(self, name) for name in KEPT},
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a `state`; call it before the training starts."""
        self.resumed = state
        for name in KEPT:
            setattr(self, name, state[name])
        self.norms, self.losses = list(state["norms"]), list(state["losses"])
        self.model.load_state_dict(state["weights"])
        for step, metrics in self.curves:  # so that whoever watches knows what an uninterrupted run would have told
            self.watcher.on_metrics(step, metrics)
            self.watcher.should_prune(step, metrics["validation/skill"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        config = self.training_config
        make: Any = type_of_optimizer[config.optimizer]
        options = {"fused": True} if config.optimizer != "rmsprop" else {"foreach": True}
        self.flat = FlatParameters(self.model)
        optimizer: torch.optim.Optimizer = make(
            [self.flat.values], lr=config.learning_rate, weight_decay=config.weight_decay, **options
        )
        if self.resumed is not None:
            optimizer.load_state_dict(self.resumed["optimizer"])
        return optimizer

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Zeros in place, whatever ``set_to_none`` says: the gradients are views of one vector."""
        self.flat.clear_gradient()

    def train_dataloader(self) -> DataLoader[Any]:
        """The steps of each block: at most ``BLOCK``, and none across a validation."""
        every, last = self.training_config.validate_every, self.training_config.steps
        ends = sorted({*range(every, last, every), last})
        spans = zip([0, *ends], ends, strict=False)
        blocks = [range(i, min(i + BLOCK, end)) for start, end in spans for i in range(start, end, BLOCK)]
        left = [block for block in blocks if block.start >= self.steps]
        return DataLoader(left, batch_size=None)  # type: ignore[arg-type]  # a list is a dataset

    def training_step(self, block: Sequence[int]) -> None:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        if self.resumed is not None:  # not before, for a data loader that starts draws a number
            torch.set_rng_state(self.resumed["random"])
            if self.resumed["random_cuda"] is not None and self.device.type == "cuda":
                torch.cuda.set_rng_state(self.resumed["random_cuda"], self.device)
            self.norms, self.losses = ([one.to(self.device) for one in kept] for kept in (self.norms, self.losses))
            self.resumed = None
        started = time.perf_counter()
        for step in block:
            batch = self.data.train_batch(step).to(self.device)
            outputs, _ = self.model(batch.inputs)
            loss = self.data.task.loss(outputs, batch)
            self.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.norms.append(self.flat.clip_gradient(self.training_config.clip))
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
        """Measure the validation split, keep the best weights, and decide whether to go on."""
        config, task = self.training_config, self.data.task
        self.model.eval()
        found = evaluate(self.model, task, self.validation_batch.to(self.device))
        self.model.train()
        self.diverged = self.diverged or not math.isfinite(found.loss)
        solved = not self.diverged and found.success > task.solved_at
        if solved and self.solved_step is None:
            self.solved_step = self.steps
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


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics that are finite numbers; a figure that does not exist is left out rather than made up."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
