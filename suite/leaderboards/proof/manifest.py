"""The manifest of a leaderboard: everything by which its rows can be proved.

A JSON file with the experiment, and for each row (an architecture on a task level) its sources, and the key,
configuration, environment and every metric of each of its runs; with the fingerprints of the data. Digests say where
something was changed afterwards. ``suite.leaderboards.proof.checks`` trains rows again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from suite.data import Data
from suite.errors import InputError
from suite.experiment.experiment import Level
from suite.experiment.run_config import canonical_json, digest
from suite.experiment.source_hash import definitions_of
from suite.results.record import OWN, Record, Row, as_plain, configs
from suite.store.environment import environment

FORMAT = 2
"""It is raised when older versions could not read a manifest. Format 1 named whole modules instead of definitions."""
NAME = "manifest.json"
RUNS = "runs.parquet"
SECTIONS = ("counts", "experiment", "environments", "data", "rows")
COUNTS = ("planned", "done", "others", "earlier")
"""What a manifest says of the number of runs, see `Record`."""
LINED = 4
"""Levels of the JSON that are lines of their own: sections, rows, columns, and what a column lists."""
RUN_COLUMNS = ("role", "number", "seed", "key", "environment")
"""Of a row's runs, beside ``config`` (a place in the row's list), ``params``, ``curve`` and ``metrics``."""


@dataclass(frozen=True)
class Manifest:
    """What was read from a manifest."""

    path: Path
    data: Mapping[str, Any]

    @property
    def digest(self) -> str:
        return str(self.data["digest"])

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        return list(self.data["rows"])

    def changes(self) -> Iterator[tuple[str, int | None, str]]:
        """What was changed after it was written: the row and the place of its run, where it is one, and a sentence."""
        for row in self.rows:
            for place, (found, kept) in enumerate(zip(_run_digests(row), row["digests"], strict=True)):
                if found != kept:
                    name = f"{row['role'][place]} {row['number'][place]}"
                    yield row_name(row), place, f"{row_name(row)}, {name}: its figures do not go with their digest"
        for section in SECTIONS:
            if digest(canonical_json(self.data[section])) != self.data["digests"][section]:
                yield "", None, f"the section {section!r} does not go with its digest"
        if digest_of(self.data["digests"]) != self.digest:
            yield "", None, "the digests do not go with the digest of all"

    def record(self) -> Record:
        """The runs as a record, without their curves, for the tables."""
        parts = []
        for row in self.rows:
            runs = len(row["key"])
            own = {
                "study": [row["study"]] * runs,
                "architecture": [row["architecture"]] * runs,
                "task": [row["task"]] * runs,
                **{name: row[name] for name in RUN_COLUMNS},
                "params": [canonical_json(params) for params in row["params"]],
                "config": [canonical_json(row["configs"][place]) for place in row["config"]],
                "curves": ["[]"] * runs,
            }
            parts.append(pd.DataFrame({**own, **row["metrics"]}))
        lines = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(OWN))
        about = {**self.data, **self.data["counts"], "origin": origin_of(self.data)}
        return Record.of_frame(lines, about)


def row_name(row: Mapping[str, Any]) -> str:
    return f"{row['architecture']} on {row['task']}"


def manifest(record: Record) -> dict[str, Any]:
    """The manifest of a record, as plain values; what it says of files beside it is added by who writes them."""
    known = record.origin.get("definitions", {})
    data = record.origin.get("data") or {
        level.label: fingerprint(level, record.experiment.evaluation.seed_list[0]) for level in record.experiment.levels
    }
    found: dict[str, Any] = {
        "format": FORMAT,
        "protocol": record.protocol,
        "memspan": environment()["packages"].get("memspan", ""),
        "experiment": as_plain(record.experiment),
        "counts": {name: getattr(record, name) for name in COUNTS},
        "environments": dict(record.environments),
        "data": data,
        "rows": [run_table(row, known.get(row.name)) for row in record.rows if row.runs],
    }
    found["digests"] = {name: digest(canonical_json(found[name])) for name in SECTIONS}
    found["digest"] = digest_of(found["digests"])
    return found


def digest_of(sections: Mapping[str, str]) -> str:
    """The one number to cite: it stands for the experiment, the environments, the data and every run."""
    return f"sha256:{hashlib.sha256(canonical_json(sections).encode()).hexdigest()}"


def origin_of(proof: Mapping[str, Any]) -> dict[str, Any]:
    """What a record has to remember of how things were when its manifest was made."""
    return {"definitions": {row_name(row): row["definitions"] for row in proof["rows"]}, "data": proof["data"]}


def run_table(row: Row, known: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The runs of a row as columns; with the ``known`` definitions, or those of now."""
    runs = row.runs
    roles = ["trial"] * len(row.trials) + ["finalist"] * len(row.reruns) + ["evaluation"] * len(row.evaluations)
    text_of_config = configs()
    texts = [text_of_config(job.config) for job, _ in runs]
    unique = list(dict.fromkeys(texts))
    names = sorted({name for _, outcome in runs for name in outcome.metrics})
    found: dict[str, Any] = {
        "architecture": row.study.variant.label,
        "task": row.study.level.label,
        "study": row.study.name,
        "source": runs[0][0].config.source.model_dump(),
        "definitions": dict(known) if known is not None else definitions_of(*row.study.classes),
        "configs": [json.loads(text) for text in unique],
        "role": roles,
        "number": [job.number for job, _ in runs],
        "seed": [job.config.seed for job, _ in runs],
        "key": [job.key for job, _ in runs],
        "config": [unique.index(text) for text in texts],
        "params": [json.loads(canonical_json(job.params)) for job, _ in runs],
        "environment": [outcome.environment for _, outcome in runs],
        "curve": [digest(outcome.curves_text) for _, outcome in runs],
        "metrics": {name: [outcome.metrics.get(name) for _, outcome in runs] for name in names},
    }
    found["digests"] = _run_digests(found)
    return found


