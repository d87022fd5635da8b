"""A claim: one TOML file, validated whole before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from suite.claims.evidence import AREA, MEASURES, POSITIVE, tables_by_level
from suite.errors import InputError, unknown
from suite.experiment.experiment import Experiment
from suite.experiment.loading import EXPERIMENTS, read
from suite.experiment.loading import load as load_experiment
from suite.experiment.loading import parse as parse_experiment
from suite.experiment.run_config import Count, Frozen
from suite.experiment.validation import parsed
from suite.results.overfitting import MEASURES as AREAS

CLAIMS = EXPERIMENTS / "claims"
"""The claims that come with memspan."""
FEWEST_SEEDS = 3
"""Two pairs have an interval that says nothing."""

Direction = Literal["above", "below", "equal"]
Margin = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Comparison(Frozen):
    """Two arms, or an arm and a number, on some levels. What is not given is that of the claim."""

    first: str
    """An architecture of the experiment, by label."""
    second: str | None = None
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    direction: Direction | None = None
    measure: str | None = None
    margin: Margin | None = None
    tasks: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Levels or task tables by label; all if none is given."""
    context: bool = False
    """Shown and tested like the others, but without a say in the verdict: it explains, and is not what is claimed."""

    @model_validator(mode="after")
    def _one_other(self) -> Comparison:
        if (self.second is None) == (self.value is None):
            raise ValueError("give either second (another architecture) or value (a number)")
        if self.first == self.second:
            raise ValueError(f"an arm cannot be compared with itself; got {self.first!r} twice")
        return self


class Budget(Frozen):
    """How much is spent: as in ``Experiment.select``."""

    seeds: Count
    trials: Annotated[int, Field(ge=0)] | None = None
    steps: Count | None = None


class Claim(Frozen):
    """A statement, and what would support or refute it."""

    name: str
    statement: str
    source: str
    expected: str = ""
    """What the literature expects."""
    measure: str = "test_skill"
    direction: Direction = "above"
    """The first arm is above the second, below it, or equal to it."""
    margin: Margin = 0.02
    """The smallest difference that matters, in units of the measure (of its logarithm on a logarithmic scale)."""
    scale: Literal["linear", "log"] = "linear"
    """``log``: differences of natural logarithms, which are ratios."""
    comparisons: Annotated[tuple[Comparison, ...], Field(strict=False, min_length=1)]
    """The first is what the statement says; the others say where it holds."""
    budget: dict[str, Budget] = Field(min_length=1)
    """By name; ``small`` and ``full`` in those that come with memspan."""
    experiment: str | dict[str, Any]
    """The experiment that yields the runs: a name, or its tables."""

    @cached_property
    def whole_experiment(self) -> Experiment:
        """The experiment as its file gives it, whatever the budget."""
        if isinstance(self.experiment, str):
            return load_experiment(self.experiment)
        tables = {"title": self.statement, **self.experiment}
        return parse_experiment(tables, f"claim_{self.name}")

    def asks(self, budget: str) -> Experiment:
        """The experiment with the seeds, trials and steps of a budget."""
        if budget not in self.budget:
            raise unknown("budget", budget, self.budget, of=f"claim {self.name!r}")
        given = self.budget[budget]
        return self.whole_experiment.select(**given.model_dump())

    def check(self) -> None:
        """Raise ``InputError`` unless every arm, level and measure exists and every budget has enough seeds."""
        where = f"claim {self.name!r}"
        experiment = self.whole_experiment
        for comparison in self.comparisons:
            measure = comparison.measure or self.measure
            _check_measure(measure, experiment, where)
            for arm in (comparison.first, comparison.second):
                if arm is not None and arm not in experiment.architectures:
                    raise unknown("arm", arm, experiment.architectures, of=where)
            levels = tables_by_level(experiment, measure)
            known = {*levels, *levels.values()}
            for task in comparison.tasks:
                if task not in known:
                    raise unknown("task level", task, known, of=f"{where} for {measure}")
            if self.scale == "log":
                _check_logarithm(measure, comparison.value, where)
        if all(comparison.context for comparison in self.comparisons):
            raise InputError(f"{where}: at least one comparison must have a say in the verdict; all are context")
        for name, budget in self.budget.items():
            if budget.seeds < FEWEST_SEEDS:
                raise InputError(
                    f"{where}: budget.{name}: an interval needs {FEWEST_SEEDS} seeds or more, and ten to be published; "
                    f"got {budget.seeds}"
                )


def _check_measure(measure: str, experiment: Experiment, where: str) -> None:
    accepted = [*MEASURES, *(f"{AREA}{name}" for name in AREAS)]
    if measure not in accepted:
        raise unknown("measure", measure, accepted, of=where)
    if measure.startswith(AREA):
        if not tables_by_level(experiment, measure):
            raise InputError(
                f"{where}: {measure} is a mean over a ladder of training-set sizes and needs two rungs or more: give a "
                "task table of its experiment a list, such as train_size = [50, 200, 1000]"
            )
    elif measure.startswith("gradient_slope_") and not experiment.training.diagnostics:
        raise InputError(f"{where}: {measure} is measured with diagnostics = true in [training] of its experiment only")


def _check_logarithm(measure: str, value: float | None, where: str) -> None:
    if measure not in POSITIVE:
        raise InputError(
            f"{where}: a logarithmic scale needs a measure that is always above 0; got {measure}, and those are "
            f"{', '.join(POSITIVE)}"
        )
    if value is not None and value <= 0:
        raise InputError(f"{where}: on a logarithmic scale value must be above 0; got {value}")


def parse(data: Mapping[str, Any], name: str) -> Claim:
    """A checked claim from the tables of a TOML file."""
    claim: Claim = parsed(Claim, {**data, "name": name}, f"claim {name!r}")
    claim.check()
    return claim


def available() -> dict[str, Path]:
    """The claims that come with memspan and those in ``experiments/claims/`` of the working directory, by name."""
    folders = (CLAIMS, Path.cwd() / "experiments" / "claims")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}


def load(name_or_path: str) -> Claim:
    """The claim of a name (``memspan list``) or of the path of a TOML file."""
    return parse(*read("claim", name_or_path, available()))


def chosen(names: Iterable[str]) -> list[Claim]:
    """The claims of these names or paths; all that there are if none is given."""
    found = [load(name) for name in names or available()]
    labels = [claim.name for claim in found]
    if repeated := [label for label in labels if labels.count(label) > 1]:
        raise InputError(f"each claim once, and no two files of one name: a report has one entry each; got {repeated}")
    return found
