"""The store: where the runs of experiments are kept. Embedded files by default, servers where they are given."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import InputError, redacted
from suite.planning.job import Outcome
from suite.store import addresses
from suite.store.addresses import StoreLocation
from suite.store.environment import environment_digest
from suite.store.ledger import Ledger

if TYPE_CHECKING:
    from suite.store.mlflow_tracking import Tracking

FORMAT = 1
"""Of the store. Raised when older versions of memspan could not read it."""


class Store:
    """A folder, a ledger and MLflow's record of every run.

    Args:
        folder: made when it is not there. With nothing else given it holds everything: ``ledger.db``, MLflow's database
            ``mlflow.db`` with its artifacts, and Optuna's journal.
        storage: a database for the ledger and for Optuna instead, ``postgresql://user@host/name``.
        tracking: MLflow's tracking server or database instead.

    Raises:
        InputError: if the folder cannot be written, was made by a newer version, or an address is none.
    """

    def __init__(self, folder: Path | str, storage: str | None = None, tracking: str | None = None) -> None:
        self.place = StoreLocation(
            Path(folder).resolve(),
            addresses.database(storage) if storage else None,
            addresses.tracking(tracking) if tracking else None,
        )
        self.folder = self.place.folder
        _prepare(self.folder)
        self._noted: set[str] = set()

    @classmethod
    def at(cls, place: StoreLocation) -> Store:
        return cls(place.folder, place.storage, place.tracking)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.place.storage or f"sqlite:///{self.folder / 'ledger.db'}")

    @cached_property
    def tracking(self) -> Tracking:
        from suite.store.mlflow_tracking import Tracking

        return Tracking(self.place, self.ledger)

    @property
    def journal(self) -> str | Path:
        """Optuna's record of every study: the address of its database, or its journal file."""
        return self.place.storage or self.folder / "optuna.journal"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def note(self, environment: Mapping[str, Any]) -> str:
        """Keep what a result depends on beside its configuration; what stands for it."""
        found = environment_digest(environment)
        if found not in self._noted:
            self.ledger.fact(f"environment {found}", json.dumps(environment, sort_keys=True))
            self._noted.add(found)
        return found

    def environments(self, digests: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What stands for what; without those that nobody noted."""
        facts = {found: self.ledger.fact(f"environment {found}") for found in sorted(set(digests) - {""})}
        return {found: json.loads(fact) for found, fact in facts.items() if fact}

    def finished(self, experiment: str, curves: bool = False) -> dict[str, Outcome]:
        """Every finished run of an experiment by its key; with ``curves``, its metrics at each validation as well."""
        found = self.ledger.outcomes(experiment, curves)
        if found or self.ledger.fact(f"entered {experiment}"):
            return found
        # A store of an older version, or one whose ledger is lost: MLflow has every run.
        if self.place.tracking or (self.folder / "mlflow.db").exists():
            self.ledger.add_finished(experiment, self.tracking.finished(experiment, self.note))
            self.ledger.fact(f"entered {experiment}", "from MLflow")
        return self.ledger.outcomes(experiment, curves)

    @property
    def shown(self) -> str:
        """For messages: the addresses without their passwords."""
        parts = [part for part in (self.place.storage, self.place.tracking) if part]
        return ", ".join([str(self.folder), *map(redacted, parts)])


def exists(folder: Path) -> bool:
    """Whether there is a store in a folder."""
    return any((folder / name).exists() for name in ("ledger.db", "mlflow.db"))


def _prepare(folder: Path) -> None:
    """Make the folder, and refuse one that cannot be written or that a newer version has made."""
    marker = folder / "memspan.json"
    try:
        (folder / "artifacts").mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            unfinished = marker.with_name(f"{marker.name}.{os.getpid()}")
            unfinished.write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
            unfinished.replace(marker)
        found = json.loads(marker.read_text(encoding="utf-8"))["format"]
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "permission denied")
    except OSError as error:
        raise InputError(
            f"the store {str(folder)!r} cannot be written: {error.strerror}; give another --store"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"the store {str(folder)!r} is not one of memspan: {marker.name} cannot be read") from error
    if found > FORMAT:
        raise InputError(
            f"the store {str(folder)!r} has format {found} of a newer memspan; this one reads up to {FORMAT}: "
            "upgrade memspan or give another --store"
        )
