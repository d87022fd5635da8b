"""The command line: thin, and quick to answer (heavy libraries are imported by the commands that need them)."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer

from suite.cli import claims, leaderboards, runs, timing
from suite.cli import info as looks
from suite.cli._app import app, errors
from suite.errors import InputError, StoreError

__all__ = ["app", "claims", "leaderboards", "looks", "main", "runs", "timing"]

ORDER = ("list", "run", "status", "leaderboard", "verify", "compare", "claims", "gradients", "ui", "speed", "doctor")
"""Of the commands in the help: as one comes to need them."""
app.registered_commands.sort(key=lambda command: ORDER.index(command.name or getattr(command.callback, "__name__", "")))

INTERRUPTED = 130
"""What typer returns after Ctrl-C."""


def _say_interrupted() -> NoReturn:
    errors.print(
        "memspan: interrupted; what is finished is kept, and the same command goes on from there", soft_wrap=True
    )
    sys.exit(1)


def main() -> None:
    """The entry point: bad input is one message and exit code 2, an interruption is exit code 1."""
    try:
        result: Any = app(standalone_mode=False)
    except InputError as error:
        errors.print(f"memspan: {error}", style="red", highlight=False, soft_wrap=True, markup=False)
        sys.exit(2)
    except StoreError as error:
        text = f"memspan: {error}; what is finished is kept, and the same command goes on from there"
        errors.print(text, style="red", highlight=False, soft_wrap=True, markup=False)
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        _say_interrupted()
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # a usage error of the command line's own
            error.show()
            sys.exit(error.exit_code)
        raise
    if result == INTERRUPTED:
        _say_interrupted()
    sys.exit(result if isinstance(result, int) else 0)
