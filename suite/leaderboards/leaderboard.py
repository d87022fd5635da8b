"""The leaderboard as tables, made from a record and from nothing else: the same record always gives the same tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import comb

import pandas as pd

from suite.errors import InputError, many, named
from suite.experiment.search_space import FEWEST_TRIALS
from suite.experiment.tables import settings_text
from suite.leaderboards.longer import beyond, longer
from suite.leaderboards.ranking import ranked
from suite.planning.plan import Plan
from suite.results import clipping, horizon, overfitting
from suite.results.early_ends import diverged_note, stopped_note, with_diverged
from suite.results.ladders import delay_points, size_points
from suite.results.lags import by_lag, lag_points
from suite.results.record import Record, Row, earlier_text
from suite.results.score_table import score_table
from suite.results.tuning import at_edges, budget_curves
from suite.statistics.critical_differences import CriticalDifferences, critical_differences
from suite.statistics.paired_tests import MARGIN, compare
from suite.statistics.power import power_text, smallest_effect
from suite.statistics.profiles import interquartile_means, profiles
from suite.statistics.resolution import Resolution, resolution
from suite.statistics.student import mean_interval
from suite.statistics.table import FEW_SEEDS, OVERALL

AVERAGED = {
    "gap": "gap_skill",
    "final_gap": "final_gap_skill",
    "parameters": "parameters",
    "frozen_parameters": "frozen_parameters",
    "state_size": "state_size",
    "state_growth": "state_growth",
    "sequences_per_second": "sequences_per_second",
    "seconds_to_solve": "seconds_to_solve",
    "diverged": "diverged",
}
"""The columns that are plain means over seeds, or overall over the means of the tasks, and the metric of each.

A metric that no run has gives a column without values, such as the size of a state that is not stated.
"""
WITH_INTERVAL = ("gap", "sequences_per_second")
"""The columns of these that have Student's interval over seeds beside them, as ``_low`` and ``_high``."""
MEASURED = ("sequences_per_second", "sequences_per_second_low", "sequences_per_second_high", "seconds_to_solve")
"""The columns that measure time, which differs between two runs of the same configuration."""
OVERFITTING_AVERAGED = {name: name for name in overfitting.OTHERS}
"""The averaged columns of an overfitting table."""
HORIZON = ("d50", "d50_low", "d50_high", "censored", "shortest", "longest")
"""The columns of a horizon that the overall rows have, under the prefix ``horizon_``."""


@dataclass(frozen=True)
class Clipping:
    """The tables that the trials of an experiment give if it searches ``clip``, see ``suite.results.clipping``."""

    cells: pd.DataFrame
    recommended: pd.DataFrame
    importances: pd.DataFrame
    """One row per architecture, task and parameter with ``importance``, ``low`` and ``high``, or with a ``note``."""


