"""Leaderboards of one experiment, joined to one: rows from different machines, further seeds, further levels.

Nothing is trained or imported. A run belongs to a place: a study, a role, a number and a seed. Two leaderboards that
have the same place must agree on what was trained there and on every figure, to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from suite.errors import InputError, many, shortened
from suite.experiment.experiment import Experiment
from suite.experiment.run_config import canonical_json
from suite.experiment.tables import ArchitectureTable
from suite.leaderboards.proof.manifest import (
    MANIFEST_FILE,
    RUNS_FILE,
    build_manifest,
    is_board,
    origin_of,
    read_manifest,
)
from suite.planning.job import Job, Outcome
from suite.results.record import FORMAT, Record, as_plain
from suite.results.recorded import record_of_lines

Place = tuple[str, str, int, int]
"""The place of a run in an experiment: its study, its role, its number and its seed."""

NAMES = ("title", "description")
"""What may differ between two descriptions of one experiment. The first one counts."""


def joined(records: Mapping[str, Record]) -> Record:
    """Return the record of all runs of leaderboards of one experiment.

    Args:
        records: the records, by the names that messages give them. They have their learning curves.

    Raises:
        InputError: if they differ in what all rows share (the budget, the training, the seeds of the sweep, the
            protocol, the data), or in a row, a level or a run that two of them have. It names the difference.
    """
    first_name, first = next(iter(records.items()))
    tables = as_plain(first.experiment)
    origin = _origin(first)
    frames, runs, environments = [first.frame()], _runs(first), dict(first.environments)
    for name, record in list(records.items())[1:]:
        pair = f"{first_name!r} and {name!r}"
        if record.experiment.name != first.experiment.name:
            raise InputError(
                f"only leaderboards of one experiment can be joined; {pair} are of {first.experiment.name!r} and of "
                f"{record.experiment.name!r}"
            )
        if record.protocol != first.protocol:
            raise InputError(
                f"only leaderboards of one protocol can be joined, because another one trains differently; {pair} have "
                f"protocols {first.protocol} and {record.protocol}"
            )
        tables = joined_tables(tables, as_plain(record.experiment), pair)
        own = _origin(record)
        _check_data(origin["data"], own["data"], pair)
        origin = {key: {**own.get(key, {}), **origin.get(key, {})} for key in {*origin, *own}}
        new = _runs(record)
        _check_runs(runs, new, pair)
        frame = record.frame()
        places = [(line.study, line.role, line.number, line.seed) for line in frame.itertuples()]
        frames.append(frame[[place not in runs for place in places]])
        runs |= new
        environments |= record.environments
    experiment = Experiment.from_record(tables, "the joined experiment")
    levels = {row.study.level.label for record in records.values() for row in record.rows}
    about = {
        "format": FORMAT,
        "experiment": tables,
        "protocol": first.protocol,
        "planned": len(levels) * sum(_planned(experiment, table) for table in experiment.architectures.values()),
        "done": len(runs),
        "others": 0,
        "earlier": 0,
        "environments": environments,
        "origin": origin,
    }
    lines = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    return record_of_lines(lines, about)


def read_board(path: Path) -> Record:
    """Return the record of a written leaderboard, with the learning curves.

    Args:
        path: its folder, or a file in it.

    Raises:
        InputError: if it is none, or has no file of runs.
    """
    manifest = read_manifest(path)
    runs = manifest.path.parent / RUNS_FILE
    if not runs.is_file():
        raise InputError(f"{str(manifest.path.parent)!r} has no {RUNS_FILE}, in which the learning curves are")
    wrong = next(manifest.changes(), None)
    if wrong is not None:
        raise InputError(f"{str(manifest.path)!r} was changed after it was written: {wrong[2]}")
    record = Record.read(runs)
    if _runs_by_key(record) != _runs_by_key(manifest.record):
        raise InputError(f"the runs in {str(runs)!r} are not those of its {MANIFEST_FILE}")
    return record


def _runs_by_key(record: Record) -> dict[Place, tuple[str, Mapping[str, float]]]:
    return {place: (job.key, outcome.metrics) for place, (job, outcome) in _runs(record).items()}


def check_output(folder: Path, record: Record | None = None) -> None:
    """Check that a joined leaderboard can be written into a folder, and that no run is lost that is there.

    Args:
        folder: the folder.
        record: the joined leaderboard, if its runs are known already.

    Raises:
        InputError: if the folder holds something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not is_board(folder):
        raise InputError(f"{str(folder)!r} exists and is no leaderboard; give --output a new folder")
    if record is None:
        return
    lost = _runs(read_manifest(folder).record).keys() - _runs(record).keys()
    if lost:
        raise InputError(
            f"{str(folder)!r} holds a leaderboard with {many(len(lost), 'run')} that the new one does not have, such "
            f"as {_named(min(lost))}; give --output a new folder"
        )


def _planned(experiment: Experiment, table: ArchitectureTable) -> int:
    seeds = len(experiment.evaluation.seed_list)
    return seeds if table.untuned else experiment.runs_per_study


