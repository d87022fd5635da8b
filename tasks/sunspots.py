"""Forecast next year's sunspots."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

import torch

from tasks._base import Batch
from tasks._data_set import DataSet, Parts
from tasks._regression import Regression

TARGETS = 308
"""The number of years with a target, 1701 … 2008. The year 1700 is only an input."""
TRAIN, VALIDATION = TARGETS * 3 // 5, TARGETS * 4 // 5
"""The numbers of targets up to the end of the training part, 1884, and of the validation part, 1946."""


@dataclass(frozen=True)
class Sunspots(Regression, DataSet):
    """Forecast next year's number of sunspots from the years before (regression, 309 real years).

    Each step shows the number of one year and asks for the number of the next. This is an example with ``length = 4``,
    before scaling::

        year      1700  1701  1702  1703
        inputs       5    11    16    23
        targets     11    16    23    36      (scored at every step)

    ``length`` is the number of past years shown, and the examples are all windows of this many years. At step t the net
    has seen t + 1 of them.

    The parts follow one another in time: the targets of training are the years 1701–1884, those of validation
    1885–1946, and those of test 1947–2008. A window belongs to a part when all its targets do, so no year is the target
    of two parts. The first years of a window may be targets of the part before, because a forecaster knows the past.
    Values are scaled by the mean and the standard deviation of the *training* targets (44.9 and 35.2 spots).

    Source: statsmodels' ``sunspots`` (yearly, 1700–2008, from the National Geophysical Data Center).

    The score is 1 − MSE/V, floored at 0, where V is the variance of the scored targets, so the best constant scores 0
    in every part. V is 1 in training, 0.74 in validation and 2.25 in the test years, because the sun has become more
    active. A second baseline needs no memory either: persistence, which forecasts this year's number for the next,
    scores 0.60 on the test years and 0.56 on the validation years. The task is solved when the score exceeds 0.8. This
    lies between the linear autoregressions on two years (validation 0.79, test 0.81) and on nine years (0.83 and 0.86),
    both fitted to the training years.
    """

    package: ClassVar[str | None] = "statsmodels"
    solved_at: ClassVar[float] = 0.8

    @property
    def input_size(self) -> int:
        return 1

    @property
    def output_size(self) -> int:
        return 1

    @property
    def longest(self) -> int:
        """The number of targets in the smallest part, which then holds a single window."""
        return VALIDATION - TRAIN

    def delay(self, length: int) -> int:
        """The distance from the first year to the last answer. Nobody knows how much of this past is useful."""
        return length - 1

    def size(self, length: int) -> int:
        return TARGETS - length + 1

    def load(self, length: int) -> Batch:
        data = import_module("statsmodels.datasets.sunspots").load_pandas().data
        spots = torch.tensor(data["SUNACTIVITY"].to_numpy(), dtype=torch.float64)
        known = spots[1 : TRAIN + 1]
        scaled = ((spots - known.mean()) / known.std(correction=0)).float()
        windows = scaled.unfold(0, length, 1).unsqueeze(2)  # [years − length + 1, length, 1]
        inputs, targets = windows[:-1].contiguous(), windows[1:].contiguous()
        return Batch(inputs, targets, torch.ones(inputs.shape[:2], dtype=torch.bool))

    def parts(self, length: int) -> Parts:
        """Divide the windows by time. A part has every window whose targets all lie in its years."""
        ends = (TRAIN, VALIDATION, TARGETS)
        starts = (0, TRAIN, VALIDATION)
        return Parts(*(torch.arange(start, end - length + 1) for start, end in zip(starts, ends, strict=True)))
