"""The data of a run: its sequences and their order, which are the same for every architecture."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Literal

import torch

from suite.errors import InputError
from suite.experiment.lengths import LengthRange
from suite.experiment.run_config import TaskConfig, canonical_json, derived_seed
from suite.registry import tasks
from tasks import Batch, DataSet, Task

Split = Literal["train", "validation", "test"]

LENGTHS = 16
"""The number of batches of a validation or test set whose lengths come from a range. Each has a length of its own."""
LARGEST_TRAIN_SAMPLE = 2048
"""The largest number of training sequences on which the training loss is measured."""


class Data:
    """The three splits of one task level for one data seed.

    Batch ``i`` of a split depends on (task, length, data seed, split, i) alone. With ``train_size`` the training set is
    batch 0 of its split, and training walks through one permutation of it after the other.

    If the length is a range, the generator of a batch first draws its length, uniformly from the range. All sequences
    of a batch are equally long, and the validation and the test set have several batches.

    A ``DataSet`` is divided into parts, which are the same for every seed. Without ``train_size``, training batches are
    drawn from the whole training part, with replacement. With it, the training set is a draw of ``train_size`` distinct
    examples. Validation and test draw from their parts without replacement, so they never get more than there are.

    Raises:
        InputError: on first use, if ``train_size`` exceeds the training part.
    """

    def __init__(self, config: TaskConfig, seed: int, batch_size: int) -> None:
        self.config = config
        self.seed = seed
        self.batch_size = batch_size
        self.task: Task = tasks.get(config.name)(**config.options)
        self.identity = f"{config.name} {canonical_json(tasks.without_defaults(config.name, config.options))}"
        self._permutation = cache(self._new_permutation)
        self._part = cache(self._new_part)

    def generator(self, split: str, length: int | LengthRange, index: int) -> torch.Generator:
        """Make the generator of batch ``index`` of a split."""
        return torch.Generator().manual_seed(derived_seed(self.identity, length, self.seed, split, index))

    def sample(self, split: Split, size: int, length: int | None = None, index: int = 0) -> Batch:
        """Draw batch ``index`` of a split: ``size`` sequences of ``length``, by default the training length."""
        asked = length or self.config.length
        generator = self.generator(split, asked, index)
        length = _drawn(asked, generator)
        if not isinstance(self.task, DataSet):
            return self.task.sample(size, length, generator)
        part = self._part(split, length)
        count = len(part.inputs)
        if split == "train":
            return part.rows(torch.randint(count, (size,), generator=generator))
        return part.rows(torch.randperm(count, generator=generator)[:size])

    def held_out(self, split: Split, size: int) -> list[Batch]:
        """Return the ``size`` sequences of the validation or of the test set: one batch, or `LENGTHS` from a range."""
        if not isinstance(self.config.length, LengthRange):
            return [self.sample(split, size)]
        count = min(LENGTHS, size)
        ends = [size * i // count for i in range(count + 1)]
        return [self.sample(split, ends[i + 1] - ends[i], index=i) for i in range(count)]

    def steps(self, length: int) -> int:
        """Return the number of steps of a sequence of a length, which may count something else, as a delay."""
        return self.sample("test", 1, length).inputs.shape[1]

    def train_batch(self, step: int) -> Batch:
        """Return the batch of optimiser step ``step``, counted from 0."""
        if self.config.train_size is None:
            return self.sample("train", self.batch_size, index=step)
        return self.train_set.rows(self._positions(step, self.config.train_size))

    @cached_property
    def train_set(self) -> Batch:
        """The finite training set."""
        if isinstance(self.task, DataSet):
            return self._part("train", self.config.longest)
        assert self.config.train_size is not None
        return self.sample("train", self.config.train_size)

    def train_sample(self, size: int) -> list[Batch]:
        """Return sequences to measure the training loss on: the training set, or the first ``size`` of the stream."""
        if self.config.train_size is not None or isinstance(self.task, DataSet):
            return [self.train_set.rows(slice(LARGEST_TRAIN_SAMPLE))]
        starts = range(0, size, self.batch_size)
        batches = [self.train_batch(step).rows(slice(size - start)) for step, start in enumerate(starts)]
        if isinstance(self.config.length, LengthRange):
            return batches
        return [Batch(*(torch.cat(tensors) for tensors in zip(*batches, strict=True)))]

    def _new_part(self, split: Split, length: int) -> Batch:
        """Select the examples of a data set that a split may draw from."""
        assert isinstance(self.task, DataSet)
        examples = self.task.examples(length)
        positions: torch.Tensor = getattr(self.task.parts(length), split)
        if split != "train":
            return examples.rows(positions)
        count, size = len(positions), self.config.train_size
        if size is not None and size > count:
            raise InputError(f"train_size must be at most {count}, which is all that {self.identity} has; got {size}")
        chosen = positions[torch.randperm(count, generator=self.generator("subset", length, 0))[:size]]
        return self.task.for_training(examples.rows(chosen), self.generator("noise", length, 0))

    def _positions(self, step: int, size: int) -> torch.Tensor:
        """Find the positions of batch ``step`` in the endless sequence of permutations of the training set."""
        first, last = step * self.batch_size, (step + 1) * self.batch_size
        epochs = range(first // size, -(-last // size))
        order = torch.cat([self._permutation(epoch) for epoch in epochs])
        start = first - epochs[0] * size
        return order[start : start + self.batch_size]

    def _new_permutation(self, epoch: int) -> torch.Tensor:
        assert self.config.train_size is not None
        generator = self.generator("order", self.config.length, epoch)
        return torch.randperm(self.config.train_size, generator=generator)


def _drawn(length: int | LengthRange, generator: torch.Generator) -> int:
    """Return a length, which is drawn if it is a range."""
    if not isinstance(length, LengthRange):
        return length
    return int(torch.randint(length.low, length.high + 1, (), generator=generator))
