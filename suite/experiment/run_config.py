"""RunConfig: everything that determines a run, validated, frozen, and hashed into the key by which it is known."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suite.registry import architectures, tasks

PROTOCOL = 2
"""Part of every key. It is raised when results change: by another generation of data, another training, or a default
that means something else. Runs of an earlier protocol stay in their store and are not counted."""

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Counts = Annotated[tuple[Count, ...], Field(strict=False)]  # an array of TOML is a list
Positive = Annotated[float, Field(gt=0)]


class Frozen(BaseModel):
    """Unknown keys and wrong types are refused, and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Training(Frozen):
    """How a model is trained. The budget (``steps`` × ``batch_size``) is the same for every architecture."""

    steps: Count = 1000
    """Optimiser steps."""
    batch_size: Count = 32
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    learning_rate: Positive = 1e-3
    clip: Positive = 1.0
    """Threshold on the norm of the whole gradient; ``inf`` is off."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    validate_every: Count = 100
    """Steps between two validations; the last step is validated too."""
    validation_size: Count = 256
    test_size: Count = 512
    stop_when_solved: bool = True
    """Stop at the first validation that meets the task's solved criterion."""
    diagnostics: bool = False
    """Measure and draw gradient flow at the start, the end and, from 500 steps on, half-way; training is the same."""


class TaskConfig(Frozen):
    """One level of a task: what is shown in training, and on what else it is tested."""

    name: str
    options: dict[str, Any]
    length: Count
    train_size: Count | None = None
    """Sequences in the training set; None streams new ones without end."""
    test_lengths: Counts = ()
    """Lengths beyond the training length on which the trained model is tested as well."""


class ModelConfig(Frozen):
    """An architecture with its size."""

    architecture: str
    options: dict[str, Any]
    hidden_size: Count
    depth: Count = 1
    bidirectional: bool = False
    delay: Natural = 0
    """Steps that are read beyond the one that is answered."""


class Source(Frozen):
    """The code that a run depends on, as two fingerprints (see `source_hash`)."""

    task: str
    architecture: str

    @model_validator(mode="before")
    @classmethod
    def _of_an_earlier_memspan(cls, value: Any) -> Any:
        """Protocol 1 wrote both into one text, and took them of whole files."""
        if isinstance(value, str):
            return {"task": f"file {value[:16]}", "architecture": f"file {value[16:]}"}
        return value


class RunConfig(Frozen):
    """Everything that determines the result of one run."""

    task: TaskConfig
    model: ModelConfig
    training: Training
    seed: Annotated[int, Field(ge=0)]
    """Varies initialisation, data and their order together; the data do not depend on the architecture."""
    source: Source

    @cached_property
    def json_text(self) -> str:
        """The canonical JSON: sorted keys, no spaces, every default filled in."""
        return canonical_json(self.model_dump())

    @cached_property
    def key(self) -> str:
        """The identity of the run: the same key is never run twice, and a changed source has another.

        What stands at its default is left out, so that a setting that is new in memspan changes no key.

        Raises:
            InputError: if the task or the architecture cannot be imported, whose options have defaults too.
        """
        given = self.model_dump(exclude_defaults=True)
        given["task"]["options"] = tasks.without_defaults(self.task.name, self.task.options)
        given["model"]["options"] = architectures.without_defaults(self.model.architecture, self.model.options)
        return digest(f"memspan {PROTOCOL} {canonical_json(given)}")

    def with_seed(self, seed: int) -> RunConfig:
        """The same run on another seed."""
        return RunConfig.model_construct(
            task=self.task, model=self.model, training=self.training, seed=seed, source=self.source
        )

    def __hash__(self) -> int:
        return hash(self.key)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces; infinities as ``Infinity``."""
    return _CANONICAL.encode(value)


def digest(text: str) -> str:
    """Sixteen hexadecimal digits that stand for ``text`` (SHA-256)."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def derived_seed(*parts: object) -> int:
    """A seed in [0, 2⁶³) that depends on ``parts`` alone, independent for different parts (SHA-256)."""
    text = canonical_json([str(part) for part in parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
