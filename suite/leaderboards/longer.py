"""The results at lengths beyond the training length."""

from __future__ import annotations

import pandas as pd

from suite.results.schema import LONGER, STATE_AT
from suite.statistics.summary import skill_intervals


def longer(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean skill with its interval, and the size of the state, by architecture, task and longer length."""
    lengths = sorted(int(name.removeprefix(LONGER)) for name in runs.columns if name.startswith(LONGER))
    tables = []
    for length in lengths:
        tested = runs.assign(skill=runs[f"{LONGER}{length}"]).dropna(subset="skill")
        table = skill_intervals(tested).merge(_states_at(tested, length), on=["architecture", "task"])
        tables.append(table.assign(length=length))
    columns = ["architecture", "task", "length", "skill", "low", "high", "seeds", "state_size"]
    if not tables:
        return pd.DataFrame(columns=columns)
    table = pd.concat(tables).rename(columns={"mean": "skill"})[columns]
    return table.sort_values(["architecture", "task", "length"], ignore_index=True)


def _states_at(runs: pd.DataFrame, length: int) -> pd.DataFrame:
    """Return the mean size of the state after sequences of a length, by architecture and task."""
    name = f"{STATE_AT}{length}"  # A run has it if its state grows.
    runs = runs.reindex(columns=["architecture", "task", "state_size", name])
    sizes = runs.assign(state_size=runs[name].fillna(runs["state_size"]))
    return sizes.groupby(["architecture", "task"], as_index=False)[["state_size"]].mean()
