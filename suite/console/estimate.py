"""An estimate of the time that the missing runs of an experiment take, from a few measured steps of each study."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from suite.console.progress import duration
from suite.planning.plan import Plan
from suite.planning.study import Study
from suite.training.train import train

STEPS = 20
"""The number of optimiser steps that are measured."""
HEADINGS = ("runs missing", "hidden size", "seconds per run")


def print_estimate(plan: Plan, workers: int, console: Console, power: str = "") -> None:
    """Print the missing runs of each study, by task, and the time that they take.

    Args:
        plan: the plan.
        workers: the number of runs at a time.
        console: the console on which to print.
        power: a sentence that says what the seeds of the plan can show.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    total = 0.0
    for level, studies in groupby(plan.studies, key=lambda study: study.level.label):
        table.add_row(f"[bold]{escape(level)}[/bold]")
        for study in studies:
            missing = plan.experiment.runs_per_study - plan.progress(study).done
            hidden_size, seconds = _measure(study)
            total += seconds * missing
            table.add_row(f"  {escape(study.variant.label)}", str(missing), str(hidden_size), f"{seconds:.1f}")
    console.print(table)
    at_a_time = f"{workers} worker{'s' * (workers > 1)}"
    if power:
        console.print(power, highlight=False)
    console.print(
        f"{plan.planned - plan.done} of {plan.planned} runs are missing. With {at_a_time}, they take some ten seconds "
        f"to start and then at most about {duration(total / workers)}. A run that solves its task stops early.",
        highlight=False,
    )


def _measure(study: Study) -> tuple[int, float]:
    """Return the hidden size of a study's defaults, and the seconds that one run with the defaults takes."""
    config = study.config(study.defaults, study.sweep.seed)
    training = config.training.model_copy(update={"steps": STEPS, "validation_size": 8, "test_size": 8})
    task = config.task.model_copy(update={"test_lengths": ()})
    short = config.model_copy(update={"training": training, "task": task})
    train(short)  # The first run compiles the kernels.
    seconds = train(short).metrics["training_seconds"] / STEPS * config.training.steps
    return config.model.hidden_size, seconds
