"""The source of a leaderboard: every finished run of an experiment, from a store or from a file."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from suite.errors import many
from suite.experiment.experiment import Experiment
from suite.experiment.run_config import PROTOCOL, RunConfig, canonical_json
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan
from suite.planning.study import Study
from suite.store.files import write_whole
from suite.store.store import Store

FORMAT = 2
"""The format of a file of runs. It is raised when older versions could not read the file."""
HEADER = b"memspan"
"""The entry of a file of runs that has its format as JSON. In format 1, it also has all that is said of the runs."""
ABOUT = b"memspan.about"
"""The entry that has what is said of the runs: JSON that zlib has compressed, in base64."""
RUN_FIELDS = (
    "study",
    "architecture",
    "task",
    "role",
    "number",
    "seed",
    "key",
    "params",
    "config",
    "environment",
    "curves",
)
"""The columns of such a file that describe a run; all others are metrics."""

Run = tuple[Job, Outcome]


class Row(NamedTuple):
    """One architecture on one task level: its finished runs, each kind in the order of its numbers."""

    study: Study
    trials: Sequence[Run]
    reruns: Sequence[Run]
    """The runs of finalists on further tuning seeds."""
    evaluations: Sequence[Run]

    @property
    def name(self) -> str:
        """The name of the row: the architecture on its level."""
        return self.study.title

    @property
    def runs(self) -> list[Run]:
        """All runs of the row."""
        return [*self.trials, *self.reruns, *self.evaluations]

    @property
    def params(self) -> Mapping[str, Any]:
        """The chosen hyper-parameters; empty where none were searched, or none are chosen yet."""
        return self.evaluations[0][0].params if self.evaluations else {}


@dataclass(frozen=True)
class Record:
    """The finished runs of an experiment, in the order of its levels and architectures."""

    experiment: Experiment
    rows: Sequence[Row]
    planned: int
    done: int
    others: int = 0
    """The number of finished runs in the store with other settings or sources."""
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The environments for which the digests in the outcomes stand, see ``suite.store.environment``."""
    origin: Mapping[str, Any] | None = None
    """The ``definitions`` of the rows and the ``data`` of the levels when they were written; None without a file."""
    protocol: int = PROTOCOL
    """The protocol by which the runs were trained, which may be an earlier one in a record from a file."""
    earlier: int = 0
    """The number of finished runs in the store that an earlier protocol recorded under other keys."""

    @classmethod
    def of(cls, plan: Plan, environments: Mapping[str, Mapping[str, Any]] | None = None) -> Record:
        """Return the record of a plan, given the environments of its outcomes by digest."""
        rows = []
        for study in plan.studies:
            progress = plan.progress(study)
            kinds = (progress.trials, progress.reruns, progress.evaluations)
            rows.append(Row(study, *map(progress.outcomes, kinds)))
        keys = {job.key for row in rows for job, _ in row.runs}
        digests = {outcome.environment for row in rows for _, outcome in row.runs}
        own_environments = {digest: values for digest, values in (environments or {}).items() if digest in digests}
        others = [outcome for key, outcome in plan.finished.items() if key not in keys]
        earlier = count_earlier(others, environments or {})
        counts = (plan.planned, plan.done, len(others) - earlier)
        return cls(plan.experiment, rows, *counts, own_environments, earlier=earlier)

    @property
    def complete(self) -> bool:
        """True if every planned run is finished."""
        return self.done == self.planned

    @property
    def families(self) -> dict[str, str]:
        """The family of each architecture by label; empty where nobody knows it."""
        return {row.study.variant.label: row.study.family for row in self.rows}

    def frame(self) -> pd.DataFrame:
        """Return every run as one line: `RUN_FIELDS`, of which some are JSON, and one column per metric."""
        lines: list[dict[str, Any]] = []
        text_of = config_writer()
        for row in self.rows:
            for role, runs in (("trial", row.trials), ("finalist", row.reruns), ("evaluation", row.evaluations)):
                for job, outcome in runs:
                    described = (
                        job.study,
                        job.variant,
                        job.level,
                        role,
                        job.number,
                        job.config.seed,
                        job.key,
                        canonical_json(job.params),
                        text_of(job.config),
                        outcome.environment,
                        outcome.curves_text,
                    )
                    lines.append({**dict(zip(RUN_FIELDS, described, strict=True)), **outcome.metrics})
        table = pd.DataFrame(lines, columns=None if lines else list(RUN_FIELDS))
        return table[[*RUN_FIELDS, *sorted(set(table.columns) - set(RUN_FIELDS))]]

    def write(self, path: Path, origin: Mapping[str, Any]) -> None:
        """Write every run and its ``origin`` to a Parquet file, from which `read` makes the same record.

        An earlier file stays until the new one is whole, because it may be all that there is of its runs.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(self.frame(), preserve_index=False).replace_schema_metadata()
        about = {
            "format": FORMAT,
            "experiment": as_plain(self.experiment),
            "protocol": self.protocol,
            "planned": self.planned,
            "done": self.done,
            "others": self.others,
            "earlier": self.earlier,
            "environments": self.environments,
            "origin": origin,
        }
        # Parquet compresses columns alone, and this is long and says much the same of each row.
        packed = base64.b64encode(zlib.compress(json.dumps(about).encode(), 9))
        metadata = {HEADER: json.dumps({"format": FORMAT}), ABOUT: packed}
        numbers = [field.name for field in table.schema if pa.types.is_floating(field.type)]

        def write_into(file: IO[bytes]) -> None:
            with pq.ParquetWriter(
                file,
                table.schema,
                compression="zstd",
                compression_level=19,
                use_dictionary=[name for name in table.column_names if name not in numbers],
                use_byte_stream_split=numbers,  # The bytes of a number that are much alike stand together.
                store_schema=False,  # Arrow's copy of the schema says nothing that the columns do not say.
            ) as writer:
                writer.write_table(table)
                writer.add_key_value_metadata(metadata)

        write_whole(path, write_into)

    @classmethod
    def read(cls, path: Path) -> Record:
        """Return the record in a file of runs.

        Raises:
            InputError: if the file cannot be read, holds no runs of memspan, or was written by a newer version.
        """
        from suite.results.recorded import read_record

        return read_record(path)


def count_earlier(outcomes: Iterable[Outcome], environments: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many of these runs an earlier protocol recorded, under keys that nothing asks for any more."""
    protocols = {name: environment.get("protocol", PROTOCOL) for name, environment in environments.items()}
    return sum(protocols.get(outcome.environment, PROTOCOL) < PROTOCOL for outcome in outcomes)


