"""The contract of a regression task, whose answers are numbers. A constant answer remembers nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from tasks._base import Batch, Task


@dataclass(frozen=True)
class Regression(Task):
    """A task whose targets are numbers, ``[batch, time, output_size]``.

    The score is 1 − MSE/V, floored at 0, where V is the variance of the scored targets of the batch. The best constant
    answer therefore scores 0 on every batch, and a net that remembers nothing has no skill.
    """

    @property
    def chance(self) -> float:
        """The score of the best constant answer."""
        return 0.0

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean squared error over the scored steps: a scalar from ``[batch, time, output_size]``."""
        return F.mse_loss(outputs[batch.mask], batch.targets[batch.mask])

    def score(self, outputs: Tensor, batch: Batch) -> float:
        """Return 1 − MSE/V, floored at 0, where V is the variance of the scored targets."""
        variance = batch.targets[batch.mask].double().var(correction=0).clamp_min(1e-12).item()
        return max(0.0, 1.0 - self.loss(outputs.double(), batch).item() / variance)
