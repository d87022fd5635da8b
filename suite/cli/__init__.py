"""The command line. It answers quickly, because each command imports the heavy libraries that it needs."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import typer

from suite.cli import authoring, boards, claims, info, leaderboards, runs, timing
from suite.cli._app import app, stderr
from suite.errors import DamagedError, InputError, StoreError
from suite.surroundings import failure_of_stdout, protect_streams

__all__ = ["app", "authoring", "boards", "claims", "info", "leaderboards", "main", "runs", "timing"]

ORDER = (
    *("list", "run", "status", "leaderboard", "verify", "compare", "add", "merge", "index", "claims", "new", "check"),
    *("gradients", "ui", "speed", "doctor"),
)
"""The order of the commands in the help, which is the order in which a user needs them."""
app.registered_commands.sort(key=lambda command: ORDER.index(command.name or getattr(command.callback, "__name__", "")))
for command in app.registered_commands:  # The help shows the line breaks of a docstring, at any width of the terminal.
    paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
    command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)

INTERRUPTED = 130
"""The exit code that typer returns after Ctrl-C."""
GOES_ON = "finished runs are kept, and the same command goes on from there"


def main() -> None:
    """Run the command line, and end with its exit code.

    It is 2 after wrong input, and 1 after an interruption or if the output could not be written.
    """
    protect_streams()
    code = _run()
    failure = failure_of_stdout()
    if failure is not None:
        stderr.print(f"memspan: stdout cannot be written: {failure.strerror}", style="red", soft_wrap=True)
    sys.exit(code or int(failure is not None))


def _run() -> int:
    """Run the command line, say in one message why a command cannot go on, and return the exit code."""
    try:
        result: Any = app(standalone_mode=False)
    except InputError as error:
        return _complain(str(error), 2)
    except DamagedError as error:
        return _complain(str(error), 1)
    except StoreError as error:
        return _complain(f"{error}; {GOES_ON}", 1)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # It is a usage error, which shows itself.
            error.show()
            return int(error.exit_code)
        raise
    if result == INTERRUPTED:
        stderr.print(f"memspan: interrupted; {GOES_ON}", soft_wrap=True)
        return 1
    return result if isinstance(result, int) else 0


def _complain(message: str, code: int) -> int:
    stderr.print(f"memspan: {message}", style="red", highlight=False, soft_wrap=True, markup=False)
    return code
