"""The progress of a study: which of its runs are finished, and which can be started now.

It depends on the study and on the outcomes of finished runs, in the order of trial numbers. Neither the number of
workers nor an interruption changes which runs come next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from suite.experiment.run_config import RunConfig, digest
from suite.planning.choosing import best_first, mean_objective
from suite.planning.job import Job, Outcome, PrunerContext
from suite.planning.study import Study

Finished = Mapping[str, Outcome]
"""The outcomes of finished runs by key."""


class StudyProgress:
    """The runs of a study at one moment, as they follow from the finished ones. Each part is computed once.

    Args:
        study: the study.
        finished: the outcomes of finished runs by key, also those of other studies.
    """

    def __init__(self, study: Study, finished: Finished) -> None:
        self.study = study
        self.finished = finished

    @cached_property
    def trials(self) -> list[Job]:
        """The trials that are known: those of every generation up to the first that is not finished."""
        from suite.planning import sweep  # Optuna takes a second to import, and a written leaderboard does not need it.

        jobs: list[Job] = []
        count = self.study.sweep.trials
        while len(jobs) < count and self.are_finished(jobs):
            numbers = range(len(jobs), min(len(jobs) + self.study.sweep.generation_size, count))
            earlier = [(job, self.finished[job.key]) for job in jobs]
            suggested = sweep.suggest(self.study, numbers, earlier)
            jobs += [self._trial(number, params, earlier) for number, params in zip(numbers, suggested, strict=True)]
        return jobs

    @property
    def finished_generations(self) -> list[list[Job]]:
        """The trials of each generation that is finished."""
        size = max(1, self.study.sweep.generation_size)  # It is 0 where nothing is tuned.
        generations = [self.trials[start : start + size] for start in range(0, len(self.trials), size)]
        return [jobs for jobs in generations if self.are_finished(jobs)]

    @cached_property
    def finalists(self) -> list[list[Job]] | None:
        """The best trials, each followed by its runs on further tuning seeds; None while trials are missing."""
        if len(self.trials) < self.study.sweep.trials or not self.are_finished(self.trials):
            return None
        ordered = sorted(self.trials, key=lambda trial: best_first(self.finished[trial.key].metrics, trial.number))
        best, seeds = ordered[: self.study.sweep.finalists], self.study.sweep.finalist_seed_list
        return [[trial, *(self._job(trial.params, seed, "trial", trial.number) for seed in seeds)] for trial in best]

    @cached_property
    def best_params(self) -> Mapping[str, Any] | None:
        """The hyper-parameters to evaluate: those of the finalist with the best mean objective.

        They are None while a run that decides is missing, and empty if nothing is tuned.
        """
        if not self.study.sweep.trials:
            return {}
        if self.finalists is None or not self.are_finished(job for runs in self.finalists for job in runs):
            return None

        def worth(runs: list[Job]) -> float:
            return mean_objective(self.finished[job.key].metrics for job in runs)

        return max(self.finalists, key=worth)[0].params  # The first of equals, which is the better trial, wins.

    @cached_property
    def evaluations(self) -> list[Job]:
        """The runs of the best configuration on every seed, which are the study's result; empty until it is known."""
        params = self.best_params
        if params is None:
            return []
        return [self._job(params, seed, "evaluation", seed) for seed in self.study.experiment.evaluation.seed_list]

    @cached_property
    def reruns(self) -> list[Job]:
        """The runs of finalists on further tuning seeds."""
        return [job for runs in self.finalists or () for job in runs[1:]]

    @cached_property
    def jobs(self) -> list[Job]:
        """The known runs of every place in the study. Two places may share one run."""
        return [*self.trials, *self.reruns, *self.evaluations]

    @property
    def missing(self) -> dict[str, Job]:
        """The runs that can be started now, by key."""
        return {job.key: job for job in self.jobs if job.key not in self.finished}

    @property
    def done(self) -> int:
        """The number of places in the study whose runs are finished."""
        return sum(job.key in self.finished for job in self.jobs)

    @property
    def is_complete(self) -> bool:
        """True if every evaluation is finished."""
        return bool(self.evaluations) and self.are_finished(self.evaluations)

    @property
    def best_run(self) -> Job | None:
        """The best evaluation by validation data; None while an evaluation is missing."""
        if not self.is_complete:
            return None
        return min(
            self.evaluations,
            key=lambda job: best_first(self.finished[job.key].metrics, job.config.seed, "validation_skill"),
        )

    def are_finished(self, jobs: Iterable[Job]) -> bool:
        """Tell whether all of these runs are finished."""
        return all(job.key in self.finished for job in jobs)

    def outcomes(self, jobs: Iterable[Job]) -> list[tuple[Job, Outcome]]:
        """Return the finished ones among these runs, with their outcomes."""
        return [(job, self.finished[job.key]) for job in jobs if job.key in self.finished]

    def _trial(self, number: int, params: Mapping[str, Any], earlier: Iterable[tuple[Job, Outcome]]) -> Job:
        sweep = self.study.sweep
        if sweep.pruner == "none":
            return self._job(params, sweep.seed, "trial", number)
        curves = tuple(outcome.curve for _, outcome in earlier)
        pruner = PrunerContext(sweep.pruner, self.study.name, number, curves)
        return self._job(params, sweep.seed, "trial", number, pruner)

    def _job(
        self, params: Mapping[str, Any], seed: int, role: str, number: int, pruner: PrunerContext | None = None
    ) -> Job:
        config: RunConfig = self.study.config(params, seed)
        # The result of a run that may be pruned depends on the trials with which it is compared.
        key = digest(f"{config.key} {pruner}") if pruner else config.key
        variant, level = self.study.variant.label, self.study.level.label
        return Job(key, config, self.study.name, variant, level, role, number, params, pruner)