@dataclass(frozen=True)
class Leaderboard:
    """How much each architecture remembers, by task and overall."""

    experiment: str
    title: str
    rows: pd.DataFrame
    """One row per (scope, architecture), the best first in each scope."""
    scopes: list[str]
    """``overall``, if there are several tasks, and the task levels in the order of the file."""
    longer: pd.DataFrame
    """The mean skill at lengths beyond the training length: architecture, task, length, skill, low, high, seeds.

    Beside it stand ``trained``, the training length or its range, and ``state_size``, the size of the state after so
    many steps.
    """
    notes: list[str]
    """Sentences about what a reader has to know, such as missing runs and few seeds."""
    horizons: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The horizons per kind, ladder of delays and architecture, see ``horizon.horizons``; empty without ladders."""
    horizon_curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Skill against delay, see ``horizon.curves``."""
    overfitting: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The areas over training-set sizes per ladder and overall, ranked as ``rows`` are; empty without ladders."""
    overfitting_curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Each measure against the size of the training set, see ``overfitting.curves``."""
    by_lag: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The mean skill at each lag, or position, of the steps of a task, see ``lags.by_lag``."""
    comparisons: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Every pair of architectures by scope, see ``paired_tests.compare``."""
    beyond: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The mean skills over the lengths beyond the training length, ranked as ``rows`` are; empty without any."""
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The evaluations, see `score_table`."""
    record: Record | None = None
    """The record that it is made from."""

    @property
    def variants(self) -> dict[str, str]:
        """The architecture and the settings of each row that its label does not say, such as ``lstm readout=cell``."""
        tables = self.record.experiment.architectures if self.record else {}
        texts = {label: settings_text(label, table) for label, table in tables.items()}
        return {label: text for label, text in texts.items() if text != label}

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """The share of runs above each skill, see ``profiles.profiles``."""
        return profiles(self.runs) if len(self.runs) else pd.DataFrame()

    @cached_property
    def resolutions(self) -> list[Resolution]:
        """What the seeds can tell apart in each scope; none where there is no pair."""
        return [found for scope in self.comparisons if (found := resolution(self.runs, scope)) is not None]

    @cached_property
    def budget(self) -> pd.DataFrame:
        """The worth of more trials, see ``tuning.budget_curves``; empty where nothing is searched."""
        return budget_curves(self.record) if self.record else pd.DataFrame()

    @cached_property
    def critical(self) -> CriticalDifferences | None:
        """The average ranks over tasks, or None where there are too few tasks."""
        return critical_differences(self.runs) if len(self.runs) else None

    @property
    def searches(self) -> list[Row]:
        """The rows that search ``clip``."""
        return [row for row in self.record.rows if "clip" in row.study.space] if self.record else []

    @cached_property
    def clipping(self) -> Clipping | None:
        """The tables of clipping, which take a second per study; None if no study in ``searches`` has enough trials."""
        enough = [(row.study, row.trials) for row in self.searches if len(row.trials) >= FEWEST_TRIALS]
        if not enough:
            return None
        from suite.planning.sweep import importances

        table = clipping.trial_table([trial for _, tried in enough for trial in tried])
        space = {name: dimension for study, _ in enough for name, dimension in study.space.items()}
        rows: list[dict[str, object]] = []
        for study, tried in enough:
            row: dict[str, object] = {"architecture": study.variant.label, "task": study.level.label}
            try:
                shares = importances(study, tried)
            except InputError as error:
                rows.append({**row, "note": str(error)})
                continue
            for name, (importance, low, high) in sorted(shares.items()):
                rows.append({**row, "parameter": name, "importance": importance, "low": low, "high": high, "note": ""})
        columns = ["architecture", "task", "parameter", "importance", "low", "high", "note"]
        return Clipping(
            clipping.cells(table, space), clipping.recommended(table), pd.DataFrame(rows).reindex(columns=columns)
        )


def build_leaderboard(source: Record | Plan) -> Leaderboard:
    """Return the leaderboard of the finished runs; its notes say what is missing."""
    record = Record.of(source) if isinstance(source, Plan) else source
    runs = score_table(record)
    levels = list({row.study.level.label: row.study.level for row in record.rows}.values())
    labels = [level.label for level in levels]
    scopes = [OVERALL, *labels] if len(labels) > 1 else labels
    experiment = record.experiment
    notes = []
    if not record.complete:
        others = record.others
        have = "has" if others == 1 else "have"
        hint = f" {many(others, 'finished run')} in the store {have} other settings or sources." if others else ""
        verb = "is" if record.done == 1 else "are"
        notes.append(f"Incomplete: {record.done} of {many(record.planned, 'run')} {verb} finished.{hint}")
        if record.earlier:
            notes.append(earlier_text(record.earlier))
    if not experiment.sweep.repeatable:
        notes.append(
            f"The sampler {experiment.sweep.sampler!r} with the pruner {experiment.sweep.pruner!r} is not known to be "
            "repeatable: configurations may depend on interruptions and on the order in which runs finish."
        )
    if runs.empty:
        return Leaderboard(experiment.name, experiment.title, runs, [], runs, notes, record=record)
    if int(runs.groupby(["architecture", "task"])["seed"].nunique().min()) < FEW_SEEDS:
        notes.append(f"Fewer than {FEW_SEEDS} seeds were evaluated: this is an indication and not a result to publish.")
    pairs = comb(len(experiment.architectures), 2)
    if pairs and math.isinf(smallest_effect(len(experiment.evaluation.seed_list), pairs)):
        notes.append(power_text(len(experiment.evaluation.seed_list), pairs, MARGIN))
    if edges := at_edges(record):
        shown = named([f"{name} ({', '.join(sorted(params))})" for name, params in edges.items()], separator="; ")
        notes.append(
            f"The best settings of these rows lie at an edge of the search space, so a wider one may hold "
            f"better ones: {shown}."
        )
    notes += [*diverged_note(runs), *stopped_note(runs)]
    comparisons = {scope: compare(runs, scope) for scope in scopes if scope in (OVERALL, *runs["task"].unique())}
    rows = _with_family(ranked(runs, scopes, AVERAGED, comparisons), record)
    rows = rows.merge(interquartile_means(runs), on=["architecture", "task"], how="left")
    points = delay_points(runs, levels)
    points = pd.concat([part for part in (points, lag_points(runs, levels)) if len(part)] or [points])
    horizons = horizon.horizons(points) if len(points) else pd.DataFrame()
    sizes = size_points(runs, levels)
    return Leaderboard(
        experiment.name,
        experiment.title,
        _with_horizon(_with_intervals(with_diverged(rows, runs), runs), horizons),
        scopes,
        with_diverged(longer(runs, levels), runs),
        notes,
        horizons,
        horizon.curves(points) if len(points) else pd.DataFrame(),
        _overfitting(sizes) if len(sizes) else pd.DataFrame(),
        overfitting.curves(sizes) if len(sizes) else pd.DataFrame(),
        by_lag(runs, levels),
        comparisons,
        beyond(runs, record.families),
        runs,
        record,
    )


