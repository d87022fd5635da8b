"""The skill of finished runs by lag, and by position where the task states no lags."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from suite.experiment.levels import Level
from suite.results.horizon import POINTS, READ
from suite.results.schema import AT_LAG, AT_POSITION
from suite.statistics.summary import skill_intervals

AXES = {"lag": AT_LAG, "position": AT_POSITION}
"""What the places of a curve are, with the prefix of the metrics."""
COLUMNS = ("axis", "task", "architecture", "place", "skill", "low", "high", "seeds")
"""The columns of the table of curves."""


def lag_points(runs: pd.DataFrame, levels: Sequence[Level], axis: str = "lag") -> pd.DataFrame:
    """Return the skill of each run at each lag, as the points from which `horizon.horizons` reads horizons.

    A run has one net, so such a horizon is read from one trained net, and is neither that of nets that are trained at
    each delay nor that of a net tested at longer lengths. Only the lags count at which all runs of a task were scored.
    A diverged run has skill 0.

    Args:
        runs: finished evaluations, with ``chance`` and a ``score_at_lag_N`` for each lag.
        levels: the levels of the experiment.
        axis: "lag", or "position" for the tasks that state no lags.
    """
    prefix, parts = AXES[axis], []
    places = sorted(int(name.removeprefix(prefix)) for name in runs.columns if name.startswith(prefix))
    if not places or "chance" not in runs:
        return pd.DataFrame(columns=list(POINTS))
    diverged = runs["diverged"] > 0
    for level in levels:
        inside = runs["task"] == level.label
        known = {n: runs[f"{prefix}{n}"][inside] for n in places}
        shared = [n for n in places if known[n][~diverged[inside]].notna().all() and known[n].notna().any()]
        for n in shared if len(shared) > 1 else ():
            chance = runs["chance"][inside]
            skill = ((known[n] - chance) / (1 - chance)).clip(-1.0, 1.0).where(~diverged[inside], 0.0)
            rung = f"{level.label}, {axis} {n}"
            parts.append(runs[inside].assign(ladder=level.label, kind=READ, rung=rung, delay=n, skill=skill))
    table = pd.concat(parts)[list(POINTS)] if parts else pd.DataFrame(columns=list(POINTS))
    return table.dropna(subset="skill")


def by_lag(runs: pd.DataFrame, levels: Sequence[Level]) -> pd.DataFrame:
    """Return the mean skill of each architecture at each lag or position, with Student's interval, see `COLUMNS`."""
    tables = []
    for axis in AXES:
        points = lag_points(runs, levels, axis)
        if len(points):
            single = points.assign(task=points["rung"], solved=False, steps_to_solve=float("nan"), steps_budget=1)
            places = points.drop_duplicates("rung").set_index("rung")
            table = skill_intervals(single).rename(columns={"mean": "skill", "task": "rung"})
            table = table.assign(
                axis=axis, task=table["rung"].map(places["ladder"]), place=table["rung"].map(places["delay"])
            )
            tables.append(table)
    if not tables:
        return pd.DataFrame(columns=list(COLUMNS))
    table = pd.concat(tables)[list(COLUMNS)]
    return table.sort_values(["axis", "task", "architecture", "place"], ignore_index=True)
