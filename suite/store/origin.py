"""The file of an experiment or a claim, by which two of one name are told apart."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.errors import InputError
from suite.experiment.loading import EXPERIMENTS
from suite.store.store import Store


def check_origin(store: Store, name: str, paths: Mapping[str, Path]) -> None:
    """Check that no other file has left its runs under the name of this one, and remember this one.

    A file that was edited or moved is the same experiment. Another one, which is still there and differs, is not.

    Args:
        store: the store.
        name: the name of an experiment or a claim, or the path of its file.
        paths: the paths of files by name.

    Raises:
        InputError: if there is another file.
    """
    file = (paths.get(name) or Path(name)).resolve()
    fact = f"file {file.stem}"
    origin = str(file)
    if file.is_relative_to(EXPERIMENTS):  # Those of memspan are the same in every version and place.
        origin = str(file.relative_to(EXPERIMENTS))
    known = store.ledger.fact(fact) if store.reads_only else store.ledger.fact(fact, origin)
    if known in (None, origin):
        return
    other = EXPERIMENTS / str(known)
    theirs, ours = _tables(other), _tables(file)
    differing = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
    if theirs and differing:
        raise InputError(
            f"the store {str(store.folder)!r} has the runs of another {file.stem!r}: {str(other)!r} and {str(file)!r} "
            f"differ in {', '.join(differing)}; rename one of the two files, or give another --store"
        )
    if not theirs and not store.reads_only:
        store.ledger.replace_fact(fact, origin)


def _tables(file: Path) -> dict[str, Any]:
    """Return the tables of a file; none if it is not there any more, or is not TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
