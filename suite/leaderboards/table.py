"""The leaderboard as tables: from the recorded runs alone, always the same."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from suite.leaderboards.comparison import compare, groups
from suite.leaderboards.statistics import FEW_SEEDS, OVERALL, ranks, summary
from suite.plan import Plan, evaluations

AVERAGED = {
    "gap": "gap_skill",
    "final_gap": "final_gap_skill",
    "parameters": "parameters",
    "state_size": "state_size",
    "sequences_per_second": "sequences_per_second",
    "diverged": "diverged",
}
"""Columns that are plain means over seeds (overall: of the per-task means), and the metric of each."""


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
    rows = summary(runs).merge(ranks(runs), on=["architecture", "task"], suffixes=("", "_rank"))
    rows = rows.rename(columns={"low_rank": "rank_low", "high_rank": "rank_high"})
    per_task = runs.groupby(["architecture", "task"], as_index=False)[list(AVERAGED.values())].mean()
    overall = per_task.groupby("architecture", as_index=False)[list(AVERAGED.values())].mean().assign(task=OVERALL)
    averages = pd.concat([per_task, overall]).rename(columns={metric: name for name, metric in AVERAGED.items()})
    rows = rows.merge(averages, on=["architecture", "task"])
    rows = rows[rows["task"].isin(scopes)].assign(group="")
    for scope in scopes:
        here = rows["task"] == scope
        known = rows[here].dropna(subset="mean")
        means = {str(name): float(mean) for name, mean in zip(known["architecture"], known["mean"], strict=True)}
        letters = groups(means, compare(runs, scope)) if len(means) > 1 else {}
        rows.loc[here, "group"] = rows.loc[here, "architecture"].map(letters).fillna("")
    order = {scope: position for position, scope in enumerate(scopes)}
    rows = rows.assign(scope=rows["task"].map(order)).sort_values(
        ["scope", "mean", "architecture"], ascending=[True, False, True], ignore_index=True
    )
    return Leaderboard(experiment.name, experiment.title, rows.drop(columns="scope"), scopes, _longer(runs), notes)


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
