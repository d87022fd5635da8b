"""The adding problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tasks._base import Batch
from tasks._regression import Regression


@dataclass(frozen=True)
class Adding(Regression):
    """Add the two marked numbers of a long sequence (regression).

    Each step shows a value, uniform in [0, 1], and a mark. Two steps are marked, and the answer at the last step is the
    sum of the two marked values. With ``marks = "halves"``, the default, one step in each half is marked, and with
    ``marks = "anywhere"`` any two. With ``length = 6``::

        value   0.3  0.9  0.1  0.5  0.7  0.2
        mark    0    1    0    0    1    0
        target                           1.6      (scored at the last step only)

    ``length`` is the number of steps T. On average the first marked step lies 3T/4 steps before the answer, or 2T/3
    with marks anywhere. The two are different tasks, so compare published figures with care.

    Source: Hochreiter & Schmidhuber 1997, experiment 4, in the form of Le et al. 2015 (§4.1) and Arjovsky et al. 2016.
    Bai et al. 2018 mark any two steps: at T = 600, a squared error of 5.3e-5 for a GRU and 0.164 for an LSTM.

    The score is 1 − MSE/V, floored at 0, where V is the variance of the targets, so the best constant answer scores 0.
    In the long run V is 1/6, the variance of the sum of two independent uniform values. (The value 0.1767, which is
    widely copied, is wrong.) The task is solved when the MSE is below 0.01.
    """

    marks: Literal["halves", "anywhere"] = "halves"

    solved_at: ClassVar[float] = 1 - 0.01

    def __post_init__(self) -> None:
        if self.marks not in ("halves", "anywhere"):
            raise ValueError(f"marks must be 'halves' or 'anywhere'; got {self.marks!r}")

    @property
    def input_size(self) -> int:
        return 2

    @property
    def output_size(self) -> int:
        return 1

    @property
    def shortest(self) -> int:
        return 2

    def delay(self, length: int) -> int:
        """The distance from the first step, which may be marked, to the last."""
        return length - 1

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        inputs = torch.zeros(batch_size, length, 2)
        inputs[:, :, 0] = torch.rand(batch_size, length, generator=generator)
        rows = torch.arange(batch_size)
        if self.marks == "halves":
            half = length // 2
            first = torch.randint(half, (batch_size,), generator=generator)
            second = torch.randint(half, length, (batch_size,), generator=generator)
        else:
            first = torch.randint(length, (batch_size,), generator=generator)
            second = (first + torch.randint(1, length, (batch_size,), generator=generator)) % length
        inputs[rows, first, 1] = 1.0
        inputs[rows, second, 1] = 1.0

        targets = torch.zeros(batch_size, length, 1)
        targets[:, -1, 0] = inputs[rows, first, 0] + inputs[rows, second, 0]
        mask = torch.zeros(batch_size, length, dtype=torch.bool)
        mask[:, -1] = True
        return Batch(inputs, targets, mask)

    def success(self, outputs: Tensor, batch: Batch) -> float:
        """Return 1 − MSE, floored at 0."""
        return max(0.0, 1.0 - self.loss(outputs.double(), batch).item())
