"""The schema of a manifest."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from suite.experiment.bounds import Count, Natural, Seed
from suite.experiment.names import Family, check_file_name
from suite.experiment.run_config import RunConfig, Source
from suite.results.schema import Counts, Digest, Environment, Fingerprint, Key, MetricName, Params, Strict

FileName = Annotated[str, AfterValidator(check_file_name)]


COLUMNS = ("role", "number", "seed", "key", "config", "params", "environment", "curve", "digests")
"""The columns of a row that have a value for each run, beside its metrics."""


class Config(RunConfig):
    """The configuration of a run, whose seed stands elsewhere."""

    seed: Seed = 0


class RowColumns(Strict):
    """The runs of a row as columns."""

    architecture: str
    task: str
    study: str
    family: Family = ""
    source: Source | None = None
    definitions: dict[str, str]
    configs: list[Config] = Field(min_length=1)
    role: list[Literal["trial", "finalist", "evaluation"]] = Field(min_length=1)
    number: list[Natural | Seed]
    seed: list[Seed]
    key: list[Key]
    config: list[Natural]
    params: list[Params]
    environment: list[Digest]
    curve: list[Digest]
    digests: list[Digest]
    metrics: dict[MetricName, list[float | None]]

    @model_validator(mode="after")
    def _has_columns_of_one_length(self) -> RowColumns:
        lengths = {len(getattr(self, name)) for name in COLUMNS} | {len(values) for values in self.metrics.values()}
        if len(lengths) > 1:
            raise ValueError(f"the columns of a row have one length; got {sorted(lengths)}")
        if max(self.config) >= len(self.configs):
            raise ValueError(f"a configuration is one of {len(self.configs)}; got number {max(self.config)}")
        return self


class Sections(Strict):
    """The digests of the sections of a manifest."""

    counts: Digest
    experiment: Digest
    environments: Digest
    data: Digest
    rows: Digest


class ManifestFile(Strict):
    """Everything in a manifest."""

    format: Count
    protocol: Count = 1
    memspan: str = "unknown"
    experiment: dict[str, Any]
    counts: Counts
    environments: dict[str, Environment]
    data: dict[str, Fingerprint]
    rows: list[RowColumns]
    digests: Sections
    digest: Digest
    outputs: dict[FileName, Digest] = Field(default={})
