"""The checkup of an architecture: the contract on a few steps, again on many after some training, and measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch

from suite.architectures import Cell, Layer
from suite.checkup import architecture_measures as measures
from suite.checkup.report import SEARCH_SECONDS, Progress, Report, Row, measured, rule, title, unreached
from suite.contracts.cell_probe import TIME, CellProbe
from suite.contracts.cells import CELL_CHECKS
from suite.contracts.checking import CalledCodeError, Check, Outcome, outcomes
from suite.contracts.layers import LAYER_CHECKS
from suite.contracts.look import on_foreign_ground
from suite.contracts.smallest import Sizes, smallest
from suite.contracts.thorough import THOROUGH_CELL_CHECKS, THOROUGH_LAYER_CHECKS, trained
from suite.registry import architectures

INPUT_SIZE = 2
MORE_STEPS, MANY_STEPS = 20, 40
"""What only goes wrong after a while shows within so many steps. Double precision bears more, since it rounds less."""
HIDDEN_SIZE, LARGEST_HIDDEN_SIZE = 4, 64
"""The hidden size is this, or the next one that can be built."""


IN_DOUBLE = (
    "it can be trained in float64",
    "Every tensor has the type and the device of the parameters, as an initial state from self.zeros has.",
)
"""The name of what fails when a cell cannot be made for the last round, and its rule."""


class Setting(NamedTuple):
    """How an architecture is made and run for a round of checks."""

    words: str
    sizes: Sizes
    dtype: torch.dtype
    training: bool


def checkup(name: str, options: Mapping[str, Any], progress: Progress = lambda text: None) -> Report:
    """Hold an architecture to its whole contract, and measure it. This takes about a minute at most.

    Args:
        name: its name from ``memspan list``, or ``package.module:Class``.
        options: its options; the others have their defaults.
        progress: is told what is done next.

    Raises:
        InputError: if there is no such architecture, or it has no such option.
    """
    cls = architectures.get(name)
    options = architectures.options(name, options)
    kind = "cell" if issubclass(cls, Cell) else "layer"
    with on_foreign_ground(f"{kind} {name!r}"):
        rows = _contract(cls, options, progress)
        is_kept = not any(row.state == "failed" for row in rows)
        for what, measure in measures.MEASURES.items():
            progress(f"measuring its {what}")
            rows.append(measured(what, partial(measure, name, options), cls) if is_kept else Row(what, "not reached"))
    return Report(kind, name, dict(options), tuple(rows))


def _contract(cls: type[Layer], options: Mapping[str, Any], progress: Progress) -> list[Row]:
    """Return a row for each rule, with what the first round that breaks it has found."""
    is_cell = issubclass(cls, Cell)
    stages = (*CELL_CHECKS, *THOROUGH_CELL_CHECKS) if is_cell else (*LAYER_CHECKS, *THOROUGH_LAYER_CHECKS)
    first = {"time": TIME, "batch": 0, "input_size": INPUT_SIZE, "hidden_size": _hidden_size(cls, options)}
    rounds = [
        Setting(f"on {TIME} steps", first, torch.float32, False),
        Setting(f"on {MORE_STEPS} steps", {**first, "time": MORE_STEPS}, torch.float32, False),
        Setting(f"on {MANY_STEPS} steps after some training", {**first, "time": MANY_STEPS}, torch.float64, True),
    ]
    found: dict[str, Row] = {}
    for setting in rounds:
        progress(f"checking it {setting.words}")
        make = partial(_probe, cls, options, setting)
        try:
            torch.default_generator.manual_seed(0)
            probe = make(setting.sizes)
        except CalledCodeError as error:
            name, broken = IN_DOUBLE if setting.training else ("it can be made", "The constructor makes it.")
            built = Row(name, "failed", rule=broken, received=(str(error),))
            return [built, *found.values()] if found else [built, *unreached(c for stage in stages for c in stage)]
        checks = {check.__name__: check for stage in stages for check in stage}
        sizes, deadline = {**setting.sizes, "batch": probe.batch}, time.monotonic() + SEARCH_SECONDS
        for each in outcomes(stages, probe):
            row = _row(checks[each.check], each, make, sizes, deadline, progress)
            if each.check not in found or (found[each.check].state != "failed" and not each.reason):
                found[each.check] = row
        if any(row.state == "failed" for row in found.values()):
            break
    return [found.get(check.__name__) or unreached([check])[0] for stage in stages for check in stage]


def _row(
    check: Check[CellProbe],
    found: Outcome,
    make: Callable[[Sizes], CellProbe],
    sizes: Sizes,
    deadline: float,
    progress: Progress,
) -> Row:
    if found.reason:
        return Row(title(check), "does not apply", found.reason, rule(check))
    if not found.messages:
        return Row(title(check), "passed", found.figure, rule(check))
    progress(f"looking for the smallest input at which {title(check)} fails")
    candidates = {
        "time": range(1, sizes["time"]),
        "batch": range(1, sizes["batch"]),
        "input_size": range(1, sizes["input_size"]),
        "hidden_size": range(1, min(sizes["hidden_size"], 16)),
    }
    least = smallest(check, make, found.messages[0], sizes, candidates, deadline)
    return Row(title(check), "failed", found.figure, rule(check), found.messages, least)


def _probe(cls: type[Layer], options: Mapping[str, Any], setting: Setting, sizes: Sizes) -> CellProbe:
    input_size = sizes["input_size"]

    def make() -> Layer:
        layer = cls(input_size, sizes["hidden_size"], **options).to(setting.dtype)
        if not setting.training:
            return layer
        return trained(layer, torch.randn(4, TIME, input_size, dtype=setting.dtype))

    return CellProbe(cls, make, input_size, setting.dtype, sizes["time"], sizes["batch"])


def _hidden_size(cls: type[Layer], options: Mapping[str, Any]) -> int:
    """Return the smallest hidden size from `HIDDEN_SIZE` on that the constructor does not refuse."""
    for size in range(HIDDEN_SIZE, LARGEST_HIDDEN_SIZE + 1):
        try:
            cls(INPUT_SIZE, size, **options)
        except ValueError:
            continue
        except BaseException:  # It is told when the first probe is made.
            break
        return size
    return HIDDEN_SIZE
