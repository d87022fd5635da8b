"""The configuration of a run: everything that determines its result, hashed into its key."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suite.experiment.bounds import (
    Count,
    Delay,
    Depth,
    Dropout,
    HiddenSize,
    Lengths,
    Mixer,
    Natural,
    Positive,
    Seed,
    Sequences,
)
from suite.experiment.lengths import TrainingLength, longest_of
from suite.registry import architectures, tasks

PROTOCOL = 2
"""The number of the protocol, which is part of every key.

It is raised whenever results change: when data are generated in another way, when training changes, or when a default
gets another meaning. Runs of an earlier protocol stay in their store and do not count."""

_WHOLE_FILE = "file "
"""The mark of a fingerprint of protocol 1, which was the hash of a whole file."""


class Frozen(BaseModel):
    """A set of values that refuses unknown keys and wrong types, and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Training(Frozen):
    """The settings of a training. The budget (``steps`` × ``batch_size``) is the same for every architecture."""

    steps: Count = 1000
    """The number of optimiser steps."""
    batch_size: Sequences = 32
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    """AdamW takes the weight decay out of the gradient (Loshchilov & Hutter 2019)."""
    learning_rate: Positive = 1e-3
    """The learning rate without warm-up and schedule, which multiply it by a factor in [0, 1]."""
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """What the learning rate does after the warm-up, see `suite.training.schedule`."""
    warmup: Natural = 0
    """The number of steps in which the learning rate rises linearly. It must be smaller than ``steps``."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """The smoothing constant of RMSprop's mean of squared gradients. Other optimisers have none."""
    clip: Positive = 1.0
    """The threshold on the norm of the whole gradient. ``inf`` turns clipping off."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """The factor of the weights in their decay. Cells can leave parameters out, see `suite.model.weight_decay`."""
    validate_every: Count = 100
    """The number of steps between two validations. The last step is always validated."""
    validation_size: Sequences = 256
    test_size: Sequences = 512
    stop_when_solved: bool = True
    """End the training at the first validation at which the task counts as solved."""
    diagnostics: bool = False
    """Measure and draw the gradient flow at the start, at the end and, if there are 500 steps or more, half-way.

    The training itself stays the same."""

    @model_validator(mode="after")
    def _warms_up_in_time(self) -> Training:
        if self.warmup >= self.steps:
            raise ValueError(
                f"a warm-up must be shorter than its run; got warmup = {self.warmup} and steps = {self.steps}, "
                f"for which warmup is at most {self.steps - 1}"
            )
        return self


class TaskConfig(Frozen):
    """A task at one level, with the lengths of its sequences."""

    name: str
    options: dict[str, Any]
    length: TrainingLength
    """The length of all training sequences, or the range from which each batch draws its own."""
    train_size: Sequences | None = None
    """The number of sequences in the training set. None means that every batch is new."""
    test_lengths: Lengths = ()
    """Further lengths on which the trained model is tested."""

    @property
    def longest(self) -> int:
        """The largest length of training."""
        return longest_of(self.length)


class Shape(Frozen):
    """The form of a model around its layers, see `SequenceModel`."""

    depth: Depth = 1
    bidirectional: bool = False
    delay: Delay = 0
    """The number of steps that the model reads ahead of the step that it answers."""
    block: Literal["plain", "residual"] = "plain"
    norm: Literal["rms", "layer"] = "rms"
    """The norm of a residual block."""
    mixer: Mixer = 0.0
    """The width of the mixer of a residual block as a multiple of the hidden size. 0 leaves it out."""
    dropout: Dropout = 0.0
    """The share of the outputs of each layer that are set to 0 in training."""


OF_RESIDUAL_BLOCKS = ("norm", "mixer")
"""The settings of a model that only mean something in residual blocks."""


class ModelConfig(Shape):
    """An architecture with its size and the form of the model."""

    architecture: str
    options: dict[str, Any]
    hidden_size: HiddenSize

    @property
    def settings(self) -> dict[str, Any]:
        """Whatever is set and means something, without what only residual blocks have if the blocks are plain."""
        return self.model_dump(exclude=set(OF_RESIDUAL_BLOCKS) if self.block == "plain" else None)

    @property
    def shape(self) -> dict[str, Any]:
        """The form of the model, as arguments of `SequenceModel`."""
        return self.model_dump(include=set(Shape.model_fields))


class Source(Frozen):
    """The fingerprints of the code of a task and of an architecture, see `source_hash`."""

    task: str
    architecture: str

    @model_validator(mode="before")
    @classmethod
    def _read_protocol_1(cls, value: Any) -> Any:
        """Take apart the text of protocol 1, which held the hashes of two whole files."""
        if isinstance(value, str):
            return {"task": f"{_WHOLE_FILE}{value[:16]}", "architecture": f"{_WHOLE_FILE}{value[16:]}"}
        return value

    @property
    def is_comparable(self) -> bool:
        """Whether it can be compared with a fingerprint of today. Those of protocol 1 cannot."""
        return not self.task.startswith(_WHOLE_FILE)


class RunConfig(Frozen):
    """Everything that determines the result of one run."""

    task: TaskConfig
    model: ModelConfig
    training: Training
    seed: Seed
    """The seed of the initial weights and of the data. The data do not depend on the architecture."""
    source: Source

    @cached_property
    def json_text(self) -> str:
        """The configuration as canonical JSON, with every default filled in."""
        return canonical_json(self.model_dump())

    @cached_property
    def key(self) -> str:
        """The identity of the run. No key is run twice, and a changed source gives another key.

        Values that equal their default are left out, so that a new setting in memspan changes no key.

        Raises:
            InputError: if the task or the architecture cannot be imported to look up the defaults of its options.
        """
        settings = self.model_dump(exclude_defaults=True)
        settings["task"]["options"] = tasks.without_defaults(self.task.name, self.task.options)
        settings["model"]["options"] = architectures.without_defaults(self.model.architecture, self.model.options)
        return digest(f"memspan {PROTOCOL} {canonical_json(settings)}")

    def with_seed(self, seed: int) -> RunConfig:
        """Return the configuration of the same run on another seed."""
        return RunConfig.model_construct(
            task=self.task, model=self.model, training=self.training, seed=seed, source=self.source
        )

    def __hash__(self) -> int:
        return hash(self.key)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: with sorted keys, without spaces, and with infinities as ``Infinity``."""
    return _CANONICAL.encode(value)


def digest(text: str) -> str:
    """Return sixteen hexadecimal digits that stand for a text (SHA-256)."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def derived_seed(*parts: object) -> int:
    """Return a seed in [0, 2⁶³) that depends on ``parts`` alone. Different parts give independent seeds (SHA-256)."""
    text = canonical_json([str(part) for part in parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
