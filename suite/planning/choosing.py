"""The rules that choose the better of two runs, and the best of the finalists; always on validation data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import fmean


def best_first(
    metrics: Mapping[str, float | None], number: int, measure: str = "objective"
) -> tuple[bool, float, float, int]:
    """Return a key by which runs are sorted, the best first.

    A run that was pruned comes after all that were not. Then the higher ``measure`` wins, then the lower validation
    loss, then the lower number.

    Args:
        metrics: the metrics of the run, ``measure`` among them.
        number: the number of the trial, or the seed.
        measure: ``"objective"`` or ``"validation_skill"``.
    """
    value, loss = metrics[measure], metrics.get("validation_loss")
    assert value is not None, f"every run has a {measure}"
    return bool(metrics.get("pruned")), -value, math.inf if loss is None else loss, number


def mean_objective(runs: Iterable[Mapping[str, float]]) -> float:
    """Return the mean objective of a finalist from the metrics of its runs; the highest wins."""
    return fmean(metrics["objective"] for metrics in runs)
