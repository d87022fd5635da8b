"""A plan: the studies of an experiment, and the runs of them that are finished."""

from __future__ import annotations

from dataclasses import dataclass

from suite.experiment.experiment import Experiment
from suite.planning.job import Job, Outcome
from suite.planning.study import Study
from suite.planning.study_progress import StudyProgress


@dataclass
class Plan:
    """The studies of an experiment, and the outcomes of finished runs by key."""

    experiment: Experiment
    studies: list[Study]
    finished: dict[str, Outcome]

    def progress(self, study: Study) -> StudyProgress:
        """Return the progress of a study up to now."""
        return StudyProgress(study, self.finished)

    @property
    def planned(self) -> int:
        """The number of runs of the whole experiment."""
        return sum(study.planned for study in self.studies)

    @property
    def done(self) -> int:
        """The number of runs that are finished."""
        return sum(self.progress(study).done for study in self.studies)

    def missing(self) -> dict[str, Job]:
        """Return the runs that can be started now, by key."""
        return {key: job for study in self.studies for key, job in self.progress(study).missing.items()}


def studies(experiment: Experiment) -> list[Study]:
    """Return every study of an experiment, after the last checks of its file.

    Raises:
        InputError: if the experiment breaks a rule, or a model of it cannot be built.
    """
    checked = [Study(experiment, variant, level) for level in experiment.levels for variant in experiment.variants]
    if experiment.sweep.trials:
        from suite.planning import sweep

        sweep.check(experiment.sweep)
    for study in checked:
        study.check()
    return checked
