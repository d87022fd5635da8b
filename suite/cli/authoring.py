"""``memspan new`` and ``memspan check``, for those who add something of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suite.cli._app import app, console, stderr


@app.command()
def new(
    kind: Annotated[str, typer.Argument(help="What to write: cell, layer, task, experiment or claim.")],
    name: Annotated[
        str, typer.Argument(help="The name of the file without its ending, such as my_cell, whose class is MyCell.")
    ],
) -> None:
    """Write a complete cell, layer, task, experiment or claim into the working folder, to be edited.

    A file that is there already is never replaced.
    """
    from suite.templates.writing import write

    path, next_steps = write(kind, name, Path())
    stderr.print(f"wrote {path}. It works as it is. Edit it, and go on with:", highlight=False, soft_wrap=True)
    for line in next_steps:
        console.print(f"    {line}", highlight=False, markup=False, soft_wrap=True)
