"""The results at lengths beyond the training length: by length, and their mean, by which architectures are ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from suite.experiment.levels import Level
from suite.leaderboards.ranking import ranked
from suite.results.early_ends import with_diverged
from suite.results.schema import LONGER, STATE_AT
from suite.statistics.summary import skill_intervals
from suite.statistics.table import OVERALL


def longer(runs: pd.DataFrame, levels: Sequence[Level]) -> pd.DataFrame:
    """Return the mean skill with its interval, and the size of the state, by architecture, task and longer length.

    Args:
        runs: the evaluations, with a ``skill_at_length_N`` per longer length.
        levels: the levels of the experiment, which say the lengths of the training.
    """
    trained = {level.label: str(level.task.length) for level in levels}
    tables = []
    for length in _lengths(runs):
        tested = runs.assign(skill=runs[f"{LONGER}{length}"]).dropna(subset="skill")
        table = skill_intervals(tested).merge(_states_at(tested, length), on=["architecture", "task"])
        tables.append(table.assign(length=length))
    columns = ["architecture", "task", "trained", "length", "skill", "low", "high", "seeds", "state_size"]
    if not tables:
        return pd.DataFrame(columns=columns)
    table = pd.concat(tables).rename(columns={"mean": "skill"})
    table = table.assign(trained=table["task"].map(trained))[columns]
    return table.sort_values(["architecture", "task", "length"], ignore_index=True)


def beyond(runs: pd.DataFrame, families: Mapping[str, str]) -> pd.DataFrame:
    """Return the architectures ranked by the mean skill of each run over the longer lengths; empty without any.

    Beside it stands ``trained_skill``, the skill at the training length. Overall, each task counts alike, and tasks
    that are tested at no longer length do not count.

    Args:
        runs: the evaluations, with a ``skill_at_length_N`` per longer length.
        families: the family of each architecture by label.
    """
    lengths = [f"{LONGER}{length}" for length in _lengths(runs)]
    tested = runs[runs[lengths].notna().any(axis=1)]
    if tested.empty:
        return tested.iloc[:, :0]
    tested = tested.assign(trained_skill=tested["skill"], skill=tested[lengths].mean(axis=1))
    tasks = [str(task) for task in tested["task"].unique()]
    scopes = [OVERALL, *tasks] if len(tasks) > 1 else tasks
    rows = ranked(tested, scopes, {"trained_skill": "trained_skill"})
    rows["trained_skill"] = rows["trained_skill"].clip(lower=0.0)  # A mean is held at 0 when it is shown.
    rows.insert(list(rows).index("architecture") + 1, "family", rows["architecture"].map(families))
    return with_diverged(rows, tested)


def _lengths(runs: pd.DataFrame) -> list[int]:
    """Return the longer lengths at which any task was tested, in ascending order."""
    return sorted(int(name.removeprefix(LONGER)) for name in runs.columns if name.startswith(LONGER))


def _states_at(runs: pd.DataFrame, length: int) -> pd.DataFrame:
    """Return the mean size of the state after sequences of a length, by architecture and task."""
    name = f"{STATE_AT}{length}"  # A run has it if its state grows.
    runs = runs.reindex(columns=["architecture", "task", "state_size", name])
    sizes = runs.assign(state_size=runs[name].fillna(runs["state_size"]))
    return sizes.groupby(["architecture", "task"], as_index=False)[["state_size"]].mean()
