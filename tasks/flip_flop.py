"""Flip-flop: one bit of memory, and long stretches in which nothing happens to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks._base import Batch, Task

WRITE, READ, IGNORE = range(3)
SHOWN = torch.tensor(
    [
        [1.0, 0.0, 0.0, 1.0, 0.0],  # write 0
        [1.0, 0.0, 0.0, 0.0, 1.0],  # write 1
        [0.0, 1.0, 0.0, 0.0, 0.0],  # A read comes without a bit.
        [0.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 1.0, 0.0],  # ignore 0
        [0.0, 0.0, 1.0, 0.0, 1.0],  # ignore 1
    ]
)
"""The input of a step, in row 2 · instruction + bit."""
SPARSE = 0.98
"""The probability of an ignore in sparse sequences, as in the source."""


@dataclass(frozen=True)
class FlipFlop(Task):
    """Answer the bit that was written last.

    Each step shows an instruction. A write comes with the bit that is to be kept, an ignore with a bit that is to be
    forgotten, and a read with none, because the answer is the bit that was written last. With ``length = 8``, where w,
    i and r are the instructions::

        inputs    w1 i0 i1 r  w0 i1 r  r
        targets            1        0  0      (scored at every read)

    ``length`` is the number of instructions T, one per step. The first is a write and the last is a read. The others
    are an ignore with the probability ``ignore``, and otherwise a write or a read, which are equally likely.

    A net that answers nearly every read may still fail now and then, and a recurrent net that has learned the task does
    not. Such glitches are most frequent where reads are rare. The source trains at ``ignore = 0.8`` and T = 256
    instructions, and tests at 0.98 (sparse) and 0.1 (dense). With ``sparse_from``, sequences of at least so many
    instructions are sparse, so that a net is tested on them at the longer ``test_lengths`` alone.

    Source: Liu et al. 2023, their flip-flop language FFL(0.8). There instruction and bit are two tokens, and here they
    share a step.

    The score is the accuracy over the reads, with a chance of 1/2. The task is solved when it exceeds 0.99.
    """

    ignore: float = 0.8
    sparse_from: int | None = None

    solved_at: ClassVar[float] = 0.99

    def __post_init__(self) -> None:
        if not 0 <= self.ignore < 1:
            raise ValueError(f"ignore must be a probability from 0 to below 1; got {self.ignore}")
        if self.sparse_from is not None and self.sparse_from < self.shortest:
            raise ValueError(f"sparse_from must be a number of instructions from 2 on; got {self.sparse_from}")

    @property
    def input_size(self) -> int:
        return 5  # the three instructions, and the two bits

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
        """The distance from the first step, which may be the only write, to the last."""
        return length - 1

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        is_sparse = self.sparse_from is not None and length >= self.sparse_from
        ignore = SPARSE if is_sparse else self.ignore
        drawn = torch.rand(batch_size, length, generator=generator)
        instructions = torch.where(drawn < ignore, IGNORE, (drawn < (1 + ignore) / 2).long())
        instructions[:, 0], instructions[:, -1] = WRITE, READ
        bits = torch.randint(2, (batch_size, length), generator=generator)
        mask = instructions == READ
        steps = torch.arange(length).expand(batch_size, -1)
        last_write = steps.where(instructions == WRITE, 0).cummax(1).values
        return Batch(F.embedding(2 * instructions + bits, SHOWN), bits.gather(1, last_write), mask)

    def lags(self, batch: Batch) -> Tensor:
        """The distance of each step from the last write: ``[batch, time]``, int64."""
        steps = torch.arange(batch.mask.shape[1]).expand(batch.mask.shape)
        return steps - steps.where(batch.inputs[:, :, WRITE] > 0, 0).cummax(1).values
