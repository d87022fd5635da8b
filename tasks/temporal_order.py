"""Temporal order: answer in which order a few important symbols came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks._base import Batch, Task

DISTRACTORS, X, BEGIN, END, PADDING = 4, 4, 6, 7, 8
"""The symbols are four distractors a to d, then X, Y, the first symbol E and the last symbol B of the source.
The padding after B is shown as zeros."""
STRETCHES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
"""The stretches in which the important symbols stand, in percent of the length, as published for a length of 100."""


@dataclass(frozen=True)
class TemporalOrder(Task):
    """Answer in which order X and Y came, among many distractors and long ago.

    A sequence begins with E, ends with B, and shows a distractor at all other steps but for two (``symbols = 2``, which
    is 6a of the source) or three (``symbols = 3``, 6b). These hold X or Y, drawn independently. The answer at B is one
    of the 4 or 8 orders. With ``length = 10``::

        inputs    E X c a d Y b b a c B
        target                        XY      (scored at B only)

    ``length`` is the number of steps L before B may come. B stands at any step from L to 1.1 L, so the sequences of a
    batch differ in length, and the steps after B are zeros. The important symbols stand at random in the stretches from
    0.1 L to 0.2 L and from 0.5 L to 0.6 L (in 6b 0.1 to 0.2, 0.33 to 0.43 and 0.66 to 0.76).

    Source: Hochreiter & Schmidhuber 1997, experiments 6a and 6b (L = 100). Their LSTM solved 6a in 31,390 sequences and
    6b in 571,100.

    The score is the accuracy, with a chance of 1/4 or 1/8. The task is solved when it exceeds 0.99.
    """

    symbols: Literal[2, 3] = 2

    solved_at: ClassVar[float] = 0.99

    def __post_init__(self) -> None:
        if self.symbols not in STRETCHES:
            raise ValueError(f"symbols must be 2 (experiment 6a) or 3 (6b); got {self.symbols}")

    @property
    def input_size(self) -> int:
        return END + 1

    @property
    def output_size(self) -> int:
        return 2**self.symbols

    @property
    def chance(self) -> float:
        return 1 / self.output_size

    @property
    def shortest(self) -> int:
        """The smallest length in which no two stretches meet and none begins before the second step."""
        return 10

    def delay(self, length: int) -> int:
        """The distance from the first important symbol to the last possible B."""
        return length + length // 10 - self._stretches(length)[0][0]

    def _stretches(self, length: int) -> list[tuple[int, int]]:
        """Return the first and the last step of each stretch, counted from 0."""
        return [(length * low // 100, length * high // 100) for low, high in STRETCHES[self.symbols]]

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        def between(low: int, high: int) -> Tensor:
            return torch.randint(low, high + 1, (batch_size, 1), generator=generator)

        end = between(length, length + length // 10)
        steps = torch.arange(length + length // 10 + 1)
        tokens = torch.randint(DISTRACTORS, (batch_size, len(steps)), generator=generator)
        places = torch.cat([between(low, high) for low, high in self._stretches(length)], dim=1)
        which = torch.randint(2, places.shape, generator=generator)
        tokens.scatter_(1, places, X + which)
        tokens[:, 0] = BEGIN
        tokens.scatter_(1, end, END)
        tokens[steps > end] = PADDING
        order = (which << torch.arange(self.symbols).flip(0)).sum(1, keepdim=True)
        mask = steps == end
        return Batch(F.embedding(tokens, torch.eye(PADDING + 1, PADDING)), order.where(mask, 0), mask)
