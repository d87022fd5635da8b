"""Optuna's record of the trials: each generation is there as soon as it is finished, for Optuna's own tools."""

from __future__ import annotations

from typing import Any

from suite.errors import redacted
from suite.experiment.run_config import digest
from suite.planning import sweep
from suite.planning.study import Study
from suite.planning.study_progress import StudyProgress
from suite.running.events import RunListener
from suite.store.lease import Leases
from suite.store.retrying import retried
from suite.store.store import Store


class OptunaRecord:
    """The studies of an experiment in Optuna's storage, which is opened with the first generation that is finished.

    The ledger says which generation is recorded, and a trial in the storage is known by its key. A second command, a
    crash or another try therefore records no trial twice. What one command could not record, the next one records.

    Args:
        experiment: the name of the experiment.
        store: the store, which says where the storage is.
        leases: the leases of this command.
        listener: is told once if the storage cannot be written. The runs need no storage, and go on.
    """

    def __init__(self, experiment: str, store: Store, leases: Leases, listener: RunListener) -> None:
        self.experiment = experiment
        self.store = store
        self.leases = leases
        self.listener = listener
        self.storage: Any = None
        self.recorded: dict[str, int] = {}
        """The number of generations of each study that this command need not look at again."""
        self.has_failed = False

    def add(self, study: Study, progress: StudyProgress) -> bool:
        """Record the finished generations of a study, and tell whether all of them are recorded now."""
        if self.has_failed:
            return False
        try:
            return self._add(study, progress)
        except Exception as error:  # Every result is in the ledger.
            self.has_failed = True
            self.listener.on_trouble(f"the trials could not be recorded in Optuna: {redacted(str(error))}")
            return False

    def _add(self, study: Study, progress: StudyProgress) -> bool:
        generations = progress.finished_generations
        for number in range(self.recorded.get(study.name, 0), len(generations)):
            name = f"generation {self.experiment} {digest(study.name)} {study.version} {number}"
            if self.leases.begin_once(name):
                try:
                    self.storage = self.storage or retried(sweep.open_storage, self.store.journal)
                    retried(sweep.record_trials, study, progress.outcomes(generations[number]), self.storage)
                except Exception:
                    self.leases.leave_once(name)
                    raise
                self.leases.end_once(name)
            elif not self.leases.is_done(name):  # Another command is about to record it.
                return False
            self.recorded[study.name] = number + 1
        return True
