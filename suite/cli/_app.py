"""The application and the consoles that all commands share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # some hold passwords
    help="How far back can a sequence architecture remember, and how badly does it overfit?\n\n"
    "[bold]memspan run quick[/bold] trains every architecture on three tasks and prints a leaderboard; "
    "[bold]memspan list[/bold] shows what there is; [bold]memspan ui[/bold] opens the runs in MLflow.",
)
console = Console()
errors = Console(stderr=True)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Ten thousand runs are millions of objects that all stay: to look for garbage among them takes seconds."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
