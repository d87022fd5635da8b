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
"""The years 1701 … 2008; 1700 is an input only."""
TRAIN, VALIDATION = TARGETS * 3 // 5, TARGETS * 4 // 5
"""Where the targets of the training and of the validation part end: after 1884 and after 1946."""


@dataclass(frozen=True)
class Sunspots(Regression, DataSet):
    """Forecast next year's number of sunspots from the years before (regression, 309 real years).

    Each step shows the number of one year and asks for that of the next. An example with ``length = 4``, before
    scaling::

        year      1700  1701  1702  1703
        inputs       5    11    16    23
        targets     11    16    23    36      (scored at every step)

    ``length`` is the number of past years shown; the examples are all windows of so many years. At step t the net has
    seen t + 1 of them.

    The parts follow one another in time: the targets 1701–1884 to train on, 1885–1946 to validate, 1947–2008 to test.
    A window belongs to a part when all its targets do, so no year is the target of two parts; the years that a window
    shows first may be targets of the part before, as the past is known to whoever forecasts. Values are scaled by the
    mean and the standard deviation of the *training* targets (44.9 and 35.2 spots).

    Source: statsmodels' ``sunspots`` (yearly, 1700–2008, from the National Geophysical Data Center).

    Score: 1 − MSE/V, floored at 0, where V is the variance of the targets that are scored, so that the best constant is
    at 0 in every part (V is 1 in training, 0.74 in validation and 2.25 in the test years: the sun has become more
    active). A second baseline needs no memory either: persistence, next year as this one, scores 0.60 on the test years
    (0.56 on the validation years). Solved: above 0.8, between the linear autoregressions fitted to the training years
    on two years (validation 0.79, test 0.82) and on nine (0.83 and 0.86).
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
        """The targets of the smallest part: one window is left in it."""
        return VALIDATION - TRAIN

    def delay(self, length: int) -> int:
        """From the first year shown to the last answer: how much of it is of use, nobody knows."""
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
        """By time: those windows whose targets are all years of the part."""
        ends = (TRAIN, VALIDATION, TARGETS)
        starts = (0, TRAIN, VALIDATION)
        return Parts(*(torch.arange(start, end - length + 1) for start, end in zip(starts, ends, strict=True)))
