"""Which rows of a manifest are verified, and what may be imported for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from suite.errors import InputError, unknown
from suite.experiment.experiment import Experiment
from suite.experiment.run_config import digest
from suite.leaderboards.proof.manifest import Manifest, row_name


def choose_rows(manifest: Manifest, selection: str, everything: bool = False) -> list[str]:
    """Return the names of the rows to train again.

    Args:
        manifest: the manifest that has the rows.
        selection: how many rows, or their names separated by commas.
        everything: choose all rows, whatever the selection. Rows that need code from outside memspan are left out if
            it is not trusted.

    Raises:
        InputError: if there is no such row, or it needs code from outside memspan that is not trusted.
    """
    foreign = manifest.foreign_rows
    every = [row_name(row) for row in manifest.rows if "evaluation" in row["role"]]
    names = [name for name in every if name not in foreign]
    if every and not names:
        raise _untrusted(manifest, every)
    if not names:
        raise InputError(
            f"the manifest {str(manifest.path)!r} has no row with results, so there is nothing to train again"
        )
    if everything:
        return names
    if selection.isascii() and selection.isdecimal():
        if int(selection) < 1:
            raise InputError("--rows must be at least 1; got 0")
        # The digest decides: everybody trains the same rows of this leaderboard, and other rows of another one.
        order = sorted(names, key=lambda name: digest(f"{manifest.digest} {name}"))
        return [name for name in names if name in order[: int(selection)]]
    listed = [name.strip() for name in selection.split(",")]
    for name in listed:
        if name in foreign:
            raise _untrusted(manifest, [name])
        if name not in names:
            raise unknown("row", name, names)
    return listed


def _untrusted(manifest: Manifest, rows: Sequence[str]) -> InputError:
    return InputError(
        f"{', '.join(rows)} can only be verified with code outside memspan, which would be imported: "
        f"{', '.join(manifest.outside)}; read it, and give --trust if you trust it"
    )


def own_rows(manifest: Manifest) -> list[Mapping[str, Any]]:
    """Return the rows for which nothing untrusted has to be imported."""
    return [row for row in manifest.rows if row_name(row) not in manifest.foreign_rows]


def own_part(manifest: Manifest) -> Experiment | None:
    """Return the experiment without the tables that name untrusted code; None if nothing is left."""
    experiment = manifest.record.experiment
    if manifest.trusted:
        return experiment
    tasks = [label for label, table in experiment.tasks.items() if ":" not in (table.task or "")]
    rows = [label for label, table in experiment.architectures.items() if ":" not in (table.architecture or "")]
    if len(tasks) == len(experiment.tasks) and len(rows) == len(experiment.architectures):
        return experiment
    return experiment.select(tasks=tasks, architectures=rows) if tasks and rows else None
