"""Measure the time between two spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tasks._base import Batch, Task


@dataclass(frozen=True)
class SpikeDelay(Task):
    """Answer at each spike how many steps ago the spike before it was, to the step.

    Spikes come at intervals drawn uniformly from ``gap``, ``gap`` + 1, …, ``gap`` + ``choices`` − 1, with silence
    between them. With ``gap = 2``, ``choices = 3`` (intervals of 2, 3 and 4 steps) and ``length = 12``::

        inputs    · | · · · | · | · · | ·
        targets             4   2     3        (scored at spikes from step 4 on; shown as intervals, given as 2 0 1)

    ``length`` is the number of steps. The right class is the interval less ``gap``. Sequences are cut from an endless
    train of spikes, so every step is equally likely to have a spike. A spike is scored wherever the one before it must
    be in view, which is from step ``gap`` + ``choices`` − 1 on. Neither the place nor the number of spikes says
    anything about an interval.

    For example, ``gap = 49, choices = 2`` asks whether spikes are 49 or 50 steps apart.

    Source: the task follows the measuring of spike delays (MSD) in Gers, Schraudolph & Schmidhuber 2002. This
    definition is memspan's own.

    The score is the accuracy over the scored spikes, with a chance of 1/``choices``. The task is solved when it
    exceeds 0.95.
    """

    gap: int = 10
    choices: int = 5

    solved_at: ClassVar[float] = 0.95

    def __post_init__(self) -> None:
        if self.gap < 1:
            raise ValueError(f"gap must be at least 1; got {self.gap}")
        if self.choices < 2:
            raise ValueError(f"choices must be at least 2; got {self.choices}")

    @property
    def input_size(self) -> int:
        return 1

    @property
    def output_size(self) -> int:
        return self.choices

    @property
    def chance(self) -> float:
        return 1 / self.choices

    @property
    def longest_interval(self) -> int:
        return self.gap + self.choices - 1

    @property
    def shortest(self) -> int:
        """The smallest length with enough scored steps to be sure of a spike among them."""
        return 2 * self.longest_interval

    def delay(self, length: int) -> int:
        """The longest interval."""
        return self.longest_interval

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        # In an endless train the probability of the first spike at step j is proportional to P(interval > j), and so to
        # the number of intervals beyond j.
        longer = torch.arange(self.longest_interval, 0, -1.0).clamp_(max=self.choices)
        first = longer.multinomial(batch_size, replacement=True, generator=generator).unsqueeze(1)
        intervals = torch.randint(self.choices, (batch_size, length // self.gap + 1), generator=generator)
        spikes = first + (intervals + self.gap).cumsum(1)
        spikes.clamp_(max=length)  # Step ``length`` is cut off below.
        inputs = torch.zeros(batch_size, length + 1)
        inputs.scatter_(1, torch.cat([first, spikes], dim=1), 1.0)
        targets = torch.zeros(batch_size, length + 1, dtype=torch.int64).scatter_(1, spikes, intervals)
        inputs, targets = inputs[:, :length].unsqueeze(2), targets[:, :length]
        mask = inputs.squeeze(2).bool()
        mask[:, : self.longest_interval] = False
        return Batch(inputs.contiguous(), targets.contiguous(), mask)
