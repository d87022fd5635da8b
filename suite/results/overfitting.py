"""Overfitting: a ladder of training-set sizes n, as one number per run and as curves.

A measure m is summed up over the ladder by its mean over log n,

    area = ∫ m(n) d log n / (log n_max − log n_min)

with trapezoids between the sizes. Architectures are ranked by the area of the *test skill* of early-stopped nets, which
is 0 for a net that learned nothing. A gap cannot rank, because a net that learned nothing has none. The area of the
early-stopped test loss and the gaps are shown beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from suite.errors import InputError
from suite.statistics.student import mean_interval
from suite.statistics.summary import skill_intervals
from suite.statistics.table import Floats

SKILLS = ("test_skill", "validation_skill", "train_skill")
OTHERS = ("test_loss", "validation_loss", "train_loss", "gap_skill", "final_gap_skill", "gap_loss", "final_gap_loss")
MEASURES = (*SKILLS, *OTHERS)
"""Taken at the best validation point, those with ``final_`` at the last step. A gap says how much worse test is."""


def area(sizes: Sequence[float], values: Floats) -> Floats:
    """Return the mean over log n of each row of ``values``, ``[curves, sizes]``, with ``sizes`` ascending.

    Raises:
        InputError: if there are fewer than two sizes.
    """
    if len(sizes) < 2:
        raise InputError(
            f"an area over training-set sizes needs two of them or more; got {list(sizes)}: "
            "give the task table a list, such as train_size = [50, 200, 1000]"
        )
    n = np.log(np.asarray(sizes, dtype=np.float64))
    means: Floats = np.trapezoid(values, n, axis=1) / (n[-1] - n[0])
    return means


def areas(points: pd.DataFrame) -> pd.DataFrame:
    """Return the area of each of `MEASURES`, one row per ladder, architecture and seed with a run at every size.

    ``solved``, ``steps_to_solve`` and ``steps_budget`` describe the ladder as a whole: it is solved if every size is,
    and its steps are the sum of theirs. The area of a loss that is not finite is NaN.
    """
    parts = []
    for ladder, rungs in _with_all_measures(points).groupby("ladder", sort=False):
        sizes = sorted(rungs["train_size"].unique())
        tables = rungs.pivot_table(
            index=["architecture", "seed"], columns="train_size", dropna=False, values=[*MEASURES]
        )
        complete = tables["test_skill"].dropna().index
        table = pd.DataFrame(index=complete)
        for measure in MEASURES:
            table[measure] = area(sizes, tables[measure].loc[complete].to_numpy(dtype=np.float64))
        by_run = rungs.groupby(["architecture", "seed"])
        table["solved"] = by_run["solved"].all().loc[complete]
        table["steps_to_solve"] = by_run["steps_to_solve"].sum(min_count=len(sizes)).loc[complete]
        table["steps_budget"] = by_run["steps_budget"].sum().loc[complete]
        parts.append(table.reset_index().assign(ladder=ladder))
    return pd.concat(parts, ignore_index=True)


def curves(points: pd.DataFrame) -> pd.DataFrame:
    """Return ``mean``, ``low``, ``high`` and ``seeds`` of each measure per ladder, architecture and size.

    All have Student's interval, and those of skills are held within [0, 1].
    """
    points = _with_all_measures(points)
    rows: list[tuple[object, ...]] = []
    for measure in SKILLS:
        skills = skill_intervals(points.assign(skill=points[measure])).assign(measure=measure)
        shown = skills[["architecture", "task", "measure", "mean", "low", "high", "seeds"]]
        rows.extend(shown.itertuples(index=False, name=None))
    for measure in OTHERS:
        for level, values in points.groupby(["architecture", "task"])[measure]:
            rows.append((*level, measure, *mean_interval(values), int(np.isfinite(values).sum())))
    table = pd.DataFrame(rows, columns=["architecture", "task", "measure", "mean", "low", "high", "seeds"])
    table = table.merge(points[["ladder", "task", "train_size"]].drop_duplicates(), on="task")
    keys = ["ladder", "measure", "architecture", "train_size"]
    return table.sort_values(keys, ignore_index=True)[[*keys, "mean", "low", "high", "seeds"]]


def _with_all_measures(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points with NaN for a measure that no run has: a run that diverged has no loss."""
    return points.reindex(columns=points.columns.union(list(MEASURES)))
