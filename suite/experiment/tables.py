"""The tables of an experiment file. Those of the training and of the sweep stand in `run_config` and `search_space`."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from suite.experiment.bounds import (
    MOST_VALUES,
    Delay,
    Depth,
    Dropout,
    HiddenSize,
    Lengths,
    Mixer,
    Parameters,
    Runs,
    Seed,
    Sequences,
)
from suite.experiment.lengths import TableLength
from suite.experiment.run_config import Frozen, Shape, canonical_json

LADDER: Any = Field(strict=False, min_length=1, max_length=MOST_VALUES)
"""The form of a list that makes one level of each value."""


class Evaluation(Frozen):
    """The seeds on which the best configuration of each study is trained again. A number n stands for 0, …, n − 1."""

    seeds: Runs | Annotated[tuple[Seed, ...], Field(strict=False, min_length=1, max_length=10**4)] = 10

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds one by one."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds


MEASURES = ("hidden_size", "parameters", "state")
"""The ways in which the size of a model can be given."""


class Size(Shape):
    """The form of the models, and their size.

    The size is an equal width (``hidden_size``), or equal ``parameters`` or an equal ``state``, both to within 5 %.
    """

    hidden_size: HiddenSize | None = None
    parameters: Parameters | None = None
    state: Parameters | None = None
    """The number of numbers that a model carries after the last step of a training sequence."""

    @property
    def budget(self) -> tuple[str, int] | None:
        """The measure for which the hidden size has to be found, and its value; None with a given hidden size."""
        return next(((name, value) for name in MEASURES[1:] if (value := getattr(self, name)) is not None), None)


class TaskTable(Frozen):
    """A table ``[tasks.LABEL]``. Its further keys are options of the task. A list makes one level of each value."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    task: str | None = None
    """The name of the task. By default, it is the label."""
    length: TableLength
    train_size: Sequences | Annotated[tuple[Sequences, ...], LADDER] | None = None
    test_lengths: Lengths = ()
    training: dict[str, Any] = Field(default={})
    """Settings that take the place of those in ``[training]``."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its task that a list makes a ladder of: its length, its ``train_size`` and its options."""
        return {"length": self.length, "train_size": self.train_size, **(self.model_extra or {})}

    @property
    def ladders(self) -> dict[str, list[Any]]:
        """The lists among its settings. Each combination of their values is a level."""
        return {key: list(value) for key, value in self.settings.items() if isinstance(value, list | tuple)}

    @property
    def rungs(self) -> list[dict[str, Any]]:
        """The values of its ladders on each level; one level without any if there are no ladders."""
        return [dict(zip(self.ladders, values, strict=True)) for values in product(*self.ladders.values())]


class ArchitectureTable(Frozen):
    """A table ``[architectures.LABEL]``. Its further keys are options of the architecture, which are not searched."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    architecture: str | None = None
    """The name of the architecture. By default, it is the label."""
    hidden_size: HiddenSize | None = None
    parameters: Parameters | None = None
    state: Parameters | None = None
    depth: Depth | None = None
    bidirectional: bool | None = None
    delay: Delay | None = None
    block: Literal["plain", "residual"] | None = None
    norm: Literal["rms", "layer"] | None = None
    mixer: Mixer | None = None
    dropout: Dropout | None = None
    untuned: Literal[True] | None = None
    """Leave out the tuning of this row, so that it shows what tuning brings to others."""
    training: dict[str, Any] = Field(default={})
    """Fixed values of some settings in ``TUNABLE_TRAINING``."""


def settings_text(label: str, table: TaskTable | ArchitectureTable) -> str:
    """Return the class of a table and its settings, such as ``lstm readout=cell``, without importing the class."""
    own = table.task if isinstance(table, TaskTable) else table.architecture
    settings = table.model_dump(exclude={"task", "architecture", "training"}, exclude_defaults=True)
    if isinstance(table, TaskTable):
        settings["length"] = table.length if isinstance(table.length, int | tuple) else str(table.length)
    settings |= {f"training.{name}": value for name, value in table.training.items()}
    pairs = (f"{name}={setting_value(value)}" for name, value in settings.items())
    return " ".join([own or label, *pairs])


def setting_value(value: Any) -> str:
    """Return a setting as one writes it: as JSON, but a word without quotes."""
    return value if isinstance(value, str) else canonical_json(value)
