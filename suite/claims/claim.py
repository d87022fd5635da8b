"""A claim: one TOML file, which is validated as a whole before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from suite.claims.evidence import AREA, BEYOND, GRADIENT_SLOPES, MEASURES, POSITIVE, tables_by_level
from suite.errors import InputError, unknown
from suite.experiment.bounds import Count, Runs, Trials
from suite.experiment.experiment import Experiment
from suite.experiment.loading import EXPERIMENTS, read
from suite.experiment.loading import load as load_experiment
from suite.experiment.loading import parse as parse_experiment
from suite.experiment.names import Name
from suite.experiment.run_config import Frozen
from suite.experiment.validation import errors_at, validate
from suite.results.overfitting import MEASURES as AREAS

CLAIMS = EXPERIMENTS / "claims"
"""The claims that come with memspan."""
FEWEST_SEEDS = 3
"""The fewest seeds of a budget: the interval of two pairs says nothing."""

Direction = Literal["above", "below", "different", "equal"]
Margin = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Comparison(Frozen):
    """Two arms, or an arm and a number, on some levels. A key that is left out has the value of the claim."""

    first: str
    """The label of an architecture of the experiment."""
    second: str | None = None
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    direction: Direction | None = None
    measure: str | None = None
    margin: Margin | None = None
    tasks: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The labels of levels or task tables; none means all."""
    cause: bool = False
    """A comparison that tests the cause which the claim gives has a verdict of its own, and none on the claim."""
    context: bool = False
    """A comparison that is context is shown and tested like the others, but does not count towards a verdict."""

    @model_validator(mode="after")
    def _has_one_other_side(self) -> Comparison:
        if (self.second is None) == (self.value is None):
            raise ValueError("give either second (another architecture) or value (a number)")
        _check_two(self.first, self.second)
        if self.cause and self.context:
            raise ValueError("a comparison tests the cause or is context, and not both")
        return self

    @property
    def role(self) -> str:
        """What the comparison is for: "statement", "cause" or "context"."""
        return "cause" if self.cause else "context" if self.context else "statement"


class Yardstick(Frozen):
    """One arm that stands in the experiment twice, under two labels, so that it is tuned twice.

    The difference between the two is what tuning does by chance. On each level, an arm only counts as above or below
    another if their difference is shown to exceed this one.
    """

    first: str
    second: str

    @model_validator(mode="after")
    def _has_two_labels(self) -> Yardstick:
        _check_two(self.first, self.second)
        return self


def _check_two(first: str, second: str | None) -> None:
    if first == second:
        raise ValueError(f"an arm cannot be compared with itself; got {first!r} twice")


class Budget(Frozen):
    """The seeds, trials and steps that are spent, as in ``Experiment.select``."""

    seeds: Runs
    trials: Trials | None = None
    steps: Count | None = None


class Claim(Frozen):
    """A statement, and the comparisons that would support or refute it."""

    name: Name
    statement: str
    source: str
    expected: str = ""
    """The outcome that the literature expects."""
    set: Name | None = None
    """The set to which it belongs: ``lesson`` or ``field`` for the claims that come with memspan."""
    measure: str = "test_skill"
    direction: Direction = "above"
    """The claimed relation: the first arm is above the second, below it, either of them, or equal to it."""
    margin: Margin = 0.02
    """The smallest difference that matters, in units of the measure (of its logarithm on a logarithmic scale)."""
    scale: Literal["linear", "log"] = "linear"
    """On the scale ``log``, differences are those of natural logarithms, which are ratios."""
    comparisons: Annotated[tuple[Comparison, ...], Field(strict=False, min_length=1)]
    """The comparisons that state the claim decide about it; some may test its cause or be context."""
    yardstick: Yardstick | None = None
    """Two labels of one arm, whose difference shows what tuning does by chance."""
    budget: dict[Name, Budget] = Field(min_length=1)
    """The budgets by name: ``small`` and ``full`` in the claims that come with memspan."""
    experiment: str | dict[str, Any]
    """The experiment that yields the runs, as a name or as its tables."""

    @cached_property
    def whole_experiment(self) -> Experiment:
        """The experiment as its file describes it, before a budget changes its size."""
        if isinstance(self.experiment, str):
            return load_experiment(self.experiment)
        tables = {"title": self.statement, **self.experiment}
        return parse_experiment(tables, f"claim_{self.name}")

    def experiment_with(self, budget: str) -> Experiment:
        """Return the experiment with the seeds, trials and steps of a budget.

        Raises:
            InputError: if the claim has no budget of this name.
        """
        if budget not in self.budget:
            raise unknown("budget", budget, self.budget, of=f"claim {self.name!r}")
        return self.whole_experiment.select(**self.budget[budget].model_dump())

    def check(self) -> None:
        """Check that every arm, level and measure exists, and that every budget has enough seeds.

        Raises:
            InputError: if one of them does not.
        """
        where = f"claim {self.name!r}"
        experiment = self.whole_experiment
        arms = [arm for comparison in self.comparisons for arm in (comparison.first, comparison.second)]
        arms += [self.yardstick.first, self.yardstick.second] if self.yardstick else []
        for arm in arms:
            if arm is not None and arm not in experiment.architectures:
                raise unknown("arm", arm, experiment.architectures, of=where)
        for comparison in self.comparisons:
            measure = comparison.measure or self.measure
            _check_measure(measure, experiment, where)
            levels = tables_by_level(experiment, measure)
            labels = {*levels, *levels.values()}
            for task in comparison.tasks:
                if task not in labels:
                    raise unknown("task level", task, labels, of=f"{where} for {measure}")
            if self.scale == "log":
                _check_logarithm(measure, comparison.value, where)
        if not any(comparison.role == "statement" for comparison in self.comparisons):
            raise InputError(
                f"{where}: at least one comparison must state the claim; all of them test its cause or are context"
            )
        for name, budget in self.budget.items():
            if budget.trials is None:
                with errors_at(f"{where}: budget.{name}"):
                    experiment.check_trials()
            if budget.seeds < FEWEST_SEEDS:
                raise InputError(
                    f"{where}: budget.{name}: an interval needs {FEWEST_SEEDS} seeds or more, and ten are needed to "
                    f"publish it; got {budget.seeds}"
                )


