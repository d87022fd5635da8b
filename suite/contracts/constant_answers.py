"""The best constant answer to a task: what a model can score that ignores everything it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean, stdev

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks import Batch, Task

BATCH = 64
"""The number of sequences in a batch."""
FEWEST_BATCHES, MOST_BATCHES = 8, 32
"""So many batches are drawn, of which every second one is answered."""
LARGEST_BATCH = 1 << 21
"""A batch of long sequences has fewer, so that it holds no more numbers than this."""
NUMBERS = 1 << 23
"""Fewer batches are drawn if together they would hold more numbers than this."""
LEANING = 10
"""A step at which few answers were seen leans on the mean of all steps, as if that had been seen this often."""


def batch_size(task: Task, length: int) -> int:
    """Return the number of sequences in a batch that is quickly drawn, at least four."""
    return max(4, min(BATCH, LARGEST_BATCH // (length * (task.input_size + task.output_size))))


def constant_scores(task: Task, length: int) -> tuple[float, float]:
    """Return the mean score of the best constant answer, and its standard error.

    The answer of each step is fitted to one half of some batches and scored on the other half.
    """
    batches = list(_batches(task, length))
    answer = _best_constant(task, batches[::2])
    scores = [float(task.score(answer.expand(len(batch.inputs), -1, -1), batch)) for batch in batches[1::2]]
    return fmean(scores), stdev(scores) / len(scores) ** 0.5


def _batches(task: Task, length: int) -> Iterator[Batch]:
    """Draw an even number of batches, which depends on the size of the task alone."""
    generator = torch.Generator().manual_seed(0)
    size = batch_size(task, length)
    affordable = NUMBERS // (size * length * (task.input_size + task.output_size))
    for _ in range(2 * (min(MOST_BATCHES, max(FEWEST_BATCHES, affordable)) // 2)):
        yield task.sample(size, length, generator)


def _best_constant(task: Task, batches: list[Batch]) -> Tensor:
    """Return the mean target of each step, or its most frequent class as logits: ``[time, output_size]``."""
    is_class = batches[0].targets.dtype == torch.int64
    sums, counts = torch.zeros(1), torch.zeros(1)
    for batch in batches:
        scored = batch.mask.unsqueeze(2)
        targets = batch.targets
        if is_class:
            targets = F.one_hot(targets.where(batch.mask, 0), task.output_size).float()
        sums = sums + targets.where(scored, 0.0).sum(0)
        counts = counts + scored.sum(0)
    mean = (sums + LEANING * sums.sum(0) / counts.sum()) / (counts + LEANING)
    return 50.0 * F.one_hot(mean.argmax(1), task.output_size).float() if is_class else mean
