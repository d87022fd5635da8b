"""The sweep of an experiment: its search space, and the way in which the space is searched."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from suite.experiment.run_config import Count, Frozen

TUNABLE_TRAINING = ("learning_rate", "clip", "optimizer", "weight_decay")
"""The settings of the training that a sweep can search, and that an architecture table can fix."""
TUNABLE_MODEL = ("depth", "hidden_size", "bidirectional", "delay")
"""The settings of the model that a sweep can search."""


class Range(Frozen):
    """A dimension of the search space: the numbers from ``low`` to ``high``. It has whole numbers only if both are."""

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
"""The number of trials from which importances and maps of the space are made. The best quarter then has five trials,
which is as many as PED-ANOVA needs in Optuna."""
REPEATABLE_SAMPLERS = ("sobol", "random", "tpe", "gp")
"""The samplers that come with memspan. They depend on the seed and on finished generations alone."""
REPEATABLE_PRUNERS = ("none", "median", "percentile")
"""The pruners that come with memspan. They depend on finished generations alone."""


class Sweep(Frozen):
    """The tuning of the hyper-parameters, which has the same budget for every architecture on every task level."""

    trials: Annotated[int, Field(ge=0)] = 0
    """The number of trials per study. With 0, the defaults are evaluated as they are.

    Trial 0 is always the untuned default."""
    seed: Annotated[int, Field(ge=0)] = 1000
    """The seed of every trial and of the sampler. It must not be a seed of the evaluation."""
    sampler: str = "sobol"
    """``sobol`` (a scrambled Sobol design), ``random``, ``tpe``, ``gp``, or a ``package.module:Class`` for Optuna."""
    pruner: str = "none"
    """``none``, ``median``, ``percentile``, or a ``package.module:Class`` for Optuna."""
    generation: Count | None = None
    """The number of trials in a generation, see `generation_size`."""
    finalists: Count = 1
    """The number of trials, the best ones, that are run again on further tuning seeds. The best mean then wins.

    With 1, the best trial wins as it is."""
    finalist_seeds: Count = 2
    """The number of further tuning seeds."""
    space: Space = Field(default={})

    @property
    def generation_size(self) -> int:
        """The number of trials that are suggested together. They depend on the generations before them alone.

        By default, ``sobol`` and ``random`` without a pruner suggest all trials at once, and others suggest 4.
        """
        if self.generation:
            return self.generation
        looks_back = self.sampler not in ("sobol", "random") or self.pruner != "none"
        return 4 if looks_back else self.trials

    @property
    def repeatable(self) -> bool:
        """True if suggestions and pruning are known to depend on the seed and on finished generations alone."""
        return self.sampler in REPEATABLE_SAMPLERS and self.pruner in REPEATABLE_PRUNERS

    @property
    def finalist_seed_list(self) -> tuple[int, ...]:
        """The further tuning seeds, which follow ``seed``. There are none with a single finalist."""
        count = self.finalist_seeds if self.finalists > 1 else 0
        return tuple(range(self.seed + 1, self.seed + 1 + count))
