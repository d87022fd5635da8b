"""The search space of a sweep, and how it is searched."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from suite.experiment.run_config import Count, Frozen

TUNABLE_TRAINING = ("learning_rate", "clip", "optimizer", "weight_decay")


TUNABLE_MODEL = ("depth", "hidden_size", "bidirectional", "delay")


class Range(Frozen):
    """A dimension of the search space between two numbers, both included; whole numbers when both are."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low must be below high; got low = {self.low}, high = {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must begin above 0; got low = {self.low}")
        return self


NonEmpty = Annotated[tuple[Count, ...], Field(strict=False, min_length=1)]


Choices = Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]


Space = dict[str, Range | Choices]


FEWEST_TRIALS = 20
"""Of importances and of maps of the space: the best quarter is then five, as many as Optuna asks of PED-ANOVA."""


REPEATABLE_SAMPLERS = ("sobol", "random", "tpe", "gp")


REPEATABLE_PRUNERS = ("none", "median", "percentile")
"""Those that come with memspan: they depend on the seed and on finished generations alone."""


class Sweep(Frozen):
    """How the hyper-parameters of every (architecture, task level) are tuned: the same budget for all."""

    trials: Annotated[int, Field(ge=0)] = 0
    """Trials per study; 0 evaluates the defaults as they are. Trial 0 is always the untuned default."""
    seed: Annotated[int, Field(ge=0)] = 1000
    """The seed of every trial and of the sampler; not one of the evaluation's seeds."""
    sampler: str = "sobol"
    """``sobol`` (a scrambled Sobol design), ``random``, ``tpe``, ``gp``, or an Optuna ``package.module:Class``."""
    pruner: str = "none"
    """``none``, ``median``, ``percentile``, or an Optuna ``package.module:Class``."""
    generation: Count | None = None
    """Trials suggested at a time: suggestions and pruning know the generations before and nothing else. Default: all
    for ``sobol`` and ``random`` without a pruner, otherwise 4."""
    finalists: Count = 1
    """The best so many trials are run again on ``finalist_seeds`` further tuning seeds, and the best mean wins; 1: the
    best trial wins as it is."""
    finalist_seeds: Count = 2
    space: Space = Field(default={})

    @property
    def generation_size(self) -> int:
        """Trials that are suggested together, with the generations before them known and nothing else."""
        if self.generation:
            return self.generation
        one_design = self.sampler in ("sobol", "random") and self.pruner == "none"
        return self.trials if one_design else 4

    @property
    def repeatable(self) -> bool:
        """Whether suggestions and pruning are known to depend on the seed and finished generations alone."""
        return self.sampler in REPEATABLE_SAMPLERS and self.pruner in REPEATABLE_PRUNERS

    @property
    def finalist_seed_list(self) -> tuple[int, ...]:
        """The tuning seeds of finalists: those after ``seed``; none where there is nothing to decide."""
        last = self.finalist_seeds if self.finalists > 1 else 0
        return tuple(range(self.seed + 1, self.seed + 1 + last))
