"""The contract of a task: what is shown, what has to be answered, and how the answer is scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Batch(NamedTuple):
    """A batch of sequences, all of one length."""

    inputs: Tensor
    """What is shown: ``[batch, time, input_size]``, float."""
    targets: Tensor
    """What has to be answered at each step: ``[batch, time]`` (class, int64) or ``[batch, time, output_size]``."""
    mask: Tensor
    """The steps that are scored: ``[batch, time]``, bool."""

    def rows(self, index: slice | Tensor) -> Batch:
        """The sequences ``index`` of this batch (a slice or a tensor of positions)."""
        return Batch(*(tensor[index] for tensor in self))

    def to(self, device: torch.device | str) -> Batch:
        return Batch(*(tensor.to(device) for tensor in self))


def one_hot(classes: Tensor, size: int) -> Tensor:
    """The rows of the identity matrix that ``classes`` name: ``[…]``, int64, to ``[…, size]``, float."""
    return F.embedding(classes, torch.eye(size))


@dataclass(frozen=True)
class Task(ABC):
    """One thing to remember. Subclasses are frozen dataclasses, one per file; their fields are the task's options.

    ``sample`` draws everything from the generator it is given and touches no global state, so that the same generator
    always gives the same batch. What ``length`` counts is said in the docstring of each task.

    This base class serves classification; `Regression` is the one for tasks whose answers are numbers.
    """

    solved_at: ClassVar[float]
    """A run has solved the task once ``success`` on the validation set exceeds this (the field's own criterion)."""

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Features per step of ``Batch.inputs``."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Numbers a model must give per step (logits for classification)."""

    @property
    @abstractmethod
    def chance(self) -> float:
        """The best expected score of an answer that remembers nothing."""

    @abstractmethod
    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        """Draw ``batch_size`` sequences of difficulty ``length`` (at least ``shortest``)."""

    @abstractmethod
    def delay(self, length: int) -> int:
        """The most steps between what has to be remembered and its answer, at difficulty ``length``.

        No input further than this from a scored step changes the target of that step.
        """

    @property
    def shortest(self) -> int:
        """The smallest ``length`` for which the task is defined."""
        return 1

    @property
    def longest(self) -> int | None:
        """The largest ``length`` for which the task is defined; None where there is no limit."""
        return None

    def available(self, length: int) -> int | None:
        """How many training sequences of difficulty ``length`` there are; None where they are drawn without end."""
        return None

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy in nats, the mean over the scored steps: a scalar from ``[batch, time, output_size]``."""
        return F.cross_entropy(outputs[batch.mask], batch.targets[batch.mask])

    def score(self, outputs: Tensor, batch: Batch) -> float:
        """Accuracy over the scored steps, in [0, 1]."""
        right = outputs.argmax(-1) == batch.targets
        return right[batch.mask].double().mean().item()

    def success(self, outputs: Tensor, batch: Batch) -> float:
        """The quantity that the solved criterion is about: the score, unless the field uses another."""
        return self.score(outputs, batch)

    def skill(self, score: float) -> float:
        """``(score − chance) / (1 − chance)``, floored at 0: 0 remembers nothing, 1 is perfect, on every task."""
        return max(0.0, (score - self.chance) / (1.0 - self.chance))