def _origin(record: Record) -> Mapping[str, Any]:
    return record.origin if record.origin is not None else origin_of(build_manifest(record))


def _runs(record: Record) -> dict[Place, tuple[Job, Outcome]]:
    kinds = ("trial", "finalist", "evaluation")
    return {
        (job.study, kind, job.number, job.config.seed): (job, outcome)
        for row in record.rows
        for kind, of_kind in zip(kinds, (row.trials, row.reruns, row.evaluations), strict=True)
        for job, outcome in of_kind
    }


def _named(place: Place) -> str:
    study, role, number, seed = place
    _, level, variant = study.split("/", 2)
    name = f"{variant} on {level}"
    return f"{name}, seed {seed}" if role == "evaluation" else f"{name}, {role} {number} on seed {seed}"


def joined_tables(one: dict[str, Any], other: dict[str, Any], pair: str) -> dict[str, Any]:
    """Return the tables of an experiment with the rows, levels and seeds of both.

    Args:
        one: the plain tables of an experiment, whose title counts.
        other: those of another one.
        pair: the names of both, for messages.

    Raises:
        InputError: if they differ in what all rows share, or in a table that both have.
    """
    together = {**one, "evaluation": {**one["evaluation"], **_seeds(one["evaluation"], other["evaluation"])}}
    for key in ("architectures", "tasks"):
        for label, table in other[key].items():
            where = f"[{key}.{label}]"
            known = one[key].get(label, table)
            together[key] = {**together[key], label: _joined_table(known, table, f"{pair} differ in {where}")}
    for key in sorted({*one, *other} - {"architectures", "tasks", "evaluation", *NAMES}):
        if one.get(key) != other.get(key):
            raise InputError(f"rows can only be compared if they have the same budget; {pair} differ in [{key}]: "
                             f"{_difference(one.get(key), other.get(key))}")  # fmt: skip
    return together


def _joined_table(one: dict[str, Any], other: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a table with the values of both, where lists of levels may differ in their length."""
    if one.keys() != other.keys():
        raise InputError(f"{where}: {_difference(one, other)}")
    together = {}
    for key, value in one.items():
        theirs = other[key]
        if isinstance(value, list) and isinstance(theirs, list) and key != "test_lengths":
            together[key] = sorted({*value, *theirs}) if _are_numbers([*value, *theirs]) else _in_order(value, theirs)
        elif value == theirs:
            together[key] = value
        else:
            raise InputError(f"{where}: {_difference(one, other)}")
    return together


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _in_order(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    return [*one, *(value for value in other if value not in one)]


def _seeds(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the seeds of the evaluation that one of both has. A number n stands for 0, …, n − 1."""
    counts = [table.get("seeds", 10) for table in (one, other)]
    if all(isinstance(count, int) for count in counts):
        return {"seeds": max(counts)}
    lists = [list(range(count)) if isinstance(count, int) else count for count in counts]
    return {"seeds": _in_order(*lists)}


def _difference(one: Any, other: Any) -> str:
    """Return the first difference of two values in words."""
    if isinstance(one, dict) and isinstance(other, dict):
        key = next(key for key in {**one, **other} if one.get(key) != other.get(key))
        return f"{key} = {shortened(one.get(key))} and {key} = {shortened(other.get(key))}"
    return f"{shortened(one)} and {shortened(other)}"


def _check_data(one: Mapping[str, Any], other: Mapping[str, Any], pair: str) -> None:
    for level in one.keys() & other.keys():
        if one[level] != other[level]:
            raise InputError(
                f"rows can only be compared on the same data; the fingerprints of {level!r} in {pair} differ: "
                f"{_difference(one[level], other[level])}"
            )


def _check_runs(
    one: Mapping[Place, tuple[Job, Outcome]], other: Mapping[Place, tuple[Job, Outcome]], pair: str
) -> None:
    for place in one.keys() & other.keys():
        (job, outcome), (their_job, their_outcome) = one[place], other[place]
        if job.key != their_job.key:
            raise InputError(f"{_named(place)}: {pair} trained it with {_why(job, their_job)}")
        for name, value, theirs in _figures(outcome, their_outcome):
            if canonical_json(value) != canonical_json(theirs):
                raise InputError(
                    f"{_named(place)}: equal runs must have equal figures; {name} is {shortened(value)} and "
                    f"{shortened(theirs)} in {pair}"
                )


def _why(job: Job, other: Job) -> str:
    ours, theirs = (run.config.model_dump() for run in (job, other))
    if ours != theirs:
        part = next(key for key in ours if ours[key] != theirs[key])
        what = "other sources" if part == "source" else "other settings"
        return f"{what}: {_difference(ours[part], theirs[part])}"
    return f"other keys: {job.key} and {other.key}"


def _figures(one: Outcome, other: Outcome) -> Iterator[tuple[str, Any, Any]]:
    ours, theirs = one.repeatable, other.repeatable
    for name in sorted({*ours, *theirs}):
        yield name, ours.get(name), theirs.get(name)
    if one.curves and other.curves:
        yield "the learning curve", one.curves_text, other.curves_text
