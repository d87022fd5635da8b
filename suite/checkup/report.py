"""The report of a checkup: a row for each rule of the contract, and for each thing that was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from suite.contracts.checking import CalledCodeError, Check, calling
from suite.contracts.smallest import Sizes
from suite.errors import InputError

State = Literal["passed", "failed", "does not apply", "not reached", "measured"]
Progress = Callable[[str], None]
"""Is told in words what is done next."""
SEARCH_SECONDS = 15.0
"""The search for the smallest inputs that show violations takes at most about so long, all together."""


@dataclass(frozen=True)
class Row:
    """A rule or a measurement, and what came of it."""

    name: str
    state: State
    figure: str = ""
    """What was measured, or why the rule does not apply."""
    rule: str = ""
    """The rule in a sentence; empty for a measurement."""
    received: tuple[str, ...] = ()
    """What broke the rule."""
    smallest: Sizes = field(default_factory=dict)
    """The smallest input that shows it; empty if it does not depend on the input."""


@dataclass(frozen=True)
class Report:
    """What a checkup has found."""

    kind: str
    """``cell``, ``layer`` or ``task``."""
    name: str
    options: dict[str, Any]
    rows: tuple[Row, ...]

    @property
    def failed(self) -> list[Row]:
        """The rows of the rules that are broken."""
        return [row for row in self.rows if row.state == "failed"]

    def plain(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return {**asdict(self), "passed": not self.failed}


def title(check: Check[Any]) -> str:
    """Return the name of a check in words."""
    return check.__name__.replace("_", " ")


def rule(check: Check[Any]) -> str:
    """Return the rule of a check, which is its docstring in one line."""
    return " ".join((check.__doc__ or "").replace("``", "").split())


def measured(name: str, measure: Callable[[], str], cls: type) -> Row:
    """Return the row of a measurement. An error of the measured code is a failure, and one of memspan's rules is not.

    Args:
        name: the name of what is measured.
        measure: measures it, and says it in words.
        cls: the class whose code is measured.
    """
    try:
        with calling(f"{cls.__name__}, measured for its {name},", cls):
            try:
                return Row(name, "measured", measure())
            except InputError as error:
                return Row(name, "does not apply", str(error))
    except CalledCodeError as error:
        rule_text = "A class works at every size of batch and length."
        return Row(name, "failed", rule=rule_text, received=(str(error),))


def unreached(checks: Iterable[Check[Any]]) -> list[Row]:
    """Return the rows of checks that rest on a rule which is broken."""
    return [Row(title(check), "not reached", rule=rule(check)) for check in checks]
