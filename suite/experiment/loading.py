"""Experiments by name or by path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.errors import InputError, shortened, unknown
from suite.experiment.experiment import Experiment
from suite.experiment.plain_data import read_toml

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
"""The folder of the experiments that come with memspan."""


def load(name_or_path: str | Path) -> Experiment:
    """Return the experiment of a name, or of the path of a TOML file.

    Raises:
        InputError: if there is no such experiment, or its file breaks a rule.
    """
    experiment = parse(*read("experiment", str(name_or_path), available()))
    experiment.check_trials()
    return experiment


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
        beside = path.with_name(f"{path.name}.toml") if path.name else path
        likely = str(beside) if beside.is_file() else ""
        raise unknown(kind, name_or_path, paths, other="a path ending in .toml", likely=likely)
    tables = read_toml(path, f"{kind} {shortened(name_or_path)}")
    if "name" in tables:
        raise InputError(f"{path.name}: the name of {kind} {path.stem!r} is that of its file; remove the key 'name'")
    return tables, path.stem


def parse(tables: Mapping[str, Any], name: str) -> Experiment:
    """Return the experiment of the tables of a whole file. If it is that of a claim, the budgets may have the trials.

    Raises:
        InputError: if the name or the tables break a rule.
    """
    experiment = Experiment.from_tables(tables, name)
    experiment.check_search_space()
    return experiment


def title_of(path: Path, key: str) -> str:
    """Return the text under a key of one TOML file of many, or the reason why the file cannot be read."""
    try:
        return str(read_toml(path, repr(path.stem)).get(key, ""))
    except InputError as error:
        return f"({error})"
