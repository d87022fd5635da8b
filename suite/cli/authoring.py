"""``memspan new`` and ``memspan check``, for those who add something of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from suite.cli._app import app, console, stderr
from suite.cli._options import AsJson


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


@app.command()
def check(
    name: Annotated[
        str, typer.Argument(help="An architecture or a task: a name from `memspan list`, or my_cell:MyCell.")
    ],
    options: Annotated[str, typer.Option(help="Its options, such as 'rate=0.5 heads=2'. Default: its own.")] = "",
    as_json: AsJson = False,
) -> int:
    """Hold a cell, a layer or a task to its whole contract, and measure it, in at most about a minute.

    For each rule that is broken, this says what was received and the smallest input that shows it. The exit code is 0
    if every rule is kept, and 1 otherwise.
    """
    from suite.checkup.subject import checkup
    from suite.console.checkup_table import show
    from suite.options import option_of_text

    given = dict(option_of_text(pair, name) for pair in options.split())
    with stderr.status(f"looking at {name}") as line:
        report = checkup(name, given, lambda text: line.update(f"{name}: {text}"))
    if as_json:
        print(json.dumps(report.plain(), indent=2, ensure_ascii=False))
    else:
        show(report, console)
    return 1 if report.failed else 0
