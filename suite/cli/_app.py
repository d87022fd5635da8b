"""The application and the consoles that all commands share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from suite.errors import many

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # Some of them hold passwords.
    help="How far back can a sequence architecture remember, and how badly does it overfit?\n\n"
    "[bold]memspan run quick[/bold] trains nine recurrent architectures on three tasks and prints a leaderboard. "
    "[bold]memspan list[/bold] shows the architectures, tasks, experiments and claims. "
    "[bold]memspan ui[/bold] opens the runs in MLflow.",
)
console = Console()
stderr = Console(stderr=True)


def print_written(written: list[Path]) -> None:
    """Print where files were written."""
    stderr.print(f"wrote {written[0]} and {many(len(written) - 1, 'file')} beside it", soft_wrap=True)


@contextmanager
def infrequent_garbage_collection() -> Iterator[None]:
    """Search for garbage less often in this context, because the millions of objects of many runs all stay."""
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
