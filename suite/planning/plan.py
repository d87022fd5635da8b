"""A plan: the studies of an experiment, and what is finished of them."""

from __future__ import annotations

from dataclasses import dataclass

from suite.experiment.experiment import Experiment
from suite.planning.job import Job, Outcome
from suite.planning.study import Study
from suite.planning.study_progress import StudyProgress


@dataclass
class Plan:
    """An experiment's studies, and the outcomes of finished runs by key."""

    experiment: Experiment
    studies: list[Study]
    finished: dict[str, Outcome]

    def progress(self, study: Study) -> StudyProgress:
        """Return how far a study has come by now."""
        return StudyProgress(study, self.finished)

    @property
    def planned(self) -> int:
        """How many runs the experiment comes to."""
        return len(self.studies) * self.experiment.runs_per_study

    @property
    def done(self) -> int:
        """How many of them are finished."""
        return sum(self.progress(study).done for study in self.studies)

    def missing(self) -> dict[str, Job]:
        """Return the runs that can be started now, by key."""
        return {key: job for study in self.studies for key, job in self.progress(study).missing.items()}


def studies(experiment: Experiment) -> list[Study]:
    """Return every study of an experiment, checked: after this nothing in the file can be wrong.

    Raises:
        InputError: if something is wrong.
    """
    checked = [Study(experiment, variant, level) for level in experiment.levels for variant in experiment.variants]
    if experiment.sweep.trials:
        from suite.planning import sweep

        sweep.check(experiment.sweep)
    for study in checked:
        study.check()
    return checked
