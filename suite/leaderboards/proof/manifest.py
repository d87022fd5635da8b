"""The manifest of a leaderboard: everything by which its rows can be proved.

It is a JSON file with the experiment, the fingerprints of its data, and its rows. A row is an architecture on a task
level. It has its sources, and for each run the key, the configuration, the environment and every metric. Digests show
what was changed afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from suite.errors import InputError, shortened, unknown
from suite.experiment.loading import EXPERIMENTS
from suite.experiment.plain_data import read_json
from suite.experiment.run_config import canonical_json, digest
from suite.experiment.source_hash import definitions_of
from suite.experiment.validation import errors_at, validate
from suite.leaderboards.proof.fingerprint import fingerprint
from suite.leaderboards.proof.schema import ManifestFile
from suite.results.record import RUN_FIELDS, Record, Row, as_plain, config_writer
from suite.results.recorded import record_of_lines
from suite.store.environment import environment

FORMAT = 2
"""The format is raised when older versions could not read it. Format 1 named whole modules instead of definitions."""
MANIFEST_FILE = "manifest.json"
RUNS_FILE = "runs.parquet"
REPORTS = EXPERIMENTS / "report"
"""The folder of the written leaderboards that come with memspan."""
SECTIONS = ("counts", "experiment", "environments", "data", "rows")
COUNTS = ("planned", "done", "others", "earlier")
"""The numbers of runs that a manifest gives, see `Record`."""
LINE_DEPTH = 4
"""The levels of the JSON that have lines of their own: sections, rows, columns, and the entries of a column."""
CLASSES = (("task", "name"), ("model", "architecture"))
"""Where a configuration names its classes."""
RUN_COLUMNS = ("role", "number", "seed", "key", "environment")
"""The columns of a row's runs, beside ``config`` (a place in ``configs``), ``params``, ``curve`` and ``metrics``."""


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read from a file."""

    path: Path
    data: Mapping[str, Any]
    trusted: bool = False
    """The modules outside memspan that it names may be imported."""

    @property
    def digest(self) -> str:
        return str(self.data["digest"])

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        return list(self.data["rows"])

    def changes(self) -> Iterator[tuple[str, int | None, str]]:
        """Yield a sentence for each change after it was written, with the row and the place of its run if it is one."""
        for row in self.rows:
            for place, (now, then) in enumerate(zip(run_digests(row), row["digests"], strict=True)):
                if now != then:
                    name = f"{row['role'][place]} {row['number'][place]}"
                    yield row_name(row), place, f"{row_name(row)}, {name}: its figures do not match their digest"
        for section in SECTIONS:
            if digest(canonical_json(self.data[section])) != self.data["digests"][section]:
                yield "", None, f"the section {section!r} does not match its digest"
        if combined_digest(self.data["digests"]) != self.digest:
            yield "", None, "the digests do not match the digest of the whole"

    @property
    def outside(self) -> list[str]:
        """The classes outside memspan that it names; without ``trusted``, none of them is imported."""
        experiment = self.data["experiment"]
        tables = [
            *(table.get("task") or label for label, table in experiment["tasks"].items()),
            *(table.get("architecture") or label for label, table in experiment["architectures"].items()),
        ]
        configs = [config for row in self.rows for config in row["configs"]]
        of_runs = [name for config in configs for name in (config["task"]["name"], config["model"]["architecture"])]
        sweep = experiment.get("sweep", {})
        searching = [sweep.get("sampler", ""), sweep.get("pruner", "")]
        return sorted({name for name in (*tables, *of_runs, *searching) if ":" in name})

    @cached_property
    def foreign_rows(self) -> list[str]:
        """The names of the rows whose task or architecture lies outside memspan and is not trusted."""
        if self.trusted:
            return []
        tables = self.data["experiment"]["architectures"]
        return [
            row_name(row)
            for row in self.rows
            if ":" in (tables.get(row["architecture"], {}).get("architecture") or "")
            or any(":" in config[part][key] for config in row["configs"] for part, key in CLASSES)
        ]

    @property
    def foreign_sweep(self) -> bool:
        """Whether its trials come from code outside memspan that is not trusted."""
        sweep = self.data["experiment"].get("sweep", {})
        return not self.trusted and any(":" in sweep.get(key, "") for key in ("sampler", "pruner"))

    @cached_property
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
        lines = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(RUN_FIELDS))
        about = {**self.data, **self.data["counts"], "origin": origin_of(self.data)}
        return record_of_lines(lines, about, trusted=self.trusted)


def row_name(row: Mapping[str, Any]) -> str:
    """Return the name of a row, such as ``gru on adding``."""
    return f"{row['architecture']} on {row['task']}"


def build_manifest(record: Record) -> dict[str, Any]:
    """Return the manifest of a record as plain values. Whoever writes files beside it adds their digests."""
    if record.origin is None:
        seed = record.experiment.evaluation.seed_list[0]
        definitions = {row.name: definitions_of(*row.study.classes) for row in record.rows}
        data = {level.label: fingerprint(level, seed) for level in record.experiment.levels}
        families = record.families
    else:  # What a file names is not imported.
        definitions, data = record.origin["definitions"], record.origin["data"]
        families = record.origin.get("families", {})
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "protocol": record.protocol,
        "memspan": environment()["packages"].get("memspan", ""),
        "experiment": as_plain(record.experiment),
        "counts": {name: getattr(record, name) for name in COUNTS},
        "environments": dict(record.environments),
        "data": data,
        "rows": [
            row_columns(row, definitions.get(row.name, {}), families.get(row.study.variant.label, ""))
            for row in record.rows
            if row.runs
        ],
    }
    manifest["digests"] = {name: digest(canonical_json(manifest[name])) for name in SECTIONS}
    manifest["digest"] = combined_digest(manifest["digests"])
    return manifest


def combined_digest(sections: Mapping[str, str]) -> str:
    """Return the digest to cite, which stands for the experiment, the environments, the data and every run."""
    return f"sha256:{hashlib.sha256(canonical_json(sections).encode()).hexdigest()}"


def origin_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definitions, data and families of a manifest, which a record in a file has to remember."""
    definitions = {row_name(row): row["definitions"] for row in manifest["rows"]}
    families = {row["architecture"]: row["family"] for row in manifest["rows"] if "family" in row}
    return {"definitions": definitions, "data": manifest["data"], **({"families": families} if families else {})}


