"""What there is to choose from: architectures by their families, tasks, experiments and claims."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from suite.claims import claim
from suite.errors import InputError
from suite.experiment import loading
from suite.experiment.names import chosen_families
from suite.experiment.plain_data import read_toml
from suite.registry import architectures, tasks

Entries = dict[str, dict[str, str]]
"""The names of each kind with their summaries.

Under ``families`` stands the family of each architecture, and under ``sets`` the set of each claim."""
GROUPS = {"architectures": "families", "claims": "sets"}
"""The kinds that are shown in groups, with the key under which the group of each name stands."""
OTHER = "other"
"""The family of a class that states none, as its base class has it, and the set of a claim that belongs to none."""


def everything() -> Entries:
    """Return whatever can be named, without importing it."""
    names = sorted(architectures.names(), key=lambda name: (_family(name), name))
    claims = claim.available()
    sets = {name: _set_of(path) for name, path in claims.items()}
    statements = _titles(claims, "statement")
    return {
        "architectures": {name: architectures.summary(name) for name in names},
        "families": {name: _family(name) for name in names},
        "tasks": {name: tasks.summary(name) for name in tasks.names()},
        "experiments": _titles(loading.available(), "title"),
        "claims": {name: statements[name] for name in sorted(claims, key=lambda name: (sets[name], name))},
        "sets": sets,
    }


def of_family(family: str) -> Entries:
    """Return the architectures of a family, or of several that are separated by commas, without importing them.

    Raises:
        InputError: if no architecture is of such a family.
    """
    families = {name: _family(name) for name in architectures.names()}
    wanted = chosen_families(family, families.values())
    chosen = sorted((name for name in families if families[name] in wanted), key=lambda name: (families[name], name))
    return {
        "architectures": {name: architectures.summary(name) for name in chosen},
        "families": {name: families[name] for name in chosen},
    }


def show(entries: Entries, console: Console) -> None:
    """Print the names of each kind, with architectures below their family and claims below their set."""
    for heading, names in entries.items():
        if heading in GROUPS.values():
            continue
        groups = entries.get(GROUPS.get(heading, ""), {})
        table = Table(
            title=heading, box=None, title_justify="left", title_style="bold", show_header=False, padding=(0, 2)
        )
        for group, members in groupby(names, key=lambda name: groups.get(name, "")):
            if group:
                table.add_row(escape(group), style="dim")
            for name in members:
                table.add_row(f"{'  ' if group else ''}{name}", escape(names[name]))
        console.print(table)
        console.print()


def _family(name: str) -> str:
    return architectures.stated(name, "family") or OTHER


def _set_of(path: Path) -> str:
    """Return the set of a claim. The list of claims says of a file that cannot be read why it cannot."""
    try:
        return str(read_toml(path, repr(path.stem)).get("set", OTHER))
    except InputError:
        return OTHER


def _titles(paths: dict[str, Path], key: str) -> dict[str, str]:
    return {name: loading.title_of(path, key) for name, path in paths.items()}
