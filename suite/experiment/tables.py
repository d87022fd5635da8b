"""The tables of an experiment file. Those of the training and of the sweep stand in `run_config` and `search_space`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from suite.experiment.run_config import Count, Counts, Frozen, Natural
from suite.experiment.search_space import NonEmpty


class Evaluation(Frozen):
    """The seeds on which the best configuration of each study is trained again. A number n stands for 0, …, n − 1."""

    seeds: Count | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False, min_length=1)] = 5

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds one by one."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds


class Size(Frozen):
    """The size of the models: equal width (``hidden_size``), or equal ``parameters``, to within 5 %."""

    hidden_size: Count | None = None
    parameters: Count | None = None
    depth: Count = 1
    bidirectional: bool = False
    delay: Natural = 0


class TaskTable(Frozen):
    """A table ``[tasks.LABEL]``. Its further keys are options of the task. A list makes one level of each value."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    task: str | None = None
    """The name of the task. By default, it is the label."""
    length: Count | NonEmpty
    train_size: Count | NonEmpty | None = None
    test_lengths: Counts = ()
    training: dict[str, Any] = Field(default={})
    """Settings that take the place of those in ``[training]``."""


class ArchitectureTable(Frozen):
    """A table ``[architectures.LABEL]``. Its further keys are options of the architecture, which are not searched."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    architecture: str | None = None
    """The name of the architecture. By default, it is the label."""
    hidden_size: Count | None = None
    parameters: Count | None = None
    depth: Count | None = None
    bidirectional: bool | None = None
    delay: Natural | None = None
    training: dict[str, Any] = Field(default={})
    """Fixed values of some settings in ``TUNABLE_TRAINING``."""
