"""The checkup of a task: the contract at several lengths, and what drawing a batch costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import torch

from suite.checkup.report import SEARCH_SECONDS, Progress, Report, Row, measured, rule, title, unreached
from suite.contracts.checking import Check, Outcome, outcomes
from suite.contracts.look import on_foreign_ground
from suite.contracts.smallest import Sizes, smallest
from suite.contracts.tasks import TASK_CHECKS, TaskProbe
from suite.contracts.thorough import THOROUGH_TASK_CHECKS
from suite.model.sequence_model import build_model
from suite.model.sizing import Budget, match_hidden_size
from suite.registry import make_task, tasks
from tasks import Task

LONGER = (20, 0, 1, 7, 60)
"""The lengths are longer than the shortest by so much; everything is checked at the first."""
BATCH, LENGTH, PARAMETERS, REPETITIONS = 32, 50, 5000, 9
"""A batch of this size and length is drawn beside a training step of a GRU with so many parameters."""
STAGES = (*TASK_CHECKS[:-1], *THOROUGH_TASK_CHECKS, TASK_CHECKS[-1])
"""The best constant answer comes last, because it means nothing if a batch or a score is not what it should be."""
COST = "cost of a batch"


def checkup(name: str, options: Mapping[str, Any], progress: Progress = lambda text: None) -> Report:
    """Hold a task to its whole contract at several lengths, and measure what a batch costs.

    Args:
        name: its name from ``memspan list``, or ``package.module:Class``.
        options: its options; the others have their defaults.
        progress: is told what is done next.

    Raises:
        InputError: if there is no such task, or it refuses the options.
    """
    options = tasks.options(name, options)
    with on_foreign_ground(f"task {name!r}"):
        task = make_task(name, options)
        lengths = list(dict.fromkeys(_length(task, longer) for longer in LONGER))
        progress(f"checking it at the lengths {', '.join(map(str, lengths))}")
        probe = TaskProbe(task, lengths)
        checks = {check.__name__: check for stage in STAGES for check in stage}
        deadline = time.monotonic() + SEARCH_SECONDS
        found = {
            each.check: _row(task, checks[each.check], each, lengths, deadline) for each in outcomes(STAGES, probe)
        }
        rows = [found.get(key) or unreached([check])[0] for key, check in checks.items()]
        progress(f"measuring the {COST}")
        is_kept = not any(row.state == "failed" for row in rows)
        rows.append(measured(COST, partial(_cost, task), type(task)) if is_kept else Row(COST, "not reached"))
    return Report("task", name, dict(options), tuple(rows))


def _row(task: Task, check: Check[TaskProbe], found: Outcome, lengths: list[int], deadline: float) -> Row:
    if found.reason:
        return Row(title(check), "does not apply", found.reason, rule(check))
    if not found.messages:
        return Row(title(check), "passed", found.figure, rule(check))

    def make(sizes: Sizes) -> TaskProbe:
        # With one length, the violation is shown by that length.
        chosen = lengths if sizes["length"] == max(lengths) else [sizes["length"]]
        return TaskProbe(task, chosen, sizes["batch"])

    largest = {"length": max(lengths), "batch": TaskProbe(task, lengths).size_at(lengths[0])}
    candidates = {"length": range(task.shortest, max(lengths)), "batch": (1, 2, 3, 4, 8, 16, 32)}
    least = smallest(check, make, found.messages[0], largest, candidates, deadline)
    return Row(title(check), "failed", found.figure, rule(check), found.messages, least)


def _length(task: Task, longer: int) -> int:
    return min(task.shortest + longer, task.longest or task.shortest + longer)


def _cost(task: Task) -> str:
    """Compare drawing a batch with a training step of a GRU on it."""
    length = min(max(task.shortest, LENGTH), task.longest or LENGTH)
    generator = torch.Generator().manual_seed(0)
    sizes = task.input_size, task.output_size
    hidden_size = match_hidden_size(
        Budget("parameters", PARAMETERS), lambda size: build_model("gru", {}, sizes[0], size, sizes[1], seed=0)
    )
    model = build_model("gru", {}, sizes[0], hidden_size, sizes[1], seed=0)
    optimizer = torch.optim.Adam(model.parameters())
    batch = task.sample(BATCH, length, generator)

    def draw() -> None:
        task.sample(BATCH, length, generator)

    def step() -> None:
        optimizer.zero_grad()
        task.loss(model(batch.inputs)[0], batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    drawn, stepped = _interleaved(draw, step)
    return f"{drawn / stepped:.2g} × a GRU's training step (batch {BATCH}, length {length}, {1000 * drawn:.2g} ms)"


def _interleaved(*functions: Callable[[], None]) -> list[float]:
    """Return the median time of each function in seconds, after one call that is not counted."""
    times: list[list[float]] = [[] for _ in functions]
    for repetition in range(REPETITIONS + 1):
        for function, seconds in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            if repetition:
                seconds.append(time.perf_counter() - start)
    return [median(seconds) for seconds in times]
