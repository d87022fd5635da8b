"""The scores of a trained net by lag, where its task states lags, and otherwise by position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from suite.contracts.tasks import score_fault
from suite.errors import InputError, qualified_name
from tasks import Batch, Task

MOST_STEPS = 1 << 16
"""About the largest number of scored steps that are looked at in a batch, so that this takes little of a run."""
DIGITS = 4
"""The decimals of a score. They are those of one in ten thousand answers, and keep the record of a run small."""


def grid(longest: int) -> list[int]:
    """Return 1, 2, 3, 4, 6, 8, 12, 16, … up to ``longest``: two numbers in each octave."""
    numbers = sorted({1, *(2**i for i in range(1, 21)), *(3 * 2**i for i in range(20))})
    return [number for number in numbers if number <= max(1, longest)]


def by_lag(task: Task, outputs: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
    """Return the score at the scored steps of each lag, as ``score_at_lag_N`` or ``score_at_position_N``.

    A step counts at the number N of `grid` that is nearest to its lag by the logarithm. A task states lags by a method
    ``lags(batch)``, which gives the distance of each scored step from the farthest input that its answer depends on,
    ``[batch, time]``, int64, and at least 1. Without it, steps count by their position, and the first has position 1.
    Of a batch with very many scored steps, the first sequences count. There is nothing where all scored steps have one
    place.

    Args:
        task: the task.
        outputs: the answers of the net to each batch, ``[batch, time, output_size]``.
        batches: the batches.
    """
    enough = [slice(max(1, MOST_STEPS * len(batch.mask) // max(1, int(batch.mask.sum())))) for batch in batches]
    batches = [batch.rows(rows) for batch, rows in zip(batches, enough, strict=True)]
    outputs = [answer[rows] for answer, rows in zip(outputs, enough, strict=True)]
    stated = getattr(task, "lags", None)
    places = [
        _positions(batch) if stated is None else stated(batch.to("cpu")).to(batch.mask.device) for batch in batches
    ]
    ends = [int(place[batch.mask].max()) for place, batch in zip(places, batches, strict=True)]
    numbers = grid(max(ends))
    sums: dict[int, list[tuple[int, float]]] = {}
    for answer, batch, place in zip(outputs, batches, places, strict=True):
        nearest = _nearest(place, numbers)
        for i in sorted(set(nearest[batch.mask].tolist())):
            mask = batch.mask & (nearest == i)
            found = _score(task, answer, batch._replace(mask=mask), strict=stated is not None)
            if math.isfinite(found):
                sums.setdefault(numbers[i], []).append((int(mask.sum()), found))
    if len(sums) < 2:
        return {}
    name = "position" if stated is None else "lag"
    scores = {n: sum(c * score for c, score in parts) / sum(c for c, _ in parts) for n, parts in sorted(sums.items())}
    return {f"score_at_{name}_{n}": round(score, DIGITS) for n, score in scores.items()}


def _score(task: Task, outputs: Tensor, part: Batch, strict: bool) -> float:
    """Return the score at some of the scored steps; NaN if the task cannot score them alone and states no lags."""
    try:
        score = float(task.score(outputs, part))
    except Exception:
        if strict:
            raise
        return math.nan
    fault = score_fault(qualified_name(type(task)), score, task.skill(score), 0.0)
    if fault and strict and outputs.isfinite().all():
        raise InputError(fault)
    return math.nan if fault else score


def _positions(batch: Batch) -> Tensor:
    return torch.arange(1, batch.mask.shape[1] + 1, device=batch.mask.device).expand(batch.mask.shape)


def _nearest(places: Tensor, numbers: Sequence[int]) -> Tensor:
    """Return for each place which of some ascending numbers is nearest by the logarithm."""
    # Between a and b lies √(ab), from which on b is nearer.
    walls = torch.tensor([math.sqrt(a * b) for a, b in pairwise(numbers)], device=places.device)
    return torch.bucketize(places.float(), walls, right=True)
