"""The sizes of the models of an experiment, which are shown before its first run where they have been solved for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from suite.model.sizing import Budget, ModelSizes
from suite.planning.plan import Plan
from suite.results.wording import NOT_STATED

INDENT = "  "
WIDEST = 28
"""A label up to this width stands on one line."""


def show_sizes(plan: Plan, console: Console) -> None:
    """Print a line for each architecture whose size is asked for as a number of parameters or as a state.

    It has its hidden size, its parameters and its state. They are ranges where they differ between tasks, or between
    the corners of the search space, such as the depths of a search.
    """
    solved = {study.variant.label: study.variant.size.budget for study in plan.studies if study.variant.size.budget}
    if not solved:
        return
    sizes: dict[str, list[ModelSizes]] = {label: [] for label in solved}
    for study in plan.studies:
        if study.variant.label in solved:
            sizes[study.variant.label] += map(study.sizes, study.models())
    budgets = {f"{value:,} {Budget(measure, value).unit}" for measure, value in solved.values()}
    console.print(f"sizes, for {' or '.join(sorted(budgets))}, to 5 %", style="bold", highlight=False)
    console.print(_table(sizes), highlight=False)


def _table(sizes: Mapping[str, list[ModelSizes]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    longest = max(map(len, sizes)) + len(INDENT)
    table.add_column("", overflow="fold", min_width=min(longest, WIDEST))  # The states are broken before it.
    for heading in ("hidden size", "parameters"):
        table.add_column(heading, justify="right", no_wrap=True)
    has_frozen = any(model.frozen for models in sizes.values() for model in models)
    if has_frozen:
        table.add_column("frozen", justify="right", no_wrap=True)
    table.add_column("state", justify="right")
    for label, models in sizes.items():
        columns = [_range(getattr(model, name) for model in models) for name in ("hidden_size", "parameters")]
        frozen = [_range(model.frozen for model in models)] if has_frozen else []
        table.add_row(f"{INDENT}{escape(label)}", *columns, *frozen, _states(models))
    return table


def _states(models: Iterable[ModelSizes]) -> str:
    """Return the sizes of the states of some models, with what each step adds to them."""
    states = [model.state for model in models if model.state]
    if not states:
        return NOT_STATED
    growth = f" ({_range(state.growth for state in states)} per step)" if any(state.growth for state in states) else ""
    return _range(state.numbers for state in states) + growth


def _range(values: Iterable[int]) -> str:
    """Return the smallest and the largest number, or the only one."""
    numbers = set(values)
    return "–".join(f"{number:,}" for number in dict.fromkeys((min(numbers), max(numbers))))
