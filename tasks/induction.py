"""The induction heads task: answer what followed the prefix when it was seen before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tasks._base import Batch, Task, one_hot


@dataclass(frozen=True)
class Induction(Task):
    """Remember what followed a special symbol, and answer it when the special symbol comes again.

    All steps show random symbols, but for the prefix, which stands at one random step and again at the last. The answer
    is the symbol that followed it. With ``length = 8``, where ! is the prefix::

        inputs    c a ! d b a c !
        target                  d      (scored at the last step only)

    ``length`` is the number of steps T. The prefix first stands at any of the steps before the last two with equal
    probability, so its successor is never the prefix itself.

    Source: Olsson et al. 2022; Gu & Dao 2023, §4.1.2 (16 symbols, trained at T = 256 and tested up to 2^20).

    The score is the accuracy at the last step, with a chance of 1/``symbols``. The task is solved when it exceeds 0.99.
    """

    symbols: int = 16

    solved_at: ClassVar[float] = 0.99

    def __post_init__(self) -> None:
        if self.symbols < 2:
            raise ValueError(f"symbols must be at least 2; got {self.symbols}")

    @property
    def input_size(self) -> int:
        return self.symbols + 1  # the symbols and the prefix

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def chance(self) -> float:
        return 1 / self.symbols

    @property
    def shortest(self) -> int:
        return 3

    def delay(self, length: int) -> int:
        """The distance from the second step, where the first possible successor stands, to the last."""
        return length - 2

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        tokens = torch.randint(self.symbols, (batch_size, length), generator=generator)
        place = torch.randint(length - 2, (batch_size, 1), generator=generator)
        targets = torch.zeros_like(tokens)
        targets[:, -1:] = tokens.gather(1, place + 1)
        tokens.scatter_(1, place, self.symbols)
        tokens[:, -1] = self.symbols
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[:, -1] = True
        return Batch(one_hot(tokens, self.input_size), targets, mask)

    def lags(self, batch: Batch) -> Tensor:
        """The distance of each step from the successor that is asked for: ``[batch, time]``, int64."""
        successor = batch.inputs[:, :, self.symbols].argmax(1, keepdim=True) + 1
        return torch.arange(batch.mask.shape[1]) - successor
