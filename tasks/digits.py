"""Handwritten digits, read as sequences."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, Literal

import torch

from tasks._base import Batch
from tasks._data_set import DataSet


@dataclass(frozen=True)
class Digits(DataSet):
    """Name the digit whose image has been shown piece by piece.

    The data are 1797 real images of 8 × 8 pixels, from 0 (paper) to 1 (ink). ``form = "rows"`` shows a row of eight
    pixels at each step. ``"pixels"`` shows one pixel at each step, row after row, and ``"permuted"`` shows the 64
    pixels in one fixed random order. This is a 7 by rows, with · for paper and # for ink::

        step      0         1         2        …  7
        inputs    ··####··  ······#·  ·····#··  …  ···#····
        target                                  7             (scored at the last step only)

    ``length`` is the number of steps. It must be 8 by rows and 64 in the other two forms.

    ``label_noise`` is the share of the training labels that are replaced by one of the nine others, at random. The
    other splits keep their labels, so a net can only learn the wrong ones by heart.

    Source: Alpaydin & Kaynak 1998, the test set of the UCI hand-written digits as scikit-learn ships it
    (``load_digits``). The division into splits is random, so every split has digits of all 13 writers.

    The score is accuracy, with a chance of 1/10 (the most frequent digit is 183 of the 1797). The task is solved when
    it exceeds 0.95.
    """

    form: Literal["rows", "pixels", "permuted"] = "rows"
    label_noise: float = 0.0

    package: ClassVar[str | None] = "sklearn"
    solved_at: ClassVar[float] = 0.95

    def __post_init__(self) -> None:
        if self.form not in ("rows", "pixels", "permuted"):
            raise ValueError(f"form must be 'rows', 'pixels' or 'permuted'; got {self.form!r}")
        if not 0 <= self.label_noise <= 1:
            raise ValueError(f"label_noise must be a share between 0 and 1; got {self.label_noise}")
        super().__post_init__()

    @property
    def input_size(self) -> int:
        return 8 if self.form == "rows" else 1

    @property
    def output_size(self) -> int:
        return 10

    @property
    def chance(self) -> float:
        return 1 / 10

    @property
    def shortest(self) -> int:
        return 64 // self.input_size

    @property
    def longest(self) -> int:
        return self.shortest

    def delay(self, length: int) -> int:
        """The distance from the first row or pixel to the answer at the last."""
        return length - 1

    def size(self, length: int) -> int:
        return 1797

    def load(self, length: int) -> Batch:
        data = import_module("sklearn.datasets").load_digits()
        pixels = torch.tensor(data.data, dtype=torch.float32) / 16
        if self.form == "permuted":
            pixels = pixels[:, torch.randperm(64, generator=torch.Generator().manual_seed(0))]
        inputs = pixels.reshape(-1, length, self.input_size)
        targets = torch.tensor(data.target).unsqueeze(1).repeat(1, length)
        mask = torch.zeros_like(targets, dtype=torch.bool)
        mask[:, -1] = True
        return Batch(inputs, targets, mask)

    def for_training(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Make exactly the share ``label_noise`` of the labels wrong, rounded to a whole number of labels."""
        count = len(batch.targets)
        wrong = torch.randperm(count, generator=generator)[: round(self.label_noise * count)]
        shift = torch.zeros(count, 1, dtype=torch.int64)
        shift[wrong] = torch.randint(1, 10, (len(wrong), 1), generator=generator)
        return batch._replace(targets=(batch.targets + shift) % 10)
