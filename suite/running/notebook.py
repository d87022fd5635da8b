"""Cells and tasks that a notebook defines: they are written to files, which every process can import."""

from __future__ import annotations

import importlib
import sys
import tempfile
from functools import cache
from pathlib import Path

from suite.errors import InputError
from suite.experiment.experiment import Experiment
from suite.experiment.notebook_source import is_of_notebook, module_of
from suite.store.files import write_whole

FOLDER = "notebook"
"""The folder of these files in a store."""


def with_files(experiment: Experiment, store: Path, *, reads_only: bool = False) -> Experiment:
    """Return an experiment in which each class of this notebook has a file of its own.

    ``__main__:Mine`` becomes ``notebook_…:Mine``, whose file is found by this process and by its workers. An edited
    class has another file, and so other runs.

    Args:
        experiment: the experiment.
        store: the folder of the store, where the files are kept in `FOLDER`.
        reads_only: write nothing into the store. A file that it lacks is then made elsewhere, until this process ends.

    Raises:
        InputError: if the source of a class cannot be found, or the folder cannot be written.
    """
    tables = experiment.model_dump()
    found = [
        (table, key)
        for kind, key in (("architectures", "architecture"), ("tasks", "task"))
        for table in tables[kind].values()
        if is_of_notebook(table[key] or "")
    ]
    if not found:
        return experiment
    for table, key in found:
        class_name = table[key].partition(":")[2]
        table[key] = f"{_written(class_name, store / FOLDER, reads_only)}:{class_name}"
    return Experiment.from_tables(tables, experiment.name)


def _written(class_name: str, folder: Path, reads_only: bool) -> str:
    """Write the module of a class, unless it is there, and return its name."""
    name, text = module_of(class_name)
    file = folder.resolve() / f"{name}.py"
    if reads_only and not file.exists():
        file = Path(_elsewhere().name) / FOLDER / file.name
    if not file.exists():
        try:
            write_whole(file, text.encode())
        except OSError as error:
            raise InputError(f"{str(file)!r} cannot be written: {error.strerror}; give another store") from error
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    importlib.invalidate_caches()
    return name


@cache
def _elsewhere() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is deleted when this process ends."""
    return tempfile.TemporaryDirectory(prefix="memspan-")
