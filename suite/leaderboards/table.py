"""The leaderboard as tables: from the recorded runs alone, always the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from suite.diagnostics import clipping, horizon, overfitting
from suite.errors import InputError
from suite.job import Job, Outcome
from suite.leaderboards.comparison import compare, groups
from suite.leaderboards.ladders import delay_points, size_points
from suite.leaderboards.statistics import FEW_SEEDS, OVERALL, ranks, summary
from suite.plan import Plan, evaluations, trials
from suite.study import Study

AVERAGED = {
    "gap": "gap_skill",
    "final_gap": "final_gap_skill",
    "parameters": "parameters",
    "state_size": "state_size",
    "sequences_per_second": "sequences_per_second",
    "diverged": "diverged",
}
"""Columns that are plain means over seeds (overall: of the per-task means), and the metric of each."""


OVERFITTING_AVERAGED = {name: name for name in overfitting.OTHERS}
"""The same for the areas of an overfitting table."""
HORIZON = ("d50", "d50_low", "d50_high", "censored", "shortest", "longest")
"""Columns of the horizon in the overall rows, there with the prefix ``horizon_``."""


@dataclass(frozen=True)
class Clipping:
    """What the trials of experiments that search ``clip`` say; see ``suite.diagnostics.clipping``."""

    cells: pd.DataFrame
    recommended: pd.DataFrame
    importances: pd.DataFrame
    """Per architecture, task and parameter: ``importance``, ``low``, ``high``; or a ``note`` instead."""


@dataclass(frozen=True)
class Leaderboard:
    """Who remembers how much, by task and overall."""

    experiment: str
    title: str
    rows: pd.DataFrame
    """One row per (scope, architecture), the best first in each scope."""
    scopes: list[str]
    """``overall``, where there are several tasks, and the task levels in the order of the file."""
    longer: pd.DataFrame
    """Mean skill at lengths beyond the training length: architecture, task, length, skill, seeds."""
    notes: list[str]
    """What a reader has to know: missing runs, few seeds, what cannot be repeated."""
    horizons: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Per kind, ladder of delays and architecture, see ``horizon.horizons``; empty without ladders."""
    horizon_curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Skill against delay, see ``horizon.curves``."""
    overfitting: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Areas over training-set sizes, ranked as ``rows`` are, per ladder and overall; empty without ladders."""
    overfitting_curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Each measure against the size of the training set, see ``overfitting.curves``."""
    searches: Sequence[tuple[Study, Sequence[tuple[Job, Outcome]]]] = ()
    """The studies that search ``clip`` with their finished trials."""

    @cached_property
    def clipping(self) -> Clipping | None:
        """Made when asked for, which takes a second per study; None where ``searches`` has none of enough trials."""
        from suite.sweep import FEWEST_TRIALS, importances

        enough = [(study, tried) for study, tried in self.searches if len(tried) >= FEWEST_TRIALS]
        if not enough:
            return None
        table = clipping.trial_table([trial for _, tried in enough for trial in tried])
        space = {name: dimension for study, _ in enough for name, dimension in study.space.items()}
        rows: list[dict[str, object]] = []
        for study, tried in enough:
            row: dict[str, object] = {"architecture": study.variant.label, "task": study.level.label}
            try:
                found = importances(study, tried)
            except InputError as error:
                rows.append({**row, "note": str(error)})
                continue
            for name, (importance, low, high) in sorted(found.items()):
                rows.append({**row, "parameter": name, "importance": importance, "low": low, "high": high, "note": ""})
        columns = ["architecture", "task", "parameter", "importance", "low", "high", "note"]
        return Clipping(
            clipping.cells(table, space), clipping.recommended(table), pd.DataFrame(rows).reindex(columns=columns)
        )


def score_table(plan: Plan) -> pd.DataFrame:
    """One row per finished evaluation of the plan, with every metric of its run."""
    rows = []
    for study in plan.studies:
        for job in evaluations(study, plan.finished):
            outcome = plan.finished.get(job.key)
            if outcome is None:
                continue
            metrics = outcome.metrics
            rows.append(
                {
                    **metrics,
                    "architecture": job.variant,
                    "task": job.level,
                    "seed": job.config.seed,
                    "key": job.key,
                    "skill": metrics["test_skill"],
                    "solved": bool(metrics["solved"]),
                    "steps_to_solve": metrics.get("steps_to_solve", float("nan")),
                    "steps_budget": job.config.training.steps,
                }
            )
    return pd.DataFrame(rows)


def leaderboard(plan: Plan) -> Leaderboard:
    """The leaderboard of what is finished; what is missing is named in the notes."""
    from suite.sweep import repeatable

    runs = score_table(plan)
    levels = list(dict.fromkeys(study.level.label for study in plan.studies))
    scopes = [OVERALL, *levels] if len(levels) > 1 else levels
    experiment = plan.experiment
    notes = []
    if plan.done < plan.planned:
        others = len(plan.finished) - plan.done
        hint = f" {others} finished runs in the store have other settings or other sources." if others else ""
        notes.append(f"Incomplete: {plan.done} of {plan.planned} runs are finished.{hint}")
    if not repeatable(experiment.sweep):
        notes.append(
            f"Sampler {experiment.sweep.sampler!r} with pruner {experiment.sweep.pruner!r} is not known to be "
            "repeatable: the configurations may depend on interruptions and on the order in which runs finish."
        )
    if runs.empty:
        return Leaderboard(experiment.name, experiment.title, runs, [], runs, notes)
    if int(runs.groupby(["architecture", "task"])["seed"].nunique().min()) < FEW_SEEDS:
        notes.append(f"Fewer than {FEW_SEEDS} seeds: an indication, not a result to publish.")
    rows = _ranked(runs, scopes, AVERAGED)
    points = delay_points(runs, experiment)
    horizons = horizon.horizons(points) if len(points) else pd.DataFrame()
    sizes = size_points(runs, experiment)
    return Leaderboard(
        experiment.name,
        experiment.title,
        _with_horizon(rows, horizons),
        scopes,
        _longer(runs),
        notes,
        horizons,
        horizon.curves(points) if len(points) else pd.DataFrame(),
        _overfitting(sizes) if len(sizes) else pd.DataFrame(),
        overfitting.curves(sizes) if len(sizes) else pd.DataFrame(),
        _searches(plan),
    )


def _ranked(runs: pd.DataFrame, scopes: Sequence[str], averaged: Mapping[str, str]) -> pd.DataFrame:
    """One row per (scope, architecture): intervals, ranks, groups, and the plain means of ``averaged``."""
    rows = summary(runs).merge(ranks(runs), on=["architecture", "task"], suffixes=("", "_rank"))
    rows = rows.rename(columns={"low_rank": "rank_low", "high_rank": "rank_high"})
    per_task = runs.groupby(["architecture", "task"], as_index=False)[list(averaged.values())].mean()
    overall = per_task.groupby("architecture", as_index=False)[list(averaged.values())].mean().assign(task=OVERALL)
    averages = pd.concat([per_task, overall]).rename(columns={metric: name for name, metric in averaged.items()})
    rows = rows.merge(averages, on=["architecture", "task"])
    rows = rows[rows["task"].isin(scopes)].assign(group="")
    for scope in scopes:
        here = rows["task"] == scope
        known = rows[here].dropna(subset="mean")
        means = {str(name): float(mean) for name, mean in zip(known["architecture"], known["mean"], strict=True)}
        letters = groups(means, compare(runs, scope)) if len(means) > 1 else {}
        rows.loc[here, "group"] = [letters.get(name, "") for name in rows.loc[here, "architecture"]]
    order = {scope: position for position, scope in enumerate(scopes)}
    rows = rows.assign(scope=rows["task"].map(order)).sort_values(
        ["scope", "mean", "architecture"], ascending=[True, False, True], ignore_index=True
    )
    return rows.drop(columns="scope")


def _with_horizon(rows: pd.DataFrame, horizons: pd.DataFrame) -> pd.DataFrame:
    """The trained horizon beside the overall rows: that of the only ladder, or the one over all of them."""
    if horizons.empty or not (horizons["kind"] == horizon.TRAINED).any():
        return rows
    trained = horizons[horizons["kind"] == horizon.TRAINED]
    ladder = OVERALL if trained["ladder"].nunique() > 1 else trained["ladder"].iloc[0]
    names = {name: f"horizon_{name}" for name in HORIZON}
    chosen = trained[trained["ladder"] == ladder].set_index("architecture")[list(names)].rename(columns=names)
    return rows.join(chosen.assign(task=OVERALL).set_index("task", append=True), on=["architecture", "task"])


def _overfitting(sizes: pd.DataFrame) -> pd.DataFrame:
    """Ranked by the area of test skill, with the loss's own interval."""
    areas = overfitting.areas(sizes)
    areas = areas.assign(task=areas["ladder"], skill=areas["test_skill"])
    if areas.empty:
        return areas
    ladders = list(areas["task"].unique())
    rows = _ranked(areas, [OVERALL, *ladders] if len(ladders) > 1 else ladders, OVERFITTING_AVERAGED)
    overall = areas.groupby(["architecture", "seed"], as_index=False)["test_loss"].mean().assign(task=OVERALL)
    intervals = pd.DataFrame(
        [
            (architecture, task, *overfitting.mean_interval(losses)[1:])
            for (architecture, task), losses in pd.concat([areas, overall]).groupby(["architecture", "task"])[
                "test_loss"
            ]
        ],
        columns=["architecture", "task", "test_loss_low", "test_loss_high"],
    )
    return rows.merge(intervals, on=["architecture", "task"], how="left")


def _searches(plan: Plan) -> list[tuple[Study, Sequence[tuple[Job, Outcome]]]]:
    found: list[tuple[Study, Sequence[tuple[Job, Outcome]]]] = []
    for study in plan.studies:
        if "clip" in study.space:
            named = trials(study, plan.finished)
            found.append((study, [(job, plan.finished[job.key]) for job in named if job.key in plan.finished]))
    return found


def _longer(runs: pd.DataFrame) -> pd.DataFrame:
    prefix = "skill_at_length_"
    columns = [name for name in runs.columns if name.startswith(prefix)]
    if not columns:
        return pd.DataFrame(columns=["architecture", "task", "length", "skill", "seeds"])
    only = runs[["architecture", "task", *columns]]
    long = only.melt(["architecture", "task"], columns, var_name="length", value_name="skill").dropna()
    long["length"] = long["length"].str.removeprefix(prefix).astype(int)
    grouped = long.groupby(["architecture", "task", "length"], as_index=False)["skill"]
    return grouped.agg(["mean", "count"]).rename(columns={"mean": "skill", "count": "seeds"})
