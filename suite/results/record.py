"""What a leaderboard is made from: every finished run of an experiment, out of a store or out of a file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from suite.errors import InputError
from suite.experiment.experiment import Experiment
from suite.experiment.run_config import PROTOCOL, RunConfig, canonical_json
from suite.planning.job import Curves, Job, Outcome
from suite.planning.plan import Plan, evaluations, finalists, trials
from suite.planning.study import Study
from suite.store.store import Store

FORMAT = 1
"""Of files of runs. Raised when older versions could not read them."""
OWN = ("study", "architecture", "task", "role", "number", "seed", "key", "params", "config", "environment", "curves")
"""The columns of such a file that are not metrics."""

Run = tuple[Job, Outcome]


class Row(NamedTuple):
    """One architecture on one task level: its finished runs, each kind in the order of its numbers."""

    study: Study
    trials: Sequence[Run]
    reruns: Sequence[Run]
    """Of finalists, on further tuning seeds."""
    evaluations: Sequence[Run]

    @property
    def name(self) -> str:
        return f"{self.study.variant.label} on {self.study.level.label}"

    @property
    def runs(self) -> list[Run]:
        return [*self.trials, *self.reruns, *self.evaluations]

    @property
    def params(self) -> Mapping[str, Any]:
        """The hyper-parameters that were chosen; empty where none were searched, or nothing is chosen yet."""
        return self.evaluations[0][0].params if self.evaluations else {}


@dataclass(frozen=True)
class Record:
    """The finished runs of an experiment, in the order of its levels and architectures."""

    experiment: Experiment
    rows: Sequence[Row]
    planned: int
    done: int
    others: int = 0
    """Finished runs in the store with other settings or sources."""
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the digests of the outcomes stand for, see ``suite.store.environment``."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """In a record out of a file: the ``definitions`` of its rows and the ``data`` of its levels as they were then."""
    protocol: int = PROTOCOL
    """By which the runs were trained; of a record out of a file it may be an earlier one."""
    earlier: int = 0
    """Finished runs in the store that an earlier protocol recorded under other keys."""

    @classmethod
    def of(cls, plan: Plan, environments: Mapping[str, Mapping[str, Any]] | None = None) -> Record:
        rows = []
        for study in plan.studies:
            again = [job for runs in finalists(study, plan.finished) or () for job in runs[1:]]
            kinds = (trials(study, plan.finished), again, evaluations(study, plan.finished))
            known = ([(job, plan.finished[job.key]) for job in jobs if job.key in plan.finished] for jobs in kinds)
            rows.append(Row(study, *known))
        mine = {job.key for row in rows for job, _ in row.runs}
        where = {outcome.environment for row in rows for _, outcome in row.runs}
        places = {name: found for name, found in (environments or {}).items() if name in where}
        others = [outcome for key, outcome in plan.finished.items() if key not in mine]
        earlier = earlier_runs(others, environments or {})
        counts = (plan.planned, plan.done, len(others) - earlier)
        return cls(plan.experiment, rows, *counts, places, earlier=earlier)

    @property
    def complete(self) -> bool:
        return self.done == self.planned

    def frame(self) -> pd.DataFrame:
        """Every run as one line: what it is, its configuration and curves as JSON, and a column per metric."""
        lines: list[dict[str, Any]] = []
        text_of = configs()
        for row in self.rows:
            for role, runs in (("trial", row.trials), ("finalist", row.reruns), ("evaluation", row.evaluations)):
                for job, outcome in runs:
                    own = (
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
                    lines.append({**dict(zip(OWN, own, strict=True)), **outcome.metrics})
        found = pd.DataFrame(lines, columns=None if lines else list(OWN))
        return found[[*OWN, *sorted(set(found.columns) - set(OWN))]]

    def write(self, path: Path, origin: Mapping[str, Any]) -> None:
        """Write every run and its ``origin`` into a Parquet file, from which `read` makes the same record."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(self.frame(), preserve_index=False)
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
        metadata = {b"memspan": json.dumps(about).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record in a file of runs.

        Raises:
            InputError: if the file is none, or was written by a newer version.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
            about = json.loads((table.schema.metadata or {})[b"memspan"])
        except OSError as error:
            raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
        except (KeyError, ValueError, pa.ArrowException) as error:
            raise InputError(f"{str(path)!r} is no file of runs that memspan has written") from error
        if about["format"] > FORMAT:
            raise InputError(f"{str(path)!r} was written by a newer memspan; upgrade this one")
        return cls.of_frame(table.to_pandas(ignore_metadata=True), about)

    @classmethod
    def of_frame(cls, lines: pd.DataFrame, about: Mapping[str, Any]) -> Record:
        """The record of what `frame` has made, and of what goes with it."""
        experiment = Experiment(**about["experiment"])
        studies = [Study(experiment, variant, level) for level in experiment.levels for variant in experiment.variants]
        kept: dict[str, dict[str, list[Run]]] = {study.name: {} for study in studies}
        metrics = [name for name in lines.columns if name not in OWN]
        owns: Iterator[Any] = lines[list(OWN)].itertuples(index=False)
        for own, values in zip(owns, lines[metrics].to_numpy(dtype=float).tolist(), strict=True):
            config = _config(own.config).with_seed(int(own.seed))
            role = "trial" if own.role == "finalist" else own.role
            job = Job(
                own.key, config, own.study, own.architecture, own.task, role, int(own.number), json.loads(own.params)
            )
            known = {name: value for name, value in zip(metrics, values, strict=True) if not math.isnan(value)}
            outcome = Outcome(known, Curves(own.curves), own.environment)
            kept[own.study].setdefault(own.role, []).append((job, outcome))
        rows = [
            Row(study, *(kept[study.name].get(role, []) for role in ("trial", "finalist", "evaluation")))
            for study in studies
        ]
        counts = (about["planned"], about["done"], about["others"])
        history = (about.get("protocol", 1), about.get("earlier", 0))
        return cls(experiment, rows, *counts, about["environments"], about["origin"], *history)


def earlier_runs(outcomes: Iterable[Outcome], environments: Mapping[str, Mapping[str, Any]]) -> int:
    """How many of these runs were recorded by an earlier protocol, under keys that nothing asks for any more."""
    protocols = {name: environment.get("protocol", PROTOCOL) for name, environment in environments.items()}
    return sum(protocols.get(outcome.environment, PROTOCOL) < PROTOCOL for outcome in outcomes)


def earlier_text(count: int) -> str:
    """The sentence that names such runs."""
    return (
        f"{count} finished runs in the store were recorded by an earlier memspan, whose results are not comparable: "
        "they stay in the store and in MLflow, and they do not count here."
    )


def configs() -> Callable[[RunConfig], str]:
    """What gives the JSON of a configuration without its seed, worked out once for the seeds that share its parts."""
    known: dict[tuple[int, ...], tuple[RunConfig, str]] = {}  # with the configuration, so that its parts stay alive

    def text_of(config: RunConfig) -> str:
        parts = (id(config.task), id(config.model), id(config.training))
        if parts not in known:
            known[parts] = config, canonical_json(config.model_dump(exclude={"seed"}))
        return known[parts][1]

    return text_of


def as_plain(experiment: Experiment) -> dict[str, Any]:
    """An experiment as plain values of which ``Experiment(**values)`` makes it again, its tables in their order."""
    plain: dict[str, Any] = json.loads(json.dumps(experiment.model_dump(exclude_none=True)))
    return plain


@lru_cache(maxsize=100_000)
def _config(text: str) -> RunConfig:
    return RunConfig(**json.loads(text), seed=0)


def record_of(plan: Plan, store: Store) -> Record:
    """What a leaderboard of a plan is made from, with the environments of its runs."""
    return Record.of(plan, store.environments(outcome.environment for outcome in plan.finished.values()))
