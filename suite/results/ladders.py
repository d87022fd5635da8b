"""Ladders: the levels of one task table that differ in their delay, or in the size of their training set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from suite.experiment.lengths import LengthRange
from suite.experiment.levels import Level
from suite.experiment.run_config import TaskConfig, canonical_json
from suite.results.horizon import EXTRAPOLATED, POINTS, TRAINED

FEWEST_LENGTHS = 3
"""The fewest lengths of an extrapolated ladder: a single longer length is already in the table of longer lengths."""


class Ladder(NamedTuple):
    """Levels of one task table that differ in one quantity; ``rungs`` maps their labels to it, in ascending order."""

    table: str
    label: str
    rungs: dict[str, float]


def delay_ladders(levels: Sequence[Level]) -> list[Ladder]:
    """Return the ladders of levels with different delays; each level trains nets of its own."""
    return _ladders(levels, lambda level: level.delay(level.task.longest))


def size_ladders(levels: Sequence[Level]) -> list[Ladder]:
    """Return the ladders of levels with different ``train_size``."""
    return _ladders(levels, lambda level: level.task.train_size)


def _ladders(all_levels: Sequence[Level], measure: Callable[[Level], float | None]) -> list[Ladder]:
    """Return the ladders whose levels agree in every setting that does not change ``measure``."""
    tables: dict[str, list[Level]] = {}
    for level in all_levels:
        tables.setdefault(level.table, []).append(level)
    ladders = []
    for table, levels in tables.items():
        if len(levels) < 2:
            continue
        values = {level.label: value for level in levels if (value := measure(level)) is not None}
        settings = {level.label: _settings(level.task) for level in levels if level.label in values}
        keys = next(iter(settings.values()), {})
        varying = [key for key in keys if len({s[key] for s in settings.values()}) > 1]
        moving = [key for key in varying if _moves(key, varying, settings, values)]
        # Where several settings do, the length comes first: another option may make another task altogether.
        rung = sorted(moving, key=lambda key: key != "length")[:1]
        others = [key for key in varying if key not in rung]
        groups: dict[str, dict[str, float]] = {}
        for label, value in values.items():
            name = " ".join([table, *(f"{key}={settings[label][key]}" for key in others)])
            groups.setdefault(name, {})[label] = value
        for name, rungs in groups.items():
            if len(set(rungs.values())) > 1:
                ladders.append(Ladder(table, name, dict(sorted(rungs.items(), key=lambda rung: rung[1]))))
    return ladders


def _settings(task: TaskConfig) -> dict[str, str]:
    """Return the settings that may differ between the levels of a table, as text."""
    settings: dict[str, Any] = {**task.options, "length": task.length, "train_size": task.train_size}
    return {
        key: str(value) if isinstance(value, LengthRange) else canonical_json(value).strip('"')
        for key, value in settings.items()
    }


def _moves(key: str, varying: list[str], settings: dict[str, dict[str, str]], values: dict[str, float]) -> bool:
    """Return whether levels that differ in ``key`` alone differ in value."""
    alike: dict[tuple[str, ...], set[float]] = {}
    for label, value in values.items():
        other_settings = tuple(settings[label][other] for other in varying if other != key)
        alike.setdefault(other_settings, set()).add(value)
    return any(len(distinct) > 1 for distinct in alike.values())


def delay_points(runs: pd.DataFrame, levels: Sequence[Level]) -> pd.DataFrame:
    """Return the points from which `horizon.horizons` reads horizons, trained and extrapolated.

    A ladder counts from two rungs with runs; without any such ladder the table is empty.

    Args:
        runs: finished evaluations, with ``architecture``, ``task`` (the level's label), ``seed``, ``skill`` and a
            ``skill_at_length_N`` per longer length.
        levels: the levels of the experiment.
    """
    parts = []
    for ladder in delay_ladders(levels):
        on_ladder = runs[runs["task"].isin(ladder.rungs)]
        if on_ladder["task"].nunique() > 1:
            delays = on_ladder["task"].map(ladder.rungs)
            parts.append(on_ladder.assign(ladder=ladder.label, kind=TRAINED, rung=on_ladder["task"], delay=delays))
    for level in levels:
        # A skill over lengths from a range is that of no delay, and its horizon is read from the longer lengths alone.
        lengths: dict[int, str] = {} if isinstance(level.task.length, LengthRange) else {level.task.length: "skill"}
        lengths |= {n: f"skill_at_length_{n}" for n in level.task.test_lengths if n > level.task.longest}
        if len(lengths) < FEWEST_LENGTHS:
            continue
        delay_at = {n: level.delay(n) for n in lengths}
        if None in delay_at.values() or len(set(delay_at.values())) < FEWEST_LENGTHS:
            continue
        on_level = runs[runs["task"] == level.label]
        for n, column in lengths.items():
            if column in on_level:
                rung = level.label if column == "skill" else f"{level.label}, tested at {n}"
                part = on_level.assign(ladder=level.label, kind=EXTRAPOLATED, rung=rung, delay=delay_at[n])
                parts.append(part.assign(skill=on_level[column]).dropna(subset="skill"))
    return pd.concat(parts)[list(POINTS)] if parts else pd.DataFrame(columns=list(POINTS))


def size_points(runs: pd.DataFrame, levels: Sequence[Level]) -> pd.DataFrame:
    """Return the runs on ladders of training-set sizes, with ``ladder`` and ``train_size``; see `delay_points`."""
    parts = []
    for ladder in size_ladders(levels):
        on_ladder = runs[runs["task"].isin(ladder.rungs)]
        if on_ladder["task"].nunique() > 1:
            parts.append(on_ladder.assign(ladder=ladder.label, train_size=on_ladder["task"].map(ladder.rungs)))
    return pd.concat(parts) if parts else pd.DataFrame()
