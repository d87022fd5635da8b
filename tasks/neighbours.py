"""Compare the bit some steps before with the bit some steps after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tasks._base import Batch, Task, one_hot


@dataclass(frozen=True)
class Neighbours(Task):
    """Answer whether the bits on either side differ: y_t = x_{t−before} ⊕ x_{t+after}.

    Each step shows a random bit. With ``before = 1``, ``after = 2`` and ``length = 6``::

        inputs    1 0 0 1 1 0
        targets   – 0 1 0 – –      (scored where both neighbours exist)

    ``length`` is the number of steps. Either bit alone says nothing about the answer. A net that reads forwards and
    answers at once therefore stays at chance for ever, whereas a net that answers ``after`` steps late can know both
    bits. A bidirectional net needs two layers: the linear decoder of a single layer adds what each direction knows, and
    no sum is an exclusive or, so at most 3/4 of its answers can be right. For example, a bidirectional GRU (hidden size
    32, Adam 1e-2, one seed) on 20 steps of ``before = after = 1`` had solved the task by training step 100 with two
    layers, and was at chance after 600 with one.

    Source: this task is memspan's own, made for the claim that a bidirectional net uses the steps before and after.

    The score is the accuracy over the scored steps, with a chance of 1/2. The task is solved when it exceeds 0.95.
    """

    before: int = 3
    after: int = 3

    solved_at: ClassVar[float] = 0.95

    def __post_init__(self) -> None:
        for name, steps in (("before", self.before), ("after", self.after)):
            if steps < 1:
                raise ValueError(f"{name} must be at least 1; got {steps}")

    @property
    def input_size(self) -> int:
        return 2

    @property
    def output_size(self) -> int:
        return 2

    @property
    def chance(self) -> float:
        return 1 / 2

    @property
    def shortest(self) -> int:
        return self.before + self.after + 1

    def delay(self, length: int) -> int:
        """The distance that a bidirectional net has to bridge.

        A net that answers ``after`` steps late has to keep the earlier bit for ``before + after`` steps.
        """
        return max(self.before, self.after)

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        bits = torch.randint(2, (batch_size, length), generator=generator)
        first, last = self.before, length - self.after
        targets = torch.zeros_like(bits)
        targets[:, first:last] = bits[:, : last - first] ^ bits[:, first + self.after :]
        mask = torch.zeros_like(bits, dtype=torch.bool)
        mask[:, first:last] = True
        return Batch(one_hot(bits, 2), targets, mask)
