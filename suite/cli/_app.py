"""The application and the consoles that all commands share."""

from __future__ import annotations

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
