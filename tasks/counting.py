"""Count the ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tasks._base import Batch
from tasks._regression import Regression


@dataclass(frozen=True)
class Counting(Regression):
    """Count the ones among random bits (regression).

    With ``length = 6`` the count has mean 3 and standard deviation √6/2 = 1.22::

        inputs    1 0 1 1 0 1
        target              (4 − 3) / 1.22 = 0.82      (scored at the last step only)

    ``length`` is the number of bits T. The target is the count less its mean T/2, divided by its standard deviation
    √T/2, so every length has the same baseline. The unit of the answer therefore depends on the length, and a net that
    counts right at one length is wrong at another.

    Source: this task is memspan's own. The cell of an LSTM can be a counter (Weiss, Goldberg & Yahav 2018).

    The score is 1 − MSE/V, floored at 0, where V is the variance of the targets (1 in the long run), so the best
    constant answer scores 0. The task is solved when the mean absolute error is below half a count, because rounding
    then mostly gives the count itself.
    """

    solved_at: ClassVar[float] = 0.5

    @property
    def input_size(self) -> int:
        return 1

    @property
    def output_size(self) -> int:
        return 1

    @property
    def shortest(self) -> int:
        """The smallest useful number of bits: with one or two, the best constant is off by only half a count."""
        return 3

    def delay(self, length: int) -> int:
        """The distance from the first bit to the answer."""
        return length - 1

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        bits = torch.randint(2, (batch_size, length, 1), generator=generator).float()
        targets = torch.zeros(batch_size, length, 1)
        targets[:, -1] = (bits.sum(1) - length / 2) / (math.sqrt(length) / 2)
        mask = torch.zeros(batch_size, length, dtype=torch.bool)
        mask[:, -1] = True
        return Batch(bits, targets, mask)

    def success(self, outputs: Tensor, batch: Batch) -> float:
        """Return 1 minus the mean absolute error in counts, floored at 0."""
        deviation = math.sqrt(batch.inputs.shape[1]) / 2
        error = (outputs[:, -1].double() - batch.targets[:, -1]).abs().mean().item() * deviation
        return max(0.0, 1.0 - error)
