"""Delayed match to sample: tell whether a symbol is the one that was shown at the beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tasks._base import Batch, Task, one_hot


@dataclass(frozen=True)
class DelayedMatch(Task):
    """Keep a sample through a delay full of distractors, and say whether the probe at the end is the same symbol.

    The first step shows the sample and the last one the probe, each with a mark. The steps between them show random
    symbols without it, and the sample may be among them. The probe is the sample in half of the sequences, and another
    symbol in the rest. With ``length = 6``, where * is the mark::

        inputs    c* a d c b a*
        target             different      (scored at the last step only; given as 0, and "same" as 1)

    ``length`` is the number of steps. The delay from the sample to the probe is one less.

    Source: the delayed match-to-sample test of psychology (Blough 1959), as it is used for recurrent nets since Yang et
    al. 2019. This definition is memspan's own.

    The score is the accuracy, with a chance of 1/2. The task is solved when it exceeds 0.95.
    """

    symbols: int = 8

    solved_at: ClassVar[float] = 0.95

    def __post_init__(self) -> None:
        if self.symbols < 2:
            raise ValueError(f"symbols must be at least 2; got {self.symbols}")

    @property
    def input_size(self) -> int:
        return self.symbols + 1  # the symbols and the mark

    @property
    def output_size(self) -> int:
        return 2

    @property
    def chance(self) -> float:
        return 1 / 2

    @property
    def shortest(self) -> int:
        return 2

    def delay(self, length: int) -> int:
        """The distance from the sample to the probe."""
        return length - 1

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        tokens = torch.randint(self.symbols, (batch_size, length), generator=generator)
        matches = torch.randint(2, (batch_size,), generator=generator)
        away = torch.randint(1, self.symbols, (batch_size,), generator=generator)
        tokens[:, -1] = (tokens[:, 0] + away.where(matches == 0, 0)) % self.symbols
        marks = torch.zeros(batch_size, length, 1)
        marks[:, 0] = marks[:, -1] = 1.0
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[:, -1] = True
        targets = torch.zeros_like(tokens)
        targets[:, -1] = matches
        return Batch(torch.cat([one_hot(tokens, self.symbols), marks], dim=2), targets, mask)
