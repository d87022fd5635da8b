"""The contract of a task, which shows a sequence, asks for an answer at some steps, and scores it."""

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
    """The input of each step: ``[batch, time, input_size]``, float."""
    targets: Tensor
    """The right answer at each step: ``[batch, time]`` (class, int64) or ``[batch, time, output_size]`` (float)."""
    mask: Tensor
    """True at the steps that are scored: ``[batch, time]``, bool."""

    def rows(self, index: slice | Tensor) -> Batch:
        """Select the sequences at ``index``, which is a slice or a tensor of positions."""
        return Batch(*(tensor[index] for tensor in self))

    def to(self, device: torch.device | str) -> Batch:
        return Batch(*(tensor.to(device) for tensor in self))


def one_hot(classes: Tensor, size: int) -> Tensor:
    """Turn classes ``[…]``, int64, into rows of the identity matrix ``[…, size]``, float."""
    return F.embedding(classes, torch.eye(size))


@dataclass(frozen=True)
class Task(ABC):
    """One thing to remember. Subclasses are frozen dataclasses, one per file, and their fields are the task's options.

    ``sample`` draws everything from the generator that it receives and touches no global state, so the same generator
    always gives the same batch. The docstring of each task says what ``length`` counts.

    This base class serves classification. `Regression` is the base of tasks whose answers are numbers.
    """

    solved_at: ClassVar[float]
    """The field's own criterion: a run has solved the task once ``success`` on the validation set exceeds this."""

    @property
    @abstractmethod
    def input_size(self) -> int:
        """The number of features per step in ``Batch.inputs``."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """The number of outputs that a model gives per step, which are logits in classification."""

    @property
    @abstractmethod
    def chance(self) -> float:
        """The best expected score of a model that remembers nothing."""

    @abstractmethod
    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        """Draw ``batch_size`` sequences of difficulty ``length``, which is at least ``shortest``."""

    @abstractmethod
    def delay(self, length: int) -> int:
        """The largest number of steps between an input and the answer that depends on it, at difficulty ``length``.

        An input further than this from a scored step never changes the target of that step.
        """

    @property
    def shortest(self) -> int:
        """The smallest ``length`` for which the task is defined."""
        return 1

    @property
    def longest(self) -> int | None:
        """The largest ``length`` for which the task is defined, or None if there is no limit."""
        return None

    def available(self, length: int) -> int | None:
        """The number of training sequences of difficulty ``length``, or None if new ones can be drawn for ever."""
        return None

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean cross-entropy over the scored steps, in nats: a scalar from ``[batch, time, output_size]``."""
        return F.cross_entropy(outputs[batch.mask], batch.targets[batch.mask])

    def score(self, outputs: Tensor, batch: Batch) -> float:
        """The accuracy over the scored steps, in [0, 1]."""
        right = outputs.argmax(-1) == batch.targets
        return right[batch.mask].double().mean().item()

    def success(self, outputs: Tensor, batch: Batch) -> float:
        """The quantity that ``solved_at`` is about. It is the score, unless the field uses another measure."""
        return self.score(outputs, batch)

    def skill(self, score: float) -> float:
        """Return (score − chance) / (1 − chance), floored at 0. On every task 0 remembers nothing and 1 is perfect."""
        return max(0.0, (score - self.chance) / (1.0 - self.chance))
