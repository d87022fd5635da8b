"""The variants of an experiment: its architectures, each with some of its options fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.errors import InputError, unknown
from suite.experiment.run_config import OF_RESIDUAL_BLOCKS, Frozen
from suite.experiment.search_space import TUNABLE_MODEL, TUNABLE_TRAINING, Sweep
from suite.experiment.tables import MEASURES, ArchitectureTable, Size
from suite.experiment.validation import check_free, errors_at
from suite.registry import architectures

SETTINGS = (*sorted(ArchitectureTable.model_fields.keys() - {"training"}), *(f"training.{t}" for t in TUNABLE_TRAINING))
"""What an architecture table accepts beside the options of the architecture."""


class Variant(Frozen):
    """An architecture with some of its options fixed: a row of the leaderboard."""

    label: str
    architecture: str
    fixed: dict[str, Any]
    """The options of the architecture, of the model and of the training that no sweep changes."""
    size: Size
    untuned: bool = False
    """It is evaluated with its default settings."""

    def searchable_in_model(self, sweep: Sweep) -> set[str]:
        """Return the settings of the model that mean something here, and that its table does not fix.

        Args:
            sweep: the sweep, which may search the form of the blocks.
        """
        names = set(TUNABLE_MODEL) - self.fixed.keys()
        is_plain = self.size.block == "plain" and not ("block" in names and "block" in sweep.space)
        return names - set(OF_RESIDUAL_BLOCKS) if is_plain else names


def make_variant(label: str, table: ArchitectureTable, model: Size, sweep: Sweep) -> Variant:
    """Return the variant of an architecture table.

    Args:
        label: the label of the table.
        table: the table.
        model: the size in ``[model]``, which the table may change.
        sweep: the sweep, which may search the hidden size.

    Raises:
        InputError: if a value of the table breaks a rule, or the size is missing or given twice.
    """
    name, where = table.architecture or label, f"[architectures.{label}]"
    with errors_at(where):
        all_options = architectures.options(name, table.model_extra or {}, SETTINGS)
    check_free(all_options, {*ArchitectureTable.model_fields, *TUNABLE_TRAINING, *TUNABLE_MODEL}, where)
    for key in table.training:
        if key not in TUNABLE_TRAINING:
            raise unknown("key", key, TUNABLE_TRAINING, of=f"{where} training")
    variant = read_variant(label, table, model)
    size = variant.size
    given = _size_keys(size.model_dump())
    if len(given) != 1 and not (given == [] and "hidden_size" in sweep.space):
        raise InputError(
            f"{where}: give the size once, as hidden_size (equal width), as parameters (equal parameters) or as state "
            f"(equal state), here or in [model]; got {' and '.join(given) or 'none of them'}"
        )
    idle = [name for name in OF_RESIDUAL_BLOCKS if getattr(table, name) is not None]
    if idle and not variant.searchable_in_model(sweep) & set(OF_RESIDUAL_BLOCKS) and size.block == "plain":
        raise InputError(
            f'{where}: {idle[0]} belongs to residual blocks, and block is "plain" here; give block = "residual" too'
        )
    return variant


def read_variant(label: str, table: ArchitectureTable, model: Size) -> Variant:
    """Return the variant of an architecture table as it stands there; its architecture is not imported."""
    own_size = table.model_dump(include=set(Size.model_fields), exclude_none=True)
    replaced = set(MEASURES) if _size_keys(own_size) else set()
    size = Size(**{**model.model_dump(exclude=replaced), **own_size})
    fixed_size = {key: value for key, value in own_size.items() if key not in MEASURES[1:]}
    fixed = {**(table.model_extra or {}), **fixed_size, **table.training}
    return Variant(
        label=label, architecture=table.architecture or label, fixed=fixed, size=size, untuned=bool(table.untuned)
    )


def _size_keys(settings: Mapping[str, Any]) -> list[str]:
    """Return those keys of some settings that give a size."""
    return [key for key in MEASURES if settings.get(key) is not None]
