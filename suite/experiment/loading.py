"""Experiments by name or path."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.errors import InputError, unknown
from suite.experiment.experiment import Experiment, _validated
from suite.experiment.search_space import TUNABLE_MODEL, TUNABLE_TRAINING
from suite.registry import architectures

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
"""The experiments that come with memspan."""


def parse(data: Mapping[str, Any], name: str) -> Experiment:
    """A validated experiment from the tables of a TOML file."""
    if not re.fullmatch(r"[A-Za-z0-9_][\w .+-]*", name):  # it names a folder of the store
        raise InputError(f"the name of an experiment is letters, digits, '_', '-' and '.'; got {name!r}")
    experiment = _validated(data, name)
    _check_space(experiment)
    return experiment


def _check_space(experiment: Experiment) -> None:
    """Every dimension of the space is one of some architecture, and not fixed wherever it is."""
    shared = {*TUNABLE_TRAINING, *TUNABLE_MODEL}
    options = {v.label: {*shared, *architectures.options(v.architecture, {})} for v in experiment.variants}
    for name in experiment.sweep.space:
        having = [variant for variant in experiment.variants if name in options[variant.label]]
        if not having:
            raise unknown("dimension", name, set().union(*options.values()), of="[sweep.space]")
        if all(name in variant.fixed for variant in having):
            raise InputError(
                f"dimension {name!r} of [sweep.space] is never searched: every architecture that has it fixes it "
                f"({', '.join(variant.label for variant in having)}); remove it there or here"
            )


def available() -> dict[str, Path]:
    """The experiments that come with memspan and those in ``experiments/`` of the working directory, by name."""
    folders = (EXPERIMENTS, Path.cwd() / "experiments")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}


def load(name_or_path: str | Path) -> Experiment:
    """The experiment of a name (``memspan list``) or of the path of a TOML file."""
    return parse(*read("experiment", str(name_or_path), available()))


def read(kind: str, name_or_path: str, known: Mapping[str, Path]) -> tuple[dict[str, Any], str]:
    """The tables of a TOML file, by one of the ``known`` names or by its path, and the name of what is in it."""
    path = known.get(name_or_path) or Path(name_or_path)
    if path.suffix != ".toml":
        raise unknown(kind, name_or_path, known, other="a path ending in .toml")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), path.stem
    except OSError as error:
        raise InputError(f"cannot read {kind} {name_or_path!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not valid TOML: {error}") from error
