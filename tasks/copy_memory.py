"""The copy-memory problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks._base import Batch, Task, one_hot


@dataclass(frozen=True)
class CopyMemory(Task):
    """Keep ten symbols across a delay, then reproduce them in order.

    A sequence shows ten symbols out of an alphabet of eight, then ``length`` = T blanks of which the last is the recall
    marker, and then ten more blanks, during which the ten symbols are the answer. It has T + 20 steps. This is an
    example of T = 4 with three symbols instead of ten, where · is a blank and ! the marker::

        inputs    c a b  · · · !  · · ·
        targets   · · ·  · · · ·  c a b      (scored over the last three only)

    ``length`` is T, the number of steps between the last symbol and the first step of the answer. With ``variable``
    each sequence has a delay of its own, drawn uniformly from 1, …, T. The marker and the answer then come earlier, and
    blanks follow them.

    Sources: Hochreiter & Schmidhuber 1997, in exactly the form of Arjovsky et al. 2016, §5.1; Tallec &
    Ollivier 2018 (variable delays).

    The loss is the cross-entropy over *all* T + 20 steps, as published, which is 10·ln 8 / (T + 20) without memory. The
    score is the accuracy over the *ten* steps of the answer alone, with a chance of 1/8, because over all steps
    "always blank" would score 99 % at T = 1000. The task is solved when the score exceeds 0.99.
    """

    variable: bool = False

    symbols: ClassVar[int] = 8
    recalled: ClassVar[int] = 10
    solved_at: ClassVar[float] = 0.99

    @property
    def input_size(self) -> int:
        return self.symbols + 2  # the symbols, the blank, the recall marker

    @property
    def output_size(self) -> int:
        return self.symbols + 1  # the symbols and the blank

    @property
    def chance(self) -> float:
        return 1 / self.symbols

    def delay(self, length: int) -> int:
        """The distance from a symbol to its reproduction, or the longest that there may be."""
        return length + self.recalled

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        n, blank, marker = self.recalled, self.symbols, self.symbols + 1
        shown = torch.randint(self.symbols, (batch_size, n), generator=generator)
        tokens = torch.full((batch_size, length + 2 * n), blank)
        tokens[:, :n] = shown
        if self.variable:
            delays = torch.randint(1, length + 1, (batch_size, 1), generator=generator)
        else:
            delays = torch.full((batch_size, 1), length)
        tokens.scatter_(1, delays + n - 1, marker)

        answers = delays + n + torch.arange(n)
        targets = torch.full_like(tokens, blank).scatter_(1, answers, shown)
        mask = torch.zeros_like(tokens, dtype=torch.bool).scatter_(1, answers, True)
        return Batch(one_hot(tokens, self.input_size), targets, mask)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean cross-entropy over every step, blanks included, in nats."""
        return F.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten())
