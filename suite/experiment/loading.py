"""Experiments by name or by path."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.errors import InputError, unknown
from suite.experiment.experiment import Experiment

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
"""The folder of the experiments that come with memspan."""


def load(name_or_path: str | Path) -> Experiment:
    """Return the experiment of a name, or of the path of a TOML file.

    Raises:
        InputError: if there is no such experiment, or its file breaks a rule.
    """
    return parse(*read("experiment", str(name_or_path), available()))


def available() -> dict[str, Path]:
    """Return the paths of the experiments by name: those of memspan, and those in ``experiments/`` where you work."""
    folders = (EXPERIMENTS, Path.cwd() / "experiments")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}


def read(kind: str, name_or_path: str, paths: Mapping[str, Path]) -> tuple[dict[str, Any], str]:
    """Return the tables of a TOML file, and the name of whatever they describe.

    Args:
        kind: the word for it in messages, such as ``experiment``.
        name_or_path: one of the names in ``paths``, or the path of a file.
        paths: the paths of files by name.

    Raises:
        InputError: if the name is unknown, or the file cannot be read.
    """
    path = paths.get(name_or_path) or Path(name_or_path)
    if path.suffix != ".toml":
        raise unknown(kind, name_or_path, paths, other="a path ending in .toml")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), path.stem
    except OSError as error:
        raise InputError(f"cannot read {kind} {name_or_path!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not valid TOML: {error}") from error


def parse(tables: Mapping[str, Any], name: str) -> Experiment:
    """Return the experiment of the tables of a whole file.

    Raises:
        InputError: if the name or the tables break a rule.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][\w .+-]*", name):  # The name is also that of a folder in the store.
        raise InputError(f"the name of an experiment is letters, digits, '_', '-' and '.'; got {name!r}")
    experiment = Experiment.from_tables(tables, name)
    experiment.check_search_space()
    return experiment
