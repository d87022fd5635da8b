"""How long the missing runs of an experiment take, by a few measured steps of each study."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from suite.console.progress import duration
from suite.planning.plan import Plan, places
from suite.training.train import train

STEPS = 20


def estimate(plan: Plan, workers: int, console: Console) -> None:
    """Print the missing runs of each study, and the time they take."""
    table = Table(box=None, padding=(0, 2))
    for heading in ("study", "runs missing", "hidden size", "seconds per run"):
        table.add_column(heading, justify="left" if heading == "study" else "right", overflow="fold")
    total = 0.0
    for study in plan.studies:
        done = sum(job.key in plan.finished for job in places(study, plan.finished))
        config = study.config(study.defaults, study.sweep.seed)
        few = config.training.model_copy(update={"steps": STEPS, "validation_size": 8, "test_size": 8})
        task = config.task.model_copy(update={"test_lengths": ()})
        short = config.model_copy(update={"training": few, "task": task})
        train(short)  # compiles
        seconds = train(short).metrics["training_seconds"] / STEPS * config.training.steps
        missing = plan.experiment.runs_per_study - done
        total += seconds * missing
        table.add_row(study.name, str(missing), str(config.model.hidden_size), f"{seconds:.1f}")
    console.print(table)
    console.print(
        f"{plan.planned - plan.done} of {plan.planned} runs are missing: at most about {duration(total / workers)} "
        f"with {workers} worker{'s' * (workers > 1)} after a start of some ten seconds, less where runs stop early "
        "because they solved the task."
    )
