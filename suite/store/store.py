"""The store, which keeps the runs of experiments: a folder of files, or servers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from suite.errors import DamagedError, InputError, first_problem
from suite.planning.job import Outcome
from suite.store.addresses import (
    StoreLocation,
    check_database_address,
    check_tracking_address,
    embedded_address,
    shown,
)
from suite.store.environment import environment_digest
from suite.store.files import write_whole
from suite.store.ledger import Ledger
from suite.store.retrying import LONGEST_REASON

if TYPE_CHECKING:
    from suite.store.mlflow_tracking import Tracking

FORMAT = 1
"""The format of a store. It is raised when older versions of memspan could not read it."""


LEDGER_FILE = "ledger.db"
MLFLOW_FILE = "mlflow.db"
MARKER_FILE = "memspan.json"


class Store:
    """A folder, a ledger and MLflow's record of every run.

    Args:
        folder: the folder, which is made if it is missing. Without servers it holds everything: the ledger
            ``ledger.db``, MLflow's database ``mlflow.db`` with its artifacts, and Optuna's journal.
        storage: the address of a database for the ledger and Optuna instead, ``postgresql://user@host/name``.
        tracking: the address of a server or database for MLflow instead.
        reads_only: open the store for reading alone. Then nothing is written, and nothing need be there.

    Raises:
        DamagedError: if the file that marks the folder as a store is damaged.
        InputError: if the folder cannot be written, was made by a newer version, or an address is wrong.
    """

    def __init__(
        self, folder: Path | str, storage: str | None = None, tracking: str | None = None, *, reads_only: bool = False
    ) -> None:
        self.location = StoreLocation(
            Path(folder).resolve(),
            check_database_address(storage) if storage else None,
            check_tracking_address(tracking) if tracking else None,
        )
        self.folder = self.location.folder
        self.reads_only = reads_only
        if not reads_only:
            _prepare(self.folder)
        _check_marker(self.folder)
        self._kept_environments: dict[str, Mapping[str, Any]] = {}

    @classmethod
    def at(cls, location: StoreLocation) -> Store:
        """Open the store of a location, in another process or on another machine."""
        return cls(location.folder, location.storage, location.tracking)

    @cached_property
    def ledger(self) -> Ledger:
        address = self.location.storage or embedded_address(self.folder / LEDGER_FILE)
        return Ledger(address, reads_only=self.reads_only)

    @cached_property
    def tracking(self) -> Tracking:
        from suite.store.mlflow_tracking import Tracking

        return Tracking(self.location, self.ledger, reads_only=self.reads_only)

    @property
    def journal(self) -> str | Path:
        """Optuna's record of every study: the address of its database, or its journal file."""
        return self.location.storage or self.folder / "optuna.journal"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.folder / "checkpoints"

    def keep_environment(self, environment: Mapping[str, Any]) -> str:
        """Keep an environment, and return its digest. A store that only reads keeps it in memory."""
        digest = environment_digest(environment)
        if digest not in self._kept_environments:
            if not self.reads_only:
                self.ledger.fact(f"environment {digest}", json.dumps(environment, sort_keys=True))
            self._kept_environments[digest] = environment
        return digest

    def environments(self, digests: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the environments by digest, as far as they were kept."""
        facts = {digest: self.ledger.fact(f"environment {digest}") for digest in sorted(set(digests) - {""})}
        kept = {digest: dict(self._kept_environments[digest]) for digest in facts if digest in self._kept_environments}
        try:
            return kept | {digest: json.loads(fact) for digest, fact in facts.items() if fact}
        except ValueError as error:
            raise self.ledger.database.damaged(f"a row of an environment: {error}") from error

    def finished(self, experiment: str, curves: bool = False) -> dict[str, Outcome]:
        """Return every finished run of an experiment by its key, with its learning ``curves`` if they are wanted."""
        outcomes = self.ledger.outcomes(experiment, curves)
        if any("objective" not in outcome.metrics for outcome in outcomes.values()):
            raise self.ledger.database.damaged("a finished run in it has no objective")
        if outcomes or self.ledger.fact(f"entered {experiment}"):
            return outcomes
        # An older version made this store, or its ledger is lost. MLflow has every run.
        if not self.location.tracking and not (self.folder / MLFLOW_FILE).exists():
            return {}
        from suite.store.mlflow_reading import finished_runs

        found = finished_runs(self.tracking, experiment, self.keep_environment)
        if self.reads_only:
            return {names["key"]: outcome for names, outcome in found}
        self.ledger.add_finished(experiment, found)
        self.ledger.fact(f"entered {experiment}", "from MLflow")
        return self.ledger.outcomes(experiment, curves)

    @property
    def shown(self) -> str:
        """The folder and the addresses, without passwords, for messages."""
        addresses = [part for part in (self.location.storage, self.location.tracking) if part]
        return ", ".join([str(self.folder), *map(shown, addresses)])


def exists(folder: Path) -> bool:
    """Tell whether there is a store in a folder."""
    return any((folder / name).exists() for name in (LEDGER_FILE, MLFLOW_FILE))


def read_only_part(folder: Path) -> Path | None:
    """Return a part of the store in a folder that this user may only read, although runs are recorded there."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    parts = (place, folder / LEDGER_FILE, folder / MLFLOW_FILE)
    return next((path for path in parts if path.exists() and not os.access(path, os.W_OK)), None)


def _prepare(folder: Path) -> None:
    """Make the folder of a store.

    Raises:
        InputError: if it cannot be written.
    """
    part = read_only_part(folder)
    if part is not None:
        raise InputError(
            f"the store {str(folder)!r} cannot be written: you may only read {str(part)!r}; give another --store, or "
            "look at this one with `memspan status` and `memspan leaderboard`"
        )
    marker = folder / MARKER_FILE
    try:
        (folder / "artifacts").mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            write_whole(marker, json.dumps({"format": FORMAT}).encode())
    except OSError as error:
        raise InputError(
            f"the store {str(folder)!r} cannot be written: {error.strerror}; give another --store"
        ) from error


class _Marker(BaseModel):
    """The file that marks a folder as a store. Newer versions may add to it."""

    model_config = ConfigDict(strict=True)

    format: int


def _check_marker(folder: Path) -> None:
    """Check that this version of memspan can read a store; a folder without a marker is none yet.

    Raises:
        DamagedError: if the marker is not one.
        InputError: if the marker cannot be read, or a newer version made the store.
    """
    marker = folder / MARKER_FILE
    try:
        store_format = _Marker.model_validate_json(marker.read_bytes()).format
    except FileNotFoundError:
        return
    except (ValidationError, IsADirectoryError) as error:
        reason = _reason(error) if isinstance(error, ValidationError) else error.strerror
        raise DamagedError(
            f"{str(marker)!r} is not what memspan writes ({reason}): move it away, and memspan makes it again"
        ) from error
    except OSError as error:
        raise InputError(f"the store {str(folder)!r} cannot be read: {error.strerror}; give another --store") from error
    if store_format > FORMAT:
        raise InputError(
            f"the store {str(folder)!r} has format {store_format} of a newer memspan; this one reads up to {FORMAT}: "
            "upgrade memspan or give another --store"
        )


def _reason(error: ValidationError) -> str:
    problem = first_problem(error)
    return ": ".join([*problem.path, problem.message])[:LONGEST_REASON]
