"""The table of runs from which every number of a leaderboard follows, and the terms that all statistics share.

Everything starts from *runs*, a tidy table with one row per final evaluation and the columns of `COLUMNS`. Rows may
come in any order, and some (architecture, task, seed) may be missing.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from suite.errors import InputError

Floats = NDArray[np.float64]

COLUMNS = ("architecture", "task", "seed", "skill", "solved", "steps_to_solve", "steps_budget")
OVERALL = "overall"  # the scope of all tasks together
CONFIDENCE = 0.95
TAILS = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2  # the quantiles at which an interval ends
FEW_SEEDS = 10  # a result from fewer seeds is an indication only


def validated(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs sorted by architecture, task and seed.

    Raises:
        InputError: if a column is missing, a run is repeated, a skill lies outside [−1, 1], or there are no runs.
    """
    if missing := [column for column in COLUMNS if column not in runs]:
        raise InputError(f"runs need the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    if runs.empty:
        raise InputError("statistics need at least one run; received none")
    if repeated := int(runs.duplicated(["architecture", "task", "seed"]).sum()):
        raise InputError(f"runs must differ in (architecture, task, seed); leave out the {repeated} repeated")
    if (wrong := runs.loc[~runs["skill"].between(-1, 1), "skill"]).size:
        raise InputError(
            "the skill of a run lies in [−1, 1], where 0 is chance and a diverged run has skill 0; "
            f"received {wrong.iloc[0]}"
        )
    if (runs["task"] == OVERALL).any():
        raise InputError(f"a task may not be called {OVERALL!r}, which stands for the mean over the tasks; rename it")
    return runs.sort_values(["architecture", "task", "seed"], ignore_index=True)


def value_cube(runs: pd.DataFrame, column: str = "skill") -> tuple[tuple[str, ...], tuple[str, ...], Floats]:
    """Return the architectures, the tasks, and a column as ``[architectures, tasks, seeds]``; NaN means no run."""
    architectures, tasks, seeds = (sorted(runs[axis].unique()) for axis in ("architecture", "task", "seed"))
    index = pd.MultiIndex.from_product([architectures, tasks, seeds])
    values = runs.set_index(["architecture", "task", "seed"])[column].reindex(index).to_numpy(dtype=np.float64)
    return tuple(architectures), tuple(tasks), values.reshape(len(architectures), len(tasks), len(seeds))


def on_shared_seeds(values: Floats) -> Floats:
    """Return the cube with NaN on every seed that some architecture lacks on that task.

    An architecture without a single run on a task takes no seed away from the others there.
    """
    ran = ~np.isnan(values)  # [architectures, tasks, seeds]
    absent = ~ran.any(axis=2, keepdims=True)  # [architectures, tasks, 1]
    return np.where((ran | absent).all(axis=0), values, np.nan)


def mean_over_seeds(values: Floats) -> Floats:
    """Return the means of ``[architectures, tasks, seeds]`` as ``[architectures, tasks]``, NaN where no run is."""
    counts = (~np.isnan(values)).sum(axis=2)
    means: Floats = np.nansum(values, axis=2) / np.where(counts, counts, np.nan)
    return means
