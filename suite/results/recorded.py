"""Runs that a file records, checked against a schema before anything is calculated from them.

Whoever looks at somebody's leaderboard does not run his code. The tasks and architectures that a file names are not
imported: their settings are those of the recorded runs.
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from os import SEEK_END
from pathlib import Path
from typing import Any

import pandas as pd

from suite.errors import InputError, shortened
from suite.experiment.experiment import Experiment
from suite.experiment.levels import Level, merge_training
from suite.experiment.plain_data import LARGEST_JSON, parse_json
from suite.experiment.run_config import RunConfig, TaskConfig
from suite.experiment.search_space import Range
from suite.experiment.validation import errors_at, validate
from suite.experiment.variants import read_variant
from suite.planning.job import Curves, Job, Outcome
from suite.planning.recorded_study import RecordedStudy
from suite.results.record import ABOUT, FORMAT, HEADER, RUN_FIELDS, Record, Row, Run
from suite.results.schema import About, Fingerprint, Line, Lines, Origin, Searched, check_metrics

MOST_BYTES = 2**30
"""The largest size of the columns of a file of runs, and of the texts that they stand for."""
MOST_RUNS = 10**6
"""The largest number of runs in a file."""


def read_record(path: Path) -> Record:
    """Return the record in a file of runs.

    Raises:
        InputError: if the file cannot be read, holds no runs of memspan, or was written by a newer version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if _footer_bytes(path) > LARGEST_JSON:
            raise _too_long(path)
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > MOST_RUNS:
            rows = f"{file.metadata.num_rows:,}"
            raise InputError(f"{str(path)!r} is too large: a file of runs has at most {MOST_RUNS:,} rows; got {rows}")
        about = _said(file.schema_arrow.metadata or {}, path)
        lines = _table_of(file, path).to_pandas(ignore_metadata=True)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or _line(error)}") from error
    except (KeyError, ValueError, OverflowError, zlib.error, pa.ArrowException) as error:
        raise InputError(f"{str(path)!r} is not a file of runs that memspan has written: {_line(error)}") from error
    with errors_at(f"{str(path)!r} is not a file of runs that memspan can read"):
        return record_of_lines(lines, parse_json(about, "what it says of the runs"))


def _said(metadata: Mapping[bytes, bytes], path: Path) -> str:
    """Return what a file says of its runs, as JSON. In format 1, this stands in the header, where the format is.

    Raises:
        InputError: if a newer version wrote the file, or it says too much.
        KeyError: if there is no header.
        ValueError: if the header or the rest is damaged.
        zlib.error: if the rest was not compressed.
    """
    header, packed = metadata[HEADER].decode(), metadata.get(ABOUT)
    with errors_at(f"{str(path)!r} is not a file of runs that memspan can read"):
        values = parse_json(header, "what it says of the runs")
        if isinstance(values, dict) and isinstance(values.get("format"), int) and values["format"] > FORMAT:
            raise InputError("it was written by a newer memspan; upgrade this one")
    if packed is None:
        return header
    unpacking = zlib.decompressobj()
    about = unpacking.decompress(base64.b64decode(packed, validate=True), LARGEST_JSON)
    if unpacking.unconsumed_tail:
        raise _too_long(path)
    if not unpacking.eof:
        raise ValueError("what it says of the runs is cut off")
    return about.decode()


def _too_long(path: Path) -> InputError:
    return InputError(f"{str(path)!r} is too large: what a file says of its runs has at most 64 MiB")


def _footer_bytes(path: Path) -> int:
    """Return the size that a Parquet file states of its footer, which is read as a whole when it is opened."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, SEEK_END) - 8))
        return int.from_bytes(file.read(4), "little") if file.tell() else 0


def _table_of(file: Any, path: Path) -> Any:
    """Return the table of a Parquet file, whose texts are only repeated in memory once their size in all is known."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = file.schema_arrow
    if any(pa.types.is_nested(field.type) for field in schema):
        raise ValueError("a column holds numbers or texts")
    stored = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
    # A text that stands in many rows may be in the file once.
    table = pq.ParquetFile(path, read_dictionary=schema.names).read() if stored <= MOST_BYTES else None
    if table is None or sum(map(_decoded_bytes, table.columns)) > MOST_BYTES:
        raise InputError(f"{str(path)!r} is too large: the columns of a file of runs have at most 1 GiB")
    return table.cast(schema)


