"""The contract of a data set, which is a task whose sequences are a fixed, finite collection."""

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
    """The positions of the examples in each split, int64. The splits share no position."""

    train: Tensor
    validation: Tensor
    test: Tensor


@dataclass(frozen=True)
class DataSet(Task):
    """A fixed, finite collection of real sequences, divided once and for all.

    The division is the same for every seed, because hyper-parameters are tuned on one seed and evaluated on others, and
    no test sequence may take part in the tuning. Seeds therefore vary the initialisation, the training subset and the
    order, and an interval over seeds is an interval over trainings, not over data.

    ``sample`` draws from the whole collection, with replacement. A run draws from ``parts`` instead.

    Raises:
        ImportError: if the package that ships the data is not installed. Making the task looks for the package, and
            the first use of its examples imports it.
    """

    package: ClassVar[str | None] = None
    """The package that ships the data, which the extra ``memspan[data]`` installs."""

    def __post_init__(self) -> None:
        if self.package is not None and find_spec(self.package) is None:
            raise ImportError(
                f"its data come with the package {self.package!r}, which is not installed; "
                "pip install 'memspan[data]' brings it"
            )

    @abstractmethod
    def size(self, length: int) -> int:
        """The number of examples of difficulty ``length``, known without loading them."""

    @abstractmethod
    def load(self, length: int) -> Batch:
        """Read every example of difficulty ``length``, in a fixed order."""

    def examples(self, length: int) -> Batch:
        """Return every example of difficulty ``length``. They are read once per process, so do not write to them."""
        return _loaded(self, length)

    def parts(self, length: int) -> Parts:
        """Divide the examples at random, always alike: 60 % for training, 20 % for validation and 20 % for test."""
        order = torch.randperm(self.size(length), generator=torch.Generator().manual_seed(0))
        first, second = len(order) * 3 // 5, len(order) * 4 // 5
        return Parts(order[:first], order[first:second], order[second:])

    def for_training(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change a training set before it is used, for example by adding noise. The other splits stay as they are."""
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
