"""The contract of a data set: a task whose sequences are a fixed, finite collection."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from tasks._base import Batch, Task


class Parts(NamedTuple):
    """The positions of the examples of each split, int64; no position is in two of them."""

    train: Tensor
    validation: Tensor
    test: Tensor


@dataclass(frozen=True)
class DataSet(Task):
    """A fixed, finite collection of real sequences, divided once and for all.

    The division is the same for every seed: hyper-parameters are tuned on one seed and evaluated on others, and no test
    sequence may take part in the tuning. So seeds vary initialisation, training subset and order, and an interval over
    them is one over trainings, not over data.

    ``sample`` draws from the whole collection, with replacement. A run does not use it: it draws from ``parts``.

    Raises:
        ImportError: the package that ships the data is not installed; it is looked for when the task is made and
            imported when its examples are needed.
    """

    package: ClassVar[str | None] = None
    """A package of the extra ``memspan[data]`` that ships the data."""

    def __post_init__(self) -> None:
        if self.package is not None and find_spec(self.package) is None:
            raise ImportError(
                f"its data come with the package {self.package!r}, which is not installed; "
                "pip install 'memspan[data]' brings it"
            )

    @abstractmethod
    def size(self, length: int) -> int:
        """How many examples of difficulty ``length`` there are, known without loading them."""

    @abstractmethod
    def load(self, length: int) -> Batch:
        """Read every example of difficulty ``length``, in a fixed order."""

    def examples(self, length: int) -> Batch:
        """Every example of difficulty ``length``, read once per process: not to be written to."""
        return _loaded(self, length)

    def parts(self, length: int) -> Parts:
        """Divide the examples at random, always in the same way: 60 % to train on, 20 % to validate, 20 % to test."""
        order = torch.randperm(self.size(length), generator=torch.Generator().manual_seed(0))
        first, second = len(order) * 3 // 5, len(order) * 4 // 5
        return Parts(order[:first], order[first:second], order[second:])

    def for_training(self, batch: Batch, generator: torch.Generator) -> Batch:
        """What a training set becomes before it is used, and nothing else does: noise belongs here."""
        return batch

    def available(self, length: int) -> int:
        """The size of the training part."""
        return len(self.parts(length).train)

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        rows = torch.randint(self.size(length), (batch_size,), generator=generator)
        return self.examples(length).rows(rows)


@cache
def _loaded(data_set: DataSet, length: int) -> Batch:
    return data_set.load(length)
