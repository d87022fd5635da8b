"""A study whose runs a file records."""

from __future__ import annotations

from collections.abc import Container
from functools import cached_property
from typing import Any

from suite.experiment.experiment import Experiment
from suite.experiment.levels import Level
from suite.experiment.search_space import Range
from suite.experiment.variants import Variant
from suite.planning.study import Study
from suite.registry import architectures


class RecordedStudy(Study):
    """A study in a written leaderboard, whose task and architecture are not imported.

    Args:
        experiment: the experiment.
        variant: the variant.
        level: the level.
        searched: the names of the hyper-parameters that its runs searched.
        family: the family of the architecture as it was recorded, if it was.
    """

    def __init__(
        self, experiment: Experiment, variant: Variant, level: Level, searched: Container[str], family: str = ""
    ) -> None:
        super().__init__(experiment, variant, level)
        self._searched = searched
        self._family = family

    @cached_property
    def family(self) -> str:
        """The recorded family; else that of memspan's own file, which an earlier memspan did not record; else empty."""
        name = self.variant.architecture
        return self._family or (architectures.stated(name, "family") if name in architectures.names() else "")

    @cached_property
    def space(self) -> dict[str, Range | tuple[Any, ...]]:
        """Those dimensions of the search space that the recorded runs searched."""
        return {name: dimension for name, dimension in self.sweep.space.items() if name in self._searched}