def _check_measure(measure: str, experiment: Experiment, where: str) -> None:
    accepted = [*MEASURES, *(f"{AREA}{name}" for name in AREAS)]
    if measure not in accepted:
        raise unknown("measure", measure, accepted, of=where)
    if measure.startswith(AREA):
        if not tables_by_level(experiment, measure):
            raise InputError(
                f"{where}: {measure} is a mean over a ladder of training-set sizes, which needs two rungs or more: "
                "give a task table of its experiment a list, such as train_size = [50, 200, 1000]"
            )
    elif measure in BEYOND and not tables_by_level(experiment, measure):
        raise InputError(
            f"{where}: {measure} is only measured at lengths beyond those of training: give a task table of its "
            "experiment test_lengths, such as test_lengths = [128, 256]"
        )
    elif measure in GRADIENT_SLOPES and not experiment.training.diagnostics:
        raise InputError(f"{where}: {measure} is only measured with diagnostics = true in [training] of its experiment")


def _check_logarithm(measure: str, value: float | None, where: str) -> None:
    if measure not in POSITIVE:
        raise InputError(
            f"{where}: a logarithmic scale needs a measure that is always above 0; got {measure}, and the accepted "
            f"ones are {', '.join(POSITIVE)}"
        )
    if value is not None and value <= 0:
        raise InputError(f"{where}: on a logarithmic scale, value must be above 0; got {value}")


def parse(data: Mapping[str, Any], name: str) -> Claim:
    """Return the checked claim that the tables of a TOML file describe.

    Raises:
        InputError: if something in them is wrong.
    """
    claim: Claim = validate(Claim, {**data, "name": name}, f"claim {name!r}")
    claim.check()
    return claim


def available() -> dict[str, Path]:
    """Return the files of claims by name: those of memspan, and those in ``experiments/claims/`` where one works."""
    folders = (CLAIMS, Path.cwd() / "experiments" / "claims")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}


def load(name_or_path: str) -> Claim:
    """Return the claim with this name (see ``memspan list``), or the one in this TOML file."""
    return parse(*read("claim", name_or_path, available()))


def load_all(names: Iterable[str]) -> list[Claim]:
    """Return the claims with these names or paths.

    Raises:
        InputError: if two claims have the same name, because a report has one entry for each name.
    """
    claims = [load(name) for name in names]
    labels = [claim.name for claim in claims]
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        raise InputError(f"name each claim once, and no two files with the same name; got twice: {', '.join(repeated)}")
    return claims


def load_set(name: str) -> list[Claim]:
    """Return the available claims of a set.

    Raises:
        InputError: if there is no such set, or one of the claims is wrong.
    """
    claims = [load(each) for each in available()]
    chosen = [claim for claim in claims if claim.set == name]
    if not chosen:
        raise unknown("set of claims", name, {claim.set for claim in claims if claim.set is not None})
    return chosen