def _run_digests(row: Mapping[str, Any]) -> list[str]:
    """Of each run the digest of a list in canonical JSON: `RUN_COLUMNS`, params, curve, configuration, metrics."""
    columns = zip(*(row[name] for name in (*RUN_COLUMNS, "params", "curve")), strict=True)
    configs = [canonical_json(config) for config in row["configs"]]  # once, not for each run
    metrics = [{name: values[i] for name, values in row["metrics"].items()} for i in range(len(row["key"]))]
    return [
        digest(f"{canonical_json(own)[:-1]},{configs[place]},{canonical_json(measured)}]")
        for own, place, measured in zip(columns, row["config"], metrics, strict=True)
    ]


def fingerprint(level: Level, seed: int) -> dict[str, Any]:
    """Digests of the data of a level for one seed: the first batch of training, and the whole of the other splits."""
    training = level.training
    data = Data(level.task, seed, training.batch_size)
    batches = {
        "train": data.train_batch(0),
        "validation": data.sample("validation", training.validation_size),
        "test": data.sample("test", training.test_size),
    }
    found: dict[str, Any] = {"seed": seed}
    for split, batch in batches.items():
        parts = hashlib.sha256()
        for tensor in batch:
            parts.update(tensor.contiguous().numpy().tobytes())
        found[split] = parts.hexdigest()[:16]
    return found


def text_of(data: Mapping[str, Any]) -> str:
    """The JSON of a manifest: a line for each column and configuration, so that a difference can be read."""
    return _text(data, 0) + "\n"


def _text(value: Any, depth: int) -> str:
    """What lies deeper than the columns of a row stands on a line."""
    indent = depth * " "
    if depth < LINED and isinstance(value, dict) and any(isinstance(one, dict | list) for one in value.values()):
        members = [f"{indent} {json.dumps(name)}: {_text(one, depth + 1)}" for name, one in value.items()]
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if depth < LINED and isinstance(value, list) and value and isinstance(value[0], dict) and any(value):
        members = [f"{indent} {_text(one, depth + 1)}" for one in value]
        return "[\n" + ",\n".join(members) + f"\n{indent}]"
    return json.dumps(value)


def _check_shape(data: Any) -> None:
    """Raise ``ValueError`` unless everything is there that the rest of the code takes for granted."""
    if not isinstance(data, dict) or not {"format", "digest", "digests", *SECTIONS} <= set(data):
        raise ValueError("it lacks what a manifest has")
    if not isinstance(data["format"], int) or set(data["digests"]) != set(SECTIONS):
        raise ValueError("its format or its digests are no such")
    if not {"planned", "done", "others"} <= set(data["counts"]):
        raise ValueError("it does not say how many runs there are")
    columns = (*RUN_COLUMNS, "config", "params", "curve", "digests")
    for row in data["rows"]:
        if "modules" in row:  # as format 1 called them
            row["definitions"] = row.pop("modules")
        if not {"architecture", "task", "study", "definitions", "configs", "metrics", *columns} <= set(row):
            raise ValueError("a row lacks what a row has")
        if len({len(row[name]) for name in columns} | {len(values) for values in row["metrics"].values()}) > 1:
            raise ValueError(f"the columns of {row_name(row)!r} differ in length")


def read(path: Path) -> Manifest:
    """The manifest at ``path``, a file or the folder that holds it.

    Raises:
        InputError: if there is none, or it was written by a newer version.
    """
    file = path / NAME if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        _check_shape(data)
    except OSError as error:
        raise InputError(
            f"cannot read the manifest {str(file)!r}: {error.strerror}; `memspan leaderboard EXPERIMENT --output DIR` "
            "writes one"
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{str(file)!r} is no manifest of memspan: {error}") from error
    if data["format"] > FORMAT:
        raise InputError(f"{str(file)!r} has format {data['format']} of a newer memspan; this one reads up to {FORMAT}")
    return Manifest(file, data)


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