def _decoded_bytes(column: Any) -> int:
    """Return the size of a column of texts if each stood in its row; 0 for other columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return 0
    lengths = (pc.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks)
    return sum(pc.sum(each.cast(pa.int64())).as_py() or 0 for each in lengths)


def _line(error: Exception) -> str:
    return " ".join(shortened(str(error)).strip("'\"").split("\\n"))


def record_of_lines(lines: pd.DataFrame, about: Any, *, trusted: bool = False) -> Record:
    """Return the record of a table made by ``Record.frame``, with the values that ``Record.write`` keeps beside it.

    Args:
        lines: the table.
        about: the values.
        trusted: the tasks from outside memspan may be imported for their delays, if the file does not say them.

    Raises:
        InputError: if something in them is wrong; it names the place.
    """
    origin = _table(about).get("origin")
    if isinstance(origin, dict) and "modules" in origin:  # Version 0.1 called them so.
        about = {**about, "origin": {**origin, "definitions": origin["modules"]}}
    checked: About = validate(About, about, "the file")
    experiment = Experiment.from_record(checked.experiment, "experiment")
    missing = [name for name in RUN_FIELDS if name not in lines.columns]
    if missing or not lines.columns.is_unique:
        raise InputError(f"each column stands there once; {missing[0] if missing else 'one'} does not")
    descriptions = lines[list(RUN_FIELDS)].to_dict("records")
    runs: list[Line] = validate(Lines, {"runs": descriptions}, "the file").runs
    metrics = [name for name in lines.columns if name not in RUN_FIELDS]
    measured = check_metrics(lines[metrics])
    made = [_run(line, values, i) for i, (line, values) in enumerate(zip(runs, measured, strict=True))]
    rows = _rows(experiment, runs, made, checked.origin, trusted)
    counts = (checked.planned, checked.done, checked.others)
    return Record(experiment, rows, *counts, about["environments"], about["origin"], checked.protocol, checked.earlier)


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"it must be a table; got {shortened(value)}")
    return value


def _run(line: Line, metrics: Mapping[str, float], i: int) -> Run:
    with errors_at(f"runs.{i}"):
        config = _config(line.config).with_seed(line.seed)
        params = _params(line.params)
    role = "trial" if line.role == "finalist" else line.role
    job = Job(line.key, config, line.study, line.architecture, line.task, role, line.number, params)
    return job, Outcome(metrics, Curves(line.curves), line.environment)


@lru_cache(maxsize=100_000)
def _config(text: str) -> RunConfig:
    config: RunConfig = validate(RunConfig, {**_table(parse_json(text, "config")), "seed": 0}, "config")
    return config


@lru_cache(maxsize=100_000)
def _params(text: str) -> Mapping[str, Any]:
    params: Mapping[str, Any] = validate(Searched, {"params": parse_json(text, "params")}, "run").params
    return params


def _rows(
    experiment: Experiment, lines: Iterable[Line], runs: Iterable[Run], origin: Origin, trusted: bool
) -> list[Row]:
    """Return the rows of an experiment with their runs, in the order of its levels and architectures."""
    by_row: dict[tuple[str, str, str], dict[str, list[Run]]] = {}
    tasks: dict[str, TaskConfig] = {}
    for line, run in zip(lines, runs, strict=True):
        by_row.setdefault((line.study, line.task, line.architecture), {}).setdefault(line.role, []).append(run)
        tasks.setdefault(line.task, run[0].config.task)
    rows = []
    for level in _levels(experiment, tasks, origin.data, trusted):
        for label, table in experiment.architectures.items():
            variant = read_variant(label, table, experiment.model)
            name = RecordedStudy.name_of(experiment, variant, level)
            of_row = by_row.pop((name, level.label, label), {})
            kinds = [of_row.get(role, []) for role in ("trial", "finalist", "evaluation")]
            own_runs = [run for kind in kinds for run in kind]
            _check_row(experiment, name, own_runs)
            params = own_runs[0][0].params if own_runs else {}
            family = origin.families.get(label, "")
            rows.append(Row(RecordedStudy(experiment, variant, level, params, family), *kinds))
    if by_row:
        raise InputError(
            f"its experiment has no row {shortened(' / '.join(next(iter(by_row))))}, but there are runs of it"
        )
    return rows


def _check_row(experiment: Experiment, name: str, runs: list[Run]) -> None:
    """Check that the runs of a row searched the same hyper-parameters of the sweep, and that each stands there once."""
    places = Counter((job.role, job.number, job.config.seed) for job, _ in runs)
    if twice := [place for place, count in places.items() if count > 1]:
        raise InputError(f"{name}: the {twice[0][0]} {twice[0][1]} on seed {twice[0][2]} stands there twice")
    for job, _ in runs:
        if job.params.keys() != runs[0][0].params.keys():
            raise InputError(f"{name}: its runs have different hyper-parameters")
        for key, value in job.params.items():
            dimension = experiment.sweep.space.get(key)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            fits = (
                number and (value > 0 or not dimension.log)
                if isinstance(dimension, Range)
                else value in (dimension or ())
            )
            if not fits:
                raise InputError(f"{name}: {shortened(key)} = {shortened(value)} is not in its search space")


def _levels(
    experiment: Experiment, tasks: Mapping[str, TaskConfig], data: Mapping[str, Fingerprint], trusted: bool
) -> Iterator[Level]:
    """Yield the levels of an experiment. Their tasks are those of the runs, or have the options of a like level."""
    for label, table in experiment.tasks.items():
        training = merge_training(experiment.training, table.training, f"experiment: tasks.{label}.training")
        name = table.task or label
        labels = [Level.label_of(label, rungs) for rungs in table.rungs]
        like = next((tasks[level].options for level in labels if level in tasks), {})
        for level, rungs in zip(labels, table.rungs, strict=True):
            task = tasks.get(level) or _task(name, {**like, **table.settings, **rungs}, table.test_lengths)
            delays = data[level].delays if level in data else {}
            known = {int(length): delay for length, delay in delays.items()}
            is_unknown = ":" in name and not trusted
            yield Level(table=label, rungs=rungs, task=task, training=training, delays=known if is_unknown else None)


def _task(name: str, settings: Mapping[str, Any], test_lengths: tuple[int, ...]) -> TaskConfig:
    options = dict(settings)
    length, train_size = options.pop("length"), options.pop("train_size")
    return TaskConfig(name=name, options=options, length=length, train_size=train_size, test_lengths=test_lengths)
