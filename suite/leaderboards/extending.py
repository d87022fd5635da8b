"""A written leaderboard with further rows, seeds or levels: which runs are missing, and what may be imported for them.

The recorded runs count as done. What is missing is trained by the experiment that the leaderboard records, and so on
the same data, with the same budget and by the same measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from suite.errors import InputError, many, shortened
from suite.experiment.experiment import Experiment
from suite.experiment.source_hash import source_hash
from suite.leaderboards.joining import joined_tables
from suite.planning.plan import Plan
from suite.registry import tasks
from suite.results.record import Record, as_plain


def with_rows(board: Record, rows: Mapping[str, Mapping[str, Any]], seeds: int | None = None) -> dict[str, Any]:
    """Return the tables of the experiment of a leaderboard with further rows, or with more seeds.

    Args:
        board: the leaderboard.
        rows: the tables of the new rows by their labels, as in an experiment.
        seeds: the number of seeds of the evaluation; None leaves them as they are.

    Raises:
        InputError: if it has a row of that label, or not fewer seeds.
    """
    tables = as_plain(board.experiment)
    taken = [label for label in rows if label in tables["architectures"]]
    if taken:
        raise InputError(f"the leaderboard has a row {taken[0]!r} already; give the new one another --label")
    tables["architectures"] |= rows
    if seeds is not None:
        now = board.experiment.evaluation.seeds
        if not isinstance(now, int):
            raise InputError(f"--seeds needs an experiment that counts its seeds; this one lists them: {list(now)}")
        if seeds < now:
            raise InputError(f"--seeds must be at least {now}, the seeds that the leaderboard has; got {seeds}")
        tables["evaluation"]["seeds"] = seeds
    return tables


def check_contains(experiment: Experiment, board: Record, name: str) -> None:
    """Check that an experiment has every row, level and seed of a leaderboard, and the same budget.

    Raises:
        InputError: if it does not; it names the difference.
    """
    pair = f"the leaderboard and {name}"
    if experiment.name != board.experiment.name:
        raise InputError(
            f"a leaderboard grows by an experiment of its own name; {pair} are called {board.experiment.name!r} and "
            f"{experiment.name!r}"
        )
    ours = as_plain(experiment)
    together = joined_tables(ours, as_plain(board.experiment), pair)
    for key, table in together.items():
        if table != ours[key]:
            raise InputError(f"{name} must have everything that the leaderboard has; it lacks something of [{key}]")


def check_trust(tables: Mapping[str, Any], labels: Iterable[str], named: Iterable[str]) -> None:
    """Check that everything that has to be imported is a part of memspan, or was named by the user.

    Args:
        tables: the tables of an experiment.
        labels: the labels of the rows that are trained.
        named: what the user has named.

    Raises:
        InputError: if something else has to be imported.
    """
    sweep = tables.get("sweep", {})
    names = [
        *(table.get("task") or label for label, table in tables["tasks"].items()),
        *(tables["architectures"][label].get("architecture") or label for label in labels),
        *(sweep.get(key, "") for key in ("sampler", "pruner")),
    ]
    foreign = sorted({name for name in names if ":" in name} - {*named})
    if foreign:
        raise InputError(
            f"the leaderboard names code from outside memspan: {', '.join(map(shortened, foreign))}; if you trust it, "
            "give --trust, and it is imported"
        )


def add_recorded_runs(plan: Plan, board: Record) -> None:
    """Enter the recorded runs of a leaderboard into a plan, so that they are not trained again.

    Raises:
        InputError: if the source of a task, or of a row that needs further runs, is not the recorded one.
    """
    recorded = {job.key: outcome for row in board.rows for job, outcome in row.runs}
    sources = {row.name: row.runs[0][0].config.source for row in board.rows if row.runs}
    by_task = {row.study.level.task.name: sources[row.name].task for row in board.rows if row.runs}
    changed: list[str] = []
    for study in plan.studies:
        task = study.level.task.name
        if by_task.get(task, source_hash(tasks.get(task))) != source_hash(tasks.get(task)):
            raise InputError(
                f"the task {task!r} of the leaderboard is not the one that is installed here: their sources differ, so "
                "the new runs could not be compared; install the memspan that wrote the leaderboard"
            )
        if study.title in sources and sources[study.title] != study.source:
            changed.append(study.title)
    if changed:
        raise InputError(
            f"{many(len(changed), 'row')} cannot get further runs, because the architecture that is installed here has "
            f"another source than the recorded one: {', '.join(changed)}; add rows alone, or install the memspan that "
            "wrote the leaderboard"
        )
    plan.finished.update(recorded)
