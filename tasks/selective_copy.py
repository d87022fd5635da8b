"""Selective copying: keep the symbols and ignore the blanks between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tasks._base import Batch, Task, one_hot


@dataclass(frozen=True)
class SelectiveCopy(Task):
    """Keep symbols that are scattered among blanks, then reproduce them in order.

    A sequence has ``length`` = T steps, in which ``recalled`` symbols stand at random places and all other steps are
    blank. Then come as many recall markers, at which the symbols are the answer. It has T + ``recalled`` steps. With
    ``length = 8`` and ``recalled = 3``, where · is a blank and ! the marker::

        inputs    · c · · a · b ·  ! ! !
        targets                    c a b      (scored at the markers only)

    Copying itself needs no choice, because each symbol is answered at the same distance. Here the distances differ, so
    a net that does not look at its inputs cannot know which steps to keep. Every choice of places is equally likely,
    and the last symbol may be followed by blanks or by none.

    Source: Gu & Dao 2023, §4.1.1 (16 symbols recalled out of 16, T = 4096); the idea is Jing et al. 2019. Published
    accuracies at T = 4096: S4 0.183, Mamba 0.998.

    The score is the accuracy over the markers, with a chance of 1/``symbols``. The task is solved when it exceeds 0.99.
    """

    symbols: int = 16
    recalled: int = 16

    solved_at: ClassVar[float] = 0.99

    def __post_init__(self) -> None:
        if self.symbols < 2:
            raise ValueError(f"symbols must be at least 2; got {self.symbols}")
        if self.recalled < 1:
            raise ValueError(f"recalled must be at least 1; got {self.recalled}")

    @property
    def input_size(self) -> int:
        return self.symbols + 2  # the symbols, the blank, the recall marker

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def chance(self) -> float:
        return 1 / self.symbols

    @property
    def shortest(self) -> int:
        """The smallest length that has a step for each symbol."""
        return self.recalled

    def delay(self, length: int) -> int:
        """The distance from a symbol at the first step that it can have to its answer, which is T for each of them."""
        return length

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        blank, marker = self.symbols, self.symbols + 1
        shown = torch.randint(self.symbols, (batch_size, self.recalled), generator=generator)
        # The places of the largest of T random numbers are a random choice of places.
        places = torch.rand(batch_size, length, generator=generator).topk(self.recalled).indices.sort().values
        tokens = torch.full((batch_size, length + self.recalled), blank)
        tokens.scatter_(1, places, shown)
        tokens[:, length:] = marker

        targets = torch.zeros_like(tokens)
        targets[:, length:] = shown
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[:, length:] = True
        return Batch(one_hot(tokens, self.input_size), targets, mask)

    def lags(self, batch: Batch) -> Tensor:
        """The distance of each answer from its symbol: ``[batch, time]``, int64."""
        steps = torch.arange(batch.mask.shape[1])
        is_symbol = batch.inputs[:, :, : self.symbols].sum(2) > 0
        lags = torch.zeros_like(batch.targets)
        lags[batch.mask] = (steps.expand_as(lags)[batch.mask] - steps.expand_as(lags)[is_symbol]).long()
        return lags
