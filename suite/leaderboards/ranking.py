"""The ranking of architectures, by task and overall: one way for every skill that is ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from suite.statistics.paired_tests import compare, groups, ranks
from suite.statistics.summary import summary
from suite.statistics.table import OVERALL


def ranked(
    runs: pd.DataFrame,
    scopes: Sequence[str],
    averaged: Mapping[str, str],
    comparisons: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Return one row per scope and architecture with intervals, ranks, groups, and the plain means of ``averaged``."""
    rows = summary(runs)
    measured = runs.reindex(columns=["architecture", "task", *averaged.values()])
    per_task = measured.groupby(["architecture", "task"], as_index=False).mean()
    overall = per_task.groupby("architecture", as_index=False)[list(averaged.values())].mean().assign(task=OVERALL)
    averages = pd.concat([per_task, overall]).rename(columns={metric: name for name, metric in averaged.items()})
    rows = rows.merge(averages, on=["architecture", "task"])
    rows = rows[rows["task"].isin(scopes)].assign(rank=np.nan, rank_low=np.nan, rank_high=np.nan, group="")
    for scope in scopes:
        inside = rows["task"] == scope
        means = {str(name): float(mean) for name, mean in rows.loc[inside, ["architecture", "mean"]].to_numpy()}
        if len(means) < 2:
            rows.loc[inside & rows["mean"].notna(), ["rank", "rank_low", "rank_high"]] = 1.0
            continue
        pairs = comparisons[scope] if comparisons else compare(runs, scope)
        letters, places = groups(means, pairs), ranks(means, pairs)
        rows.loc[inside, "group"] = [letters.get(name, "") for name in means]
        rows.loc[inside, ["rank", "rank_low", "rank_high"]] = list(places.values())
    order = {scope: position for position, scope in enumerate(scopes)}
    rows = rows.assign(scope=rows["task"].map(order)).sort_values(
        ["scope", "mean", "architecture"], ascending=[True, False, True], ignore_index=True
    )
    return rows.drop(columns="scope")
