"""Remember the first symbol, to be made into a task of your own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from memspan import Batch, Task, one_hot


@dataclass(frozen=True)
class MyTask(Task):
    """Answer, at the last step, the symbol of the first. ``length`` is the number of steps; with 5 of them::

        inputs    c a d d b
        target            c      (scored at the last step only)

    Source: a task of one's own. Score: accuracy, chance 1/``symbols``. Solved: above 0.95.
    """

    symbols: int = 4  # Every field is an option that an experiment can set, and a list of values makes levels.
    solved_at: ClassVar[float] = 0.95

    def __post_init__(self) -> None:
        if self.symbols < 2:
            raise ValueError(f"symbols must be at least 2; got {self.symbols}")

    @property
    def input_size(self) -> int:
        return self.symbols

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def chance(self) -> float:
        return 1 / self.symbols  # This is the best score of a model that remembers nothing.

    @property
    def shortest(self) -> int:
        return 2

    def delay(self, length: int) -> int:
        return length - 1

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        # Everything is drawn from this generator, so that every architecture sees the same data.
        symbols = torch.randint(self.symbols, (batch_size, length), generator=generator)
        mask = torch.zeros(batch_size, length, dtype=torch.bool)
        mask[:, -1] = True
        targets = symbols[:, :1].expand(-1, length).contiguous()
        return Batch(one_hot(symbols, self.symbols), targets, mask)