def row_columns(row: Row, definitions: Mapping[str, str], family: str) -> dict[str, Any]:
    """Return the runs of a row as columns, with the definitions of its classes and the family, if that is recorded."""
    runs = row.runs
    roles = ["trial"] * len(row.trials) + ["finalist"] * len(row.reruns) + ["evaluation"] * len(row.evaluations)
    text_of_config = config_writer()
    texts = [text_of_config(job.config) for job, _ in runs]
    unique = list(dict.fromkeys(texts))
    names = sorted({name for _, outcome in runs for name in outcome.metrics})
    columns: dict[str, Any] = {
        "architecture": row.study.variant.label,
        "task": row.study.level.label,
        "study": row.study.name,
        **({"family": family} if family else {}),
        "source": runs[0][0].config.source.model_dump(),
        "definitions": dict(definitions),
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
    columns["digests"] = run_digests(columns)
    return columns


def run_digests(row: Mapping[str, Any]) -> list[str]:
    """Return the digest of each run: of a list of `RUN_COLUMNS`, params, curve, configuration, metrics as JSON."""
    columns = zip(*(row[name] for name in (*RUN_COLUMNS, "params", "curve")), strict=True)
    configs = [canonical_json(config) for config in row["configs"]]  # once, not for each run
    metrics = [{name: values[i] for name, values in row["metrics"].items()} for i in range(len(row["key"]))]
    return [
        digest(f"{canonical_json(own)[:-1]},{configs[place]},{canonical_json(measured)}]")
        for own, place, measured in zip(columns, row["config"], metrics, strict=True)
    ]


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """Return the JSON of a manifest, with a line for each column and configuration, so that people can compare two."""
    return _text(manifest, 0) + "\n"


def _text(value: Any, depth: int) -> str:
    """Return the JSON of a value; what lies deeper than `LINE_DEPTH` stands on one line."""
    indent = depth * " "
    if depth < LINE_DEPTH and isinstance(value, dict) and any(isinstance(part, dict | list) for part in value.values()):
        members = [f"{indent} {json.dumps(name)}: {_text(part, depth + 1)}" for name, part in value.items()]
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if depth < LINE_DEPTH and isinstance(value, list) and value and isinstance(value[0], dict) and any(value):
        members = [f"{indent} {_text(part, depth + 1)}" for part in value]
        return "[\n" + ",\n".join(members) + f"\n{indent}]"
    return json.dumps(value)


def read_manifest(path: Path, *, trusted: bool = False) -> Manifest:
    """Return the manifest at ``path``, which is its file, the folder that holds it, or a name of `published`.

    Where a folder has the runs and no manifest, the manifest is made from the runs again.

    Args:
        path: the file, the folder, or the name of a leaderboard that comes with memspan.
        trusted: the modules outside memspan that it names may be imported.

    Raises:
        InputError: if there is none, if a newer version wrote it, or if something in it breaks its schema.
    """
    path = path if path.exists() else published().get(str(path), path)
    file = path / MANIFEST_FILE if path.is_dir() else path
    if file.exists():
        data = _read(file)
    elif (path / RUNS_FILE).is_file():
        data = build_manifest(Record.read(path / RUNS_FILE))
    elif not path.is_dir() and path.name == str(path) and not path.suffix:
        raise unknown("leaderboard", str(path), published(), other="the folder or the manifest.json of one")
    else:
        missing = f"{str(path)!r} has no {MANIFEST_FILE}" if path.is_dir() else f"there is no manifest {str(file)!r}"
        raise InputError(f"{missing}; `memspan leaderboard EXPERIMENT --output DIR` writes a folder with one")
    manifest = Manifest(file, data, trusted)
    with errors_at(f"{str(file)!r} is not a manifest of memspan"):
        assert manifest.record  # It is checked here, before anybody calculates with its runs.
    return manifest


def _read(file: Path) -> dict[str, Any]:
    """Return the values in the file of a manifest, which keep its schema."""
    data = read_json(file, f"the manifest {str(file)!r}")
    if not isinstance(data, dict):
        raise InputError(f"{str(file)!r} is not a manifest of memspan: it must be a table; got {shortened(data)}")
    if isinstance(data.get("format"), int) and data["format"] > FORMAT:
        raise InputError(
            f"{str(file)!r} has format {data['format']} of a newer memspan; this one reads formats up to {FORMAT}"
        )
    for row in data["rows"] if isinstance(data.get("rows"), list) else ():
        if isinstance(row, dict) and "modules" in row:  # Format 1 called them so.
            row["definitions"] = row.pop("modules")
    validate(ManifestFile, data, f"{str(file)!r} is not a manifest of memspan")
    return data


def is_board(folder: Path) -> bool:
    """Tell whether a folder holds a written leaderboard, with its manifest or with its runs alone."""
    return any((folder / name).is_file() for name in (MANIFEST_FILE, RUNS_FILE))


def published() -> dict[str, Path]:
    """Return the folders of the written leaderboards that come with memspan, by the names of their experiments."""
    return {folder.name: folder for folder in sorted(REPORTS.glob("*")) if is_board(folder)}


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
