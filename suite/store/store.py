"""The store, which keeps the runs of experiments: a folder of files, or servers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import InputError, redacted
from suite.planning.job import Outcome
from suite.store.addresses import StoreLocation, check_database_address, check_tracking_address
from suite.store.environment import environment_digest
from suite.store.files import write_whole
from suite.store.ledger import Ledger

if TYPE_CHECKING:
    from suite.store.mlflow_tracking import Tracking

FORMAT = 1
"""The format of a store. It is raised when older versions of memspan could not read it."""


class Store:
    """A folder, a ledger and MLflow's record of every run.

    Args:
        folder: the folder, which is made if it is missing. Without servers it holds everything: the ledger
            ``ledger.db``, MLflow's database ``mlflow.db`` with its artifacts, and Optuna's journal.
        storage: the address of a database for the ledger and Optuna instead, ``postgresql://user@host/name``.
        tracking: the address of a server or database for MLflow instead.

    Raises:
        InputError: if the folder cannot be written, was made by a newer version, or an address is wrong.
    """

    def __init__(self, folder: Path | str, storage: str | None = None, tracking: str | None = None) -> None:
        self.location = StoreLocation(
            Path(folder).resolve(),
            check_database_address(storage) if storage else None,
            check_tracking_address(tracking) if tracking else None,
        )
        self.folder = self.location.folder
        _prepare(self.folder)
        self._kept_environments: set[str] = set()

    @classmethod
    def at(cls, location: StoreLocation) -> Store:
        """Open the store of a location, in another process or on another machine."""
        return cls(location.folder, location.storage, location.tracking)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.location.storage or f"sqlite:///{self.folder / 'ledger.db'}")

    @cached_property
    def tracking(self) -> Tracking:
        from suite.store.mlflow_tracking import Tracking

        return Tracking(self.location, self.ledger)

    @property
    def journal(self) -> str | Path:
        """Optuna's record of every study: the address of its database, or its journal file."""
        return self.location.storage or self.folder / "optuna.journal"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.folder / "checkpoints"

    def keep_environment(self, environment: Mapping[str, Any]) -> str:
        """Keep an environment, and return its digest."""
        digest = environment_digest(environment)
        if digest not in self._kept_environments:
            self.ledger.fact(f"environment {digest}", json.dumps(environment, sort_keys=True))
            self._kept_environments.add(digest)
        return digest

    def environments(self, digests: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the environments by digest, as far as they were kept."""
        facts = {digest: self.ledger.fact(f"environment {digest}") for digest in sorted(set(digests) - {""})}
        return {digest: json.loads(fact) for digest, fact in facts.items() if fact}

    def finished(self, experiment: str, curves: bool = False) -> dict[str, Outcome]:
        """Return every finished run of an experiment by its key, with its learning ``curves`` if they are wanted."""
        outcomes = self.ledger.outcomes(experiment, curves)
        if outcomes or self.ledger.fact(f"entered {experiment}"):
            return outcomes
        # An older version made this store, or its ledger is lost. MLflow has every run.
        if self.location.tracking or (self.folder / "mlflow.db").exists():
            from suite.store.mlflow_reading import finished_runs

            self.ledger.add_finished(experiment, finished_runs(self.tracking, experiment, self.keep_environment))
            self.ledger.fact(f"entered {experiment}", "from MLflow")
        return self.ledger.outcomes(experiment, curves)

    @property
    def shown(self) -> str:
        """The folder and the addresses, without passwords, for messages."""
        addresses = [part for part in (self.location.storage, self.location.tracking) if part]
        return ", ".join([str(self.folder), *map(redacted, addresses)])


def exists(folder: Path) -> bool:
    """Tell whether there is a store in a folder."""
    return any((folder / name).exists() for name in ("ledger.db", "mlflow.db"))


def _prepare(folder: Path) -> None:
    """Make the folder of a store.

    Raises:
        InputError: if it cannot be written, or a newer version made it.
    """
    marker = folder / "memspan.json"
    try:
        (folder / "artifacts").mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            write_whole(marker, json.dumps({"format": FORMAT}).encode())
        store_format = json.loads(marker.read_text(encoding="utf-8"))["format"]
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "permission denied")
    except OSError as error:
        raise InputError(
            f"the store {str(folder)!r} cannot be written: {error.strerror}; give another --store"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"the store {str(folder)!r} is not one of memspan: {marker.name} cannot be read") from error
    if store_format > FORMAT:
        raise InputError(
            f"the store {str(folder)!r} has format {store_format} of a newer memspan; this one reads up to {FORMAT}: "
            "upgrade memspan or give another --store"
        )
