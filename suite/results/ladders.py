"""Ladders: the levels of one task table that differ in their delay, or in the size of their training set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from suite.experiment.experiment import Experiment, Level
from suite.experiment.run_config import TaskConfig, canonical_json
from suite.registry import make_task
from suite.results.horizon import EXTRAPOLATED, POINTS, TRAINED
from tasks import DataSet

FEWEST_LENGTHS = 3
"""Of an extrapolated ladder: what one longer length shows, the table of longer lengths says already."""


class Ladder(NamedTuple):
    """Levels of one task table that differ in one thing: ``rungs`` maps their labels to it, in ascending order."""

    table: str
    label: str
    rungs: dict[str, float]


def delay_ladders(experiment: Experiment) -> list[Ladder]:
    """The ladders of levels with different delays, on each of which nets of their own are trained."""
    return _ladders(experiment, lambda task: _delay(task, task.length))


def size_ladders(experiment: Experiment) -> list[Ladder]:
    """The ladders of levels with different ``train_size``."""
    return _ladders(experiment, lambda task: task.train_size)


def _delay(task: TaskConfig, length: int) -> float | None:
    """None where it is 0, and for a data set: nobody knows how much of its past is of use."""
    made = make_task(task.name, task.options)
    return None if isinstance(made, DataSet) else made.delay(length) or None


def _ladders(experiment: Experiment, measure: Callable[[TaskConfig], float | None]) -> list[Ladder]:
    """Levels of a table that agree in every setting that leaves ``measure`` as it is."""
    tables: dict[str, list[Level]] = {}
    for level in experiment.levels:
        tables.setdefault(level.table, []).append(level)
    found = []
    for table, levels in tables.items():
        if len(levels) < 2:
            continue
        values = {level.label: value for level in levels if (value := measure(level.task)) is not None}
        settings = {level.label: _settings(level.task) for level in levels if level.label in values}
        keys = next(iter(settings.values()), {})
        varying = [key for key in keys if len({s[key] for s in settings.values()}) > 1]
        moving = [key for key in varying if _moves(key, varying, settings, values)]
        # Where several do, the length first: levels that differ in another option may be other tasks altogether.
        rung = sorted(moving, key=lambda key: key != "length")[:1]
        others = [key for key in varying if key not in rung]
        groups: dict[str, dict[str, float]] = {}
        for label, value in values.items():
            name = " ".join([table, *(f"{key}={settings[label][key]}" for key in others)])
            groups.setdefault(name, {})[label] = value
        for name, rungs in groups.items():
            if len(set(rungs.values())) > 1:
                found.append(Ladder(table, name, dict(sorted(rungs.items(), key=lambda rung: rung[1]))))
    return found


def _settings(task: TaskConfig) -> dict[str, str]:
    """What may differ between levels of a table, as text."""
    given: dict[str, Any] = {**task.options, "length": task.length, "train_size": task.train_size}
    return {key: canonical_json(value).strip('"') for key, value in given.items()}


def _moves(key: str, varying: list[str], settings: dict[str, dict[str, str]], values: dict[str, float]) -> bool:
    """Whether levels that differ in ``key`` alone differ in value."""
    alike: dict[tuple[str, ...], set[float]] = {}
    for label, value in values.items():
        rest = tuple(settings[label][other] for other in varying if other != key)
        alike.setdefault(rest, set()).add(value)
    return any(len(found) > 1 for found in alike.values())


def delay_points(runs: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Skill against delay, both kinds, as `horizon.horizons` wants it; empty where no ladder has runs on two rungs.

    Args:
        runs: finished evaluations, with ``architecture``, ``task`` (the level's label), ``seed``, ``skill`` and a
            ``skill_at_length_N`` per longer length.
        experiment: whose levels they are.
    """
    parts = []
    for ladder in delay_ladders(experiment):
        here = runs[runs["task"].isin(ladder.rungs)]
        if here["task"].nunique() > 1:
            delays = here["task"].map(ladder.rungs)
            parts.append(here.assign(ladder=ladder.label, kind=TRAINED, rung=here["task"], delay=delays))
    for level in experiment.levels:
        lengths = {level.task.length: "skill"}
        lengths |= {n: f"skill_at_length_{n}" for n in level.task.test_lengths if n > level.task.length}
        if len(lengths) < FEWEST_LENGTHS:
            continue
        reach = {n: _delay(level.task, n) for n in lengths}
        if None in reach.values() or len(set(reach.values())) < FEWEST_LENGTHS:
            continue
        here = runs[runs["task"] == level.label]
        for n, column in lengths.items():
            if column in here:
                rung = level.label if column == "skill" else f"{level.label}, tested at {n}"
                part = here.assign(ladder=level.label, kind=EXTRAPOLATED, rung=rung, delay=reach[n])
                parts.append(part.assign(skill=here[column]).dropna(subset="skill"))
    return pd.concat(parts)[list(POINTS)] if parts else pd.DataFrame(columns=list(POINTS))


def size_points(runs: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """The runs on ladders in ``train_size``, with ``ladder`` and ``train_size``; empty as above."""
    parts = []
    for ladder in size_ladders(experiment):
        here = runs[runs["task"].isin(ladder.rungs)]
        if here["task"].nunique() > 1:
            parts.append(here.assign(ladder=ladder.label, train_size=here["task"].map(ladder.rungs)))
    return pd.concat(parts) if parts else pd.DataFrame()
