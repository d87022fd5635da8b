"""The certainty of a leaderboard: the bootstrap over paired seeds, intervals of means, solve rates, steps and ranks.

Everything starts from *runs*, a tidy table with one row per final evaluation and the columns of `COLUMNS`. Rows may
come in any order, and some (architecture, task, seed) may be missing. Nothing here reads or touches a global generator.

A few seeds of a bimodal score need care. When ten seeds of ten solve a task, every resample is the same, and the
percentile interval of the mean has length 0. Where the true rate is nine in ten, such an interval covers the truth in
62 % of cases only. The intervals of means therefore count one more, *unseen* seed, see `Bootstrap.intervals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from suite.errors import InputError

Floats = NDArray[np.float64]

COLUMNS = ("architecture", "task", "seed", "skill", "solved", "steps_to_solve", "steps_budget")
OVERALL = "overall"  # the scope of all tasks together
RESAMPLES = 10_000
CONFIDENCE = 0.95
TAILS = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2  # the quantiles at which an interval ends
FEW_SEEDS = 10  # a result from fewer seeds is an indication only


def validated(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs sorted by architecture, task and seed.

    Raises:
        InputError: if a column is missing, a run is repeated, a skill lies outside [0, 1], or there are no runs.
    """
    if missing := [column for column in COLUMNS if column not in runs]:
        raise InputError(f"runs need the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    if runs.empty:
        raise InputError("statistics need at least one run; received none")
    if repeated := int(runs.duplicated(["architecture", "task", "seed"]).sum()):
        raise InputError(f"runs must differ in (architecture, task, seed); leave out the {repeated} repeated")
    if (wrong := runs.loc[~runs["skill"].between(0, 1), "skill"]).size:
        raise InputError(f"skill lies in [0, 1], and a diverged run has skill 0; received {wrong.iloc[0]}")
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


@dataclass(frozen=True)
class Bootstrap:
    """The stratified bootstrap over paired seeds (Efron 1979; Agarwal et al. 2021, section 4.1).

    Seeds are drawn with replacement for each task. Architectures with equally many seeds share one draw, which is what
    pairs them. The draw depends on (seed, task, number of seeds) alone, so a row does not change when another
    architecture or task joins the table. `means` uses all seeds of each architecture. `paired` uses only the seeds that
    all architectures on the task share, and ranks are made from it. The two are the same where no run is missing.
    """

    architectures: tuple[str, ...]
    tasks: tuple[str, ...]
    values: Floats  # [architectures, tasks, seeds], NaN where there is no run
    bounds: Floats  # [tasks], values lie in [0, bound]
    means: Floats  # [architectures, tasks, resamples], NaN where there is no run
    paired: Floats  # [architectures, tasks, resamples]
    seed: int

    @classmethod
    def draw(
        cls,
        runs: pd.DataFrame,
        column: str = "skill",
        bounds: ArrayLike = 1.0,
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> Bootstrap:
        """Return the bootstrap of a column, whose values lie between 0 and the bound of their task."""
        architectures, tasks, values = value_cube(validated(runs), column)
        shared = on_shared_seeds(values)
        means = _resampled_means(values, tasks, resamples, seed)
        nothing_missing = np.array_equal(shared, values, equal_nan=True)
        paired = means if nothing_missing else _resampled_means(shared, tasks, resamples, seed)
        limits = np.broadcast_to(np.asarray(bounds, dtype=np.float64), len(tasks))
        return cls(architectures, tasks, values, limits, means, paired, seed)

    @property
    def overall(self) -> Floats:
        """The mean of the per-task means, ``[architectures, resamples]``; NaN for an architecture that lacks a task."""
        overall: Floats = self.means.mean(axis=1)
        return overall

    def intervals(self, tasks: Sequence[int]) -> Floats:
        """Return the 95 % interval of each architecture's mean over tasks, ``[architectures, 2]``; NaN without a run.

        This is the percentile interval with one unseen seed, which may be the worst (for the low end) or the best (for
        the high end): a share u ~ Beta(1, n) of each resampled mean goes to the bound. It is Gaffke's (2005) interval
        for a bounded mean (Learned-Miller & Thomas 2019), with multinomial in place of Dirichlet weights. For scores
        that are only 0 or 1 it is close to the interval of Clopper & Pearson. With several tasks there is still only
        *one* unseen seed: task k gets u ~ Beta(b_k / Σ b, n_k), where b are the bounds. The deviations of the resampled
        means are widened, see `widened`.

        In simulations with ten seeds and bimodal scores it covered the truth in .95 to 1.00 of cases, where percentiles
        alone did in .09 to .98.
        """
        low, high = np.zeros((2, len(self.architectures), self.means.shape[2]))  # [architectures, resamples]
        for k in tasks:
            weight = self.bounds[k] / self.bounds[list(tasks)].sum()
            counts = (~np.isnan(self.values[:, k])).sum(axis=1)
            for n in set(counts.tolist()):
                rows = np.flatnonzero(counts == n)
                if n == 0:
                    low[rows] = high[rows] = np.nan
                    continue
                unseen = _unseen(self.seed, self.tasks[k], n, float(weight), low.shape[1])
                drawn, mean = self.means[rows, k], np.nanmean(self.values[rows, k], axis=1, keepdims=True)
                drawn = widened(drawn, mean, n, self.bounds[k])
                low[rows] += (1 - unseen) * drawn / len(tasks)
                high[rows] += ((1 - unseen) * drawn + unseen * self.bounds[k]) / len(tasks)
        bound = self.bounds[list(tasks)].mean()  # sums may exceed it by a rounding error
        lower, upper = np.quantile(low, TAILS[0], axis=1), np.quantile(high, TAILS[1], axis=1)
        return np.stack([lower, np.minimum(bound, upper)], axis=1)

    def task_intervals(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Return the interval of each mean by (architecture, task)."""
        return {
            (architecture, task): (low, high)
            for k, task in enumerate(self.tasks)
            for architecture, (low, high) in zip(self.architectures, self.intervals([k]).tolist(), strict=True)
        }


def generator(seed: int, task: str, n: int, purpose: str) -> np.random.Generator:
    """Return a generator whose draws depend on these arguments alone."""
    return np.random.default_rng([seed, n, *f"{purpose} {task}".encode()])


def widened(drawn: Floats, mean: Floats | float, n: int, bound: float = 1.0) -> Floats:
    """Return resampled means of n seeds with deviations widened by √(n/(n − 1)), held within [0, bound].

    The bootstrap's variance is that of a population of n and not of a sample, which this makes up for.
    """
    clipped: Floats = np.clip(mean + (drawn - mean) * np.sqrt(n / max(n - 1, 1)), 0, bound)
    return clipped


@lru_cache(maxsize=256)
def _unseen(seed: int, task: str, n: int, weight: float, resamples: int) -> Floats:
    """Return the share of one unseen seed in each resample; architectures with equally many seeds share it."""
    return generator(seed, task, n, "unseen").beta(weight, n, size=resamples)


def _resampled_means(values: Floats, tasks: Sequence[str], resamples: int, seed: int) -> Floats:
    """Return the mean of each resample: ``[architectures, tasks, seeds]`` → ``[architectures, tasks, resamples]``."""
    means = np.full((*values.shape[:2], resamples), np.nan)
    for k, task in enumerate(tasks):
        ran = ~np.isnan(values[:, k])  # [architectures, seeds]
        for n in set(ran.sum(axis=1).tolist()) - {0}:
            draws = generator(seed, task, n, "seeds").multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
            for a in np.flatnonzero(ran.sum(axis=1) == n):
                means[a, k] = draws @ values[a, k, ran[a]] / n
    return means


def wilson_interval(successes: int, runs: int) -> tuple[float, float]:
    """Return Wilson's (1927) 95 % score interval of a rate, or (NaN, NaN) without runs."""
    if runs == 0:
        return np.nan, np.nan
    z = float(special.ndtri(TAILS[1]))
    rate, shrink = successes / runs, 1 + z**2 / runs
    centre = (rate + z**2 / (2 * runs)) / shrink
    half = z * np.sqrt(rate * (1 - rate) / runs + z**2 / (4 * runs**2)) / shrink
    return (0.0 if successes == 0 else float(centre - half)), (1.0 if successes == runs else float(centre + half))


def restricted_steps(runs: pd.DataFrame) -> tuple[pd.Series[float], Floats]:
    """Return the steps to solve of each run, and the budget of each task, sorted by its name.

    A run that never solves its task counts with the whole budget. The mean of these steps is the restricted mean
    (Royston & Parmar 2013): every run is censored at the same point, its task's budget, so the mean is the area under
    the Kaplan–Meier curve. Should budgets differ within a task, the smallest counts.
    """
    budgets = runs.groupby("task")["steps_budget"].min().sort_index()
    limits = runs["task"].map(budgets).astype(float)
    steps = runs["steps_to_solve"].astype(float).fillna(np.inf)
    return steps.where(steps < limits, limits), budgets.to_numpy(dtype=np.float64)


def summary(runs: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Return one row per architecture and task, and one per architecture for `OVERALL`, which comes last.

    - `seeds`: the number of seeds, overall the smallest over the tasks. `few_seeds`: the number is below ten.
    - `mean`, `low`, `high`: the mean skill (overall: the mean of the per-task means) with `Bootstrap.intervals`.
    - `solve_rate`, `solve_low`, `solve_high`: the share of solved runs with Wilson's interval. Overall it pools all
      runs, which makes the interval conservative.
    - `steps`, `steps_low`, `steps_high`: the restricted mean of the steps to solve, with intervals as for skill.
    - `missing`: the tasks without a run, separated by commas. If there are any, every overall value is NaN.
    """
    runs = validated(runs)
    steps, budgets = restricted_steps(runs)
    skill = Bootstrap.draw(runs, resamples=resamples, seed=seed)
    speed = Bootstrap.draw(runs.assign(steps=steps), "steps", budgets, resamples, seed)
    solved = value_cube(runs.assign(solved=runs["solved"].astype(float)), "solved")[2]
    counts = (~np.isnan(solved)).sum(axis=2)  # [architectures, tasks]

    rows = []
    scopes = [*((task, [k]) for k, task in enumerate(skill.tasks)), (OVERALL, list(range(len(skill.tasks))))]
    intervals = {scope: (skill.intervals(tasks), speed.intervals(tasks)) for scope, tasks in scopes}
    for a, architecture in enumerate(skill.architectures):
        for scope, tasks in scopes:
            missing = [skill.tasks[k] for k in tasks if counts[a, k] == 0]
            successes, total = (0, 0) if missing else (int(np.nansum(solved[a, tasks])), int(counts[a, tasks].sum()))
            row: dict[str, object] = {"architecture": architecture, "task": scope, "seeds": counts[a, tasks].min()}
            row["mean"] = mean_over_seeds(skill.values)[a, tasks].mean()
            row["low"], row["high"] = intervals[scope][0][a]
            row["solve_rate"] = successes / total if total else np.nan
            row["solve_low"], row["solve_high"] = wilson_interval(successes, total)
            row["steps"] = mean_over_seeds(speed.values)[a, tasks].mean()
            row["steps_low"], row["steps_high"] = intervals[scope][1][a]
            row["few_seeds"] = counts[a, tasks].min() < FEW_SEEDS
            row["missing"] = ", ".join(missing)
            rows.append(row)
    return pd.DataFrame(rows)


def ranks(runs: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Return `rank` (1 is the best) with its 95 % interval `low`, `high` for each scope: every task, then `OVERALL`.

    Architectures are ranked inside each resample of the shared seeds. If two tie for the first place, `rank` and `low`
    are 1 and `high` is 2: the interval holds every order that the tie leaves open. An architecture without a value in
    the scope has no rank (NaN) and takes no place.
    """
    bootstrap = Bootstrap.draw(runs, resamples=resamples, seed=seed)
    point = mean_over_seeds(on_shared_seeds(bootstrap.values))  # [architectures, tasks]
    scopes = [(task, point[:, k], bootstrap.paired[:, k]) for k, task in enumerate(bootstrap.tasks)]
    scopes.append((OVERALL, point.mean(axis=1), bootstrap.paired.mean(axis=1)))
    rows = []
    for scope, means, resampled in scopes:
        ranked = np.flatnonzero(~np.isnan(means))
        interval = np.full((len(means), 3), np.nan)
        if len(ranked):
            scores = resampled[ranked].round(12)  # [ranked, resamples]; sums in another order are still ties
            best = np.array([1 + (scores > own).sum(axis=0) for own in scores])
            worst = np.array([(scores >= own).sum(axis=0) for own in scores])
            scores_of_all = means[ranked].round(12)
            interval[ranked, 0] = [1 + (scores_of_all > own).sum() for own in scores_of_all]
            interval[ranked, 1] = np.quantile(best, TAILS[0], axis=1, method="lower")
            interval[ranked, 2] = np.quantile(worst, TAILS[1], axis=1, method="higher")
        rows += [(name, scope, *rank) for name, rank in zip(bootstrap.architectures, interval.tolist(), strict=True)]
    return pd.DataFrame(rows, columns=["architecture", "task", "rank", "low", "high"])
