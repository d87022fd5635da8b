"""The data of a run: which sequences, in which order. The same for every architecture."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Literal

import torch

from suite.errors import InputError
from suite.experiment.run_config import TaskConfig, canonical_json, derived_seed
from suite.registry import tasks
from tasks import Batch, DataSet, Task

Split = Literal["train", "validation", "test"]

LARGEST_TRAIN_SAMPLE = 2048
"""At most so many training sequences are used to measure the training loss."""


class Data:
    """The three splits of one task level for one data seed.

    Batch ``i`` of a split depends on (task, length, data seed, split, i) alone. With ``train_size`` the training set is
    batch 0 of its split, and training walks through one permutation of it after the other.

    A ``DataSet`` is divided into parts, the same for every seed. What is trained on comes from
    its training part: all of it or ``train_size`` distinct examples of it, drawn with replacement where there is no
    ``train_size``. Validation and test draw from their parts without replacement, so at most as many as there are.
    """

    def __init__(self, config: TaskConfig, seed: int, batch_size: int) -> None:
        self.config = config
        self.seed = seed
        self.batch_size = batch_size
        self.task: Task = tasks.get(config.name)(**config.options)
        self.identity = f"{config.name} {canonical_json(tasks.without_defaults(config.name, config.options))}"
        self._permutation = cache(self._new_permutation)
        self._part = cache(self._new_part)

    def generator(self, split: str, length: int, index: int) -> torch.Generator:
        """The generator of batch ``index`` of a split."""
        return torch.Generator().manual_seed(derived_seed(self.identity, length, self.seed, split, index))

    def sample(self, split: Split, size: int, length: int | None = None, index: int = 0) -> Batch:
        """Batch ``index`` of a split, ``size`` sequences of the training length or of ``length``."""
        length = length or self.config.length
        generator = self.generator(split, length, index)
        if not isinstance(self.task, DataSet):
            return self.task.sample(size, length, generator)
        part = self._part(split, length)
        count = len(part.inputs)
        if split == "train":
            return part.rows(torch.randint(count, (size,), generator=generator))
        return part.rows(torch.randperm(count, generator=generator)[:size])

    def train_batch(self, step: int) -> Batch:
        """The batch of optimiser step ``step``, counted from 0."""
        if self.config.train_size is None:
            return self.sample("train", self.batch_size, index=step)
        return self.train_set.rows(self._positions(step, self.config.train_size))

    @cached_property
    def train_set(self) -> Batch:
        """The finite training set."""
        if isinstance(self.task, DataSet):
            return self._part("train", self.config.length)
        assert self.config.train_size is not None
        return self.sample("train", self.config.train_size)

    def train_sample(self, size: int) -> Batch:
        """Training sequences on which to measure the training loss: the set, or the first batches of the stream."""
        if self.config.train_size is not None or isinstance(self.task, DataSet):
            return self.train_set.rows(slice(LARGEST_TRAIN_SAMPLE))
        batches = [self.train_batch(step) for step in range(-(-size // self.batch_size))]
        return Batch(*(torch.cat(tensors)[:size] for tensors in zip(*batches, strict=True)))

    def _new_part(self, split: Split, length: int) -> Batch:
        """The examples of a data set that a split may draw from."""
        assert isinstance(self.task, DataSet)
        examples = self.task.examples(length)
        positions: torch.Tensor = getattr(self.task.parts(length), split)
        if split != "train":
            return examples.rows(positions)
        count, size = len(positions), self.config.train_size
        if size is not None and size > count:
            raise InputError(f"train_size must be at most {count}, the training part of {self.identity}; got {size}")
        chosen = positions[torch.randperm(count, generator=self.generator("subset", length, 0))[:size]]
        return self.task.for_training(examples.rows(chosen), self.generator("noise", length, 0))

    def _positions(self, step: int, size: int) -> torch.Tensor:
        """Where batch ``step`` lies in the endless sequence of permutations of the training set."""
        first, last = step * self.batch_size, (step + 1) * self.batch_size
        epochs = range(first // size, -(-last // size))
        order = torch.cat([self._permutation(epoch) for epoch in epochs])
        start = first - epochs[0] * size
        return order[start : start + self.batch_size]

    def _new_permutation(self, epoch: int) -> torch.Tensor:
        assert self.config.train_size is not None
        generator = self.generator("order", self.config.length, epoch)
        return torch.randperm(self.config.train_size, generator=generator)
