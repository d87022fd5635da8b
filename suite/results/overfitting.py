"""Overfitting: what a ladder of training-set sizes n says, in one number per run and as curves.

A measure m is summed up over the ladder by its mean over log n,

    area = ∫ m(n) d log n / (log n_max − log n_min)

(trapezoids between the sizes). Architectures are ranked by the area of the *test skill* of early-stopped nets, which is
0 for a net that learned nothing. A gap cannot rank: that net has none. The area of the early-stopped test loss and the
gaps are shown beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from suite.errors import InputError
from suite.statistics.bootstrap import Bootstrap, Floats
from suite.statistics.student import mean_interval

SKILLS = ("test_skill", "validation_skill", "train_skill")
OTHERS = ("test_loss", "validation_loss", "train_loss", "gap_skill", "final_gap_skill", "gap_loss", "final_gap_loss")
MEASURES = (*SKILLS, *OTHERS)
"""At the best validation point; ``final_`` at the last step. A gap is how much worse test is than training."""


def area(sizes: Sequence[float], values: Floats) -> Floats:
    """The mean over log n of each row of ``values``, ``[curves, sizes]``, with ``sizes`` ascending."""
    if len(sizes) < 2:
        raise InputError(
            f"an area over training-set sizes needs two of them or more; got {list(sizes)}: "
            "give the task table a list, such as train_size = [50, 200, 1000]"
        )
    n = np.log(np.asarray(sizes, dtype=np.float64))
    found: Floats = np.trapezoid(values, n, axis=1) / (n[-1] - n[0])
    return found


def areas(points: pd.DataFrame) -> pd.DataFrame:
    """One row per ladder, architecture and seed with a run at every size, with the area of each of `MEASURES`.

    ``solved``, ``steps_to_solve`` and ``steps_budget`` stand for the ladder as one: solved at every size, in the sum of
    the steps. A loss that is not finite leaves its area NaN.
    """
    points = points.reindex(columns=points.columns.union(list(MEASURES)))  # a diverged run has no loss
    parts = []
    for ladder, here in points.groupby("ladder", sort=False):
        sizes = sorted(here["train_size"].unique())
        tables = here.pivot_table(
            index=["architecture", "seed"], columns="train_size", dropna=False, values=[*MEASURES]
        )
        complete = tables["test_skill"].dropna().index
        found = pd.DataFrame(index=complete)
        for measure in MEASURES:
            found[measure] = area(sizes, tables[measure].loc[complete].to_numpy(dtype=np.float64))
        by_run = here.groupby(["architecture", "seed"])
        found["solved"] = by_run["solved"].all().loc[complete]
        found["steps_to_solve"] = by_run["steps_to_solve"].sum(min_count=len(sizes)).loc[complete]
        found["steps_budget"] = by_run["steps_budget"].sum().loc[complete]
        parts.append(found.reset_index().assign(ladder=ladder))
    return pd.concat(parts, ignore_index=True)


def curves(points: pd.DataFrame) -> pd.DataFrame:
    """Mean of each measure per ladder, architecture and size: ``mean``, ``low``, ``high`` and ``seeds``.

    Skills have the interval of the leaderboard; losses and gaps, which have no bounds to reckon with, Student's.
    """
    points = points.reindex(columns=points.columns.union(list(MEASURES)))
    rows: list[tuple[object, ...]] = []
    for measure in SKILLS:
        bootstrap = Bootstrap.draw(points.assign(skill=points[measure]))
        for k, task in enumerate(bootstrap.tasks):
            intervals = bootstrap.intervals([k]).tolist()
            for a, architecture in enumerate(bootstrap.architectures):
                known = bootstrap.values[a, k][~np.isnan(bootstrap.values[a, k])]
                if len(known):
                    rows.append((architecture, task, measure, known.mean(), *intervals[a], len(known)))
    for measure in OTHERS:
        for level, values in points.groupby(["architecture", "task"])[measure]:
            rows.append((*level, measure, *mean_interval(values), int(np.isfinite(values).sum())))
    found = pd.DataFrame(rows, columns=["architecture", "task", "measure", "mean", "low", "high", "seeds"])
    places = points[["ladder", "task", "train_size"]].drop_duplicates()
    found = found.merge(places, on="task")
    keys = ["ladder", "measure", "architecture", "train_size"]
    return found.sort_values(keys, ignore_index=True)[[*keys, "mean", "low", "high", "seeds"]]