def _with_family(rows: pd.DataFrame, record: Record) -> pd.DataFrame:
    """Add the family of each architecture, and a growth of 0 where a state of some size does not grow."""
    growth = rows["state_growth"].fillna(0.0).where(rows["state_size"].notna())
    rows = rows.assign(state_growth=growth)
    rows.insert(list(rows).index("architecture") + 1, "family", rows["architecture"].map(record.families))
    return rows


def _with_intervals(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Add Student's intervals of `WITH_INTERVAL`; overall, they are those of each seed's mean over tasks."""
    for name in WITH_INTERVAL:
        values = runs[["architecture", "task", "seed"]].assign(value=runs[AVERAGED[name]])
        overall = values.groupby(["architecture", "seed"], as_index=False)["value"].mean().assign(task=OVERALL)
        both = pd.concat([values, overall]).groupby(["architecture", "task"])["value"]
        intervals = pd.DataFrame(
            [(*level, *mean_interval(numbers)[1:]) for level, numbers in both],
            columns=["architecture", "task", f"{name}_low", f"{name}_high"],
        )
        rows = rows.merge(intervals, on=["architecture", "task"], how="left")
    return rows


def _with_horizon(rows: pd.DataFrame, horizons: pd.DataFrame) -> pd.DataFrame:
    """Add the trained horizon to the overall rows: that of the only ladder, or the one over all ladders."""
    if horizons.empty or not (horizons["kind"] == horizon.TRAINED).any():
        return rows
    trained = horizons[horizons["kind"] == horizon.TRAINED]
    ladder = OVERALL if trained["ladder"].nunique() > 1 else trained["ladder"].iloc[0]
    names = {name: f"horizon_{name}" for name in HORIZON}
    shown = trained[trained["ladder"] == ladder].set_index("architecture")[list(names)].rename(columns=names)
    return rows.join(shown.assign(task=OVERALL).set_index("task", append=True), on=["architecture", "task"])


def _overfitting(sizes: pd.DataFrame) -> pd.DataFrame:
    """Return the architectures ranked by the area of test skill, with the interval of the loss."""
    areas = overfitting.areas(sizes)
    areas = areas.assign(task=areas["ladder"], skill=areas["test_skill"])
    if areas.empty:
        return areas
    ladders = list(areas["task"].unique())
    rows = ranked(areas, [OVERALL, *ladders] if len(ladders) > 1 else ladders, OVERFITTING_AVERAGED)
    overall = areas.groupby(["architecture", "seed"], as_index=False)["test_loss"].mean().assign(task=OVERALL)
    intervals = pd.DataFrame(
        [
            (architecture, task, *mean_interval(losses)[1:])
            for (architecture, task), losses in pd.concat([areas, overall]).groupby(["architecture", "task"])[
                "test_loss"
            ]
        ],
        columns=["architecture", "task", "test_loss_low", "test_loss_high"],
    )
    rows = rows.merge(intervals, on=["architecture", "task"], how="left")
    return with_diverged(rows, sizes.assign(task=sizes["ladder"]))