def earlier_text(count: int) -> str:
    """Return the sentence that tells of such runs."""
    were, stay, do = ("was", "it stays", "it does") if count == 1 else ("were", "they stay", "they do")
    return (
        f"{many(count, 'finished run')} in the store {were} recorded by an earlier memspan, whose results are not "
        f"comparable: {stay} in the store and in MLflow, and {do} not count here."
    )


def config_writer() -> Callable[[RunConfig], str]:
    """Return a function from a configuration to its JSON without the seed, which is made once for all seeds."""
    written: dict[tuple[int, ...], tuple[RunConfig, str]] = {}  # with the configuration, so that its parts stay alive

    def text_of(config: RunConfig) -> str:
        parts = (id(config.task), id(config.model), id(config.training))
        if parts not in written:
            written[parts] = config, canonical_json(config.model_dump(exclude={"seed"}))
        return written[parts][1]

    return text_of


def as_plain(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment as plain values in their order, from which ``Experiment(**values)`` makes it again."""
    plain: dict[str, Any] = json.loads(json.dumps(experiment.model_dump(exclude_none=True)))
    return plain


def record_of(plan: Plan, store: Store) -> Record:
    """Return the record of a plan, with the environments of its runs from the store."""
    return Record.of(plan, store.environments(outcome.environment for outcome in plan.finished.values()))
