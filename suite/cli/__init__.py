"""The command line. It answers quickly, because each command imports the heavy libraries that it needs."""

from __future__ import annotations

import inspect
import sys
from typing import Any, NoReturn

import typer

from suite.cli import claims, info, leaderboards, runs, timing
from suite.cli._app import app, stderr
from suite.errors import InputError, StoreError

__all__ = ["app", "claims", "info", "leaderboards", "main", "runs", "timing"]

ORDER = ("list", "run", "status", "leaderboard", "verify", "compare", "claims", "gradients", "ui", "speed", "doctor")
"""The order of the commands in the help, which is the order in which a user needs them."""
app.registered_commands.sort(key=lambda command: ORDER.index(command.name or getattr(command.callback, "__name__", "")))
for command in app.registered_commands:  # The help shows the line breaks of a docstring, at any width of the terminal.
    paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
    command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)

INTERRUPTED = 130
"""The exit code that typer returns after Ctrl-C."""
GOES_ON = "finished runs are kept, and the same command goes on from there"


def _end_interrupted() -> NoReturn:
    stderr.print(f"memspan: interrupted; {GOES_ON}", soft_wrap=True)
    sys.exit(1)


def main() -> None:
    """Run the command line. Wrong input ends with one message and exit code 2, and an interruption with exit code 1."""
    try:
        result: Any = app(standalone_mode=False)
    except InputError as error:
        stderr.print(f"memspan: {error}", style="red", highlight=False, soft_wrap=True, markup=False)
        sys.exit(2)
    except StoreError as error:
        stderr.print(f"memspan: {error}; {GOES_ON}", style="red", highlight=False, soft_wrap=True, markup=False)
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        _end_interrupted()
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # It is a usage error, which shows itself.
            error.show()
            sys.exit(error.exit_code)
        raise
    if result == INTERRUPTED:
        _end_interrupted()
    sys.exit(result if isinstance(result, int) else 0)
