"""What an experiment has to run next, as a function of what is finished.

Everything here depends on the experiment and on the outcomes of finished runs, taken in the order of trial numbers:
neither the number of workers nor an interruption changes what is asked next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from suite.experiment.experiment import Experiment
from suite.experiment.run_config import RunConfig, digest
from suite.planning.job import Job, Outcome, PrunerContext
from suite.planning.study import Study

Finished = Mapping[str, Outcome]
"""The outcomes of finished runs by key."""


def generation_size(study: Study) -> int:
    """Trials that are suggested together, knowing only the generations before them."""
    if study.sweep.generation:
        return study.sweep.generation
    one_design = study.sweep.sampler in ("sobol", "random") and study.sweep.pruner == "none"
    return study.sweep.trials if one_design else 4


def trials(study: Study, finished: Finished) -> list[Job]:
    """The trials that can be named now: every generation up to the first that is not finished."""
    from suite.planning import sweep  # Optuna takes a second to import, and what is read from a file needs none

    jobs: list[Job] = []
    while len(jobs) < study.sweep.trials and all(job.key in finished for job in jobs):
        numbers = range(len(jobs), min(len(jobs) + generation_size(study), study.sweep.trials))
        earlier = [(job, finished[job.key]) for job in jobs]
        suggested = sweep.suggest(study, numbers, earlier)
        jobs += [_trial(study, n, params, earlier) for n, params in zip(numbers, suggested, strict=True)]
    return jobs


def _trial(study: Study, number: int, params: Mapping[str, Any], earlier: Iterable[tuple[Job, Outcome]]) -> Job:
    config = study.config(params, study.sweep.seed)
    if study.sweep.pruner == "none":
        return _job(study, config, "trial", number, params)
    context = PrunerContext(study.sweep.pruner, study.name, number, tuple(outcome.curve for _, outcome in earlier))
    # What a pruned run measures depends on what it is compared with.
    return _job(study, config, "trial", number, params, digest(f"{config.key} {context}"), context)


def finalists(study: Study, finished: Finished) -> list[list[Job]] | None:
    """The best trials, each followed by its runs on the tuning seeds of finalists; None while trials are missing.

    The best first: by the objective on validation, then the lower validation loss, then the lower number. A pruned
    trial is none of them unless all are.
    """
    tried = trials(study, finished)
    if len(tried) < study.sweep.trials or any(job.key not in finished for job in tried):
        return None

    def rank(job: Job) -> tuple[bool, float, float, int]:
        metrics = finished[job.key].metrics
        return bool(metrics["pruned"]), -metrics["objective"], metrics.get("validation_loss", float("inf")), job.number

    best = sorted(tried, key=rank)[: study.sweep.finalists]
    seeds = study.sweep.finalist_seed_list
    return [
        [trial, *(_job(study, study.config(trial.params, seed), "trial", trial.number, trial.params) for seed in seeds)]
        for trial in best
    ]


def best(study: Study, finished: Finished) -> Mapping[str, Any] | None:
    """The hyper-parameters to evaluate: the finalist with the best mean objective; None while runs are missing."""
    if not study.sweep.trials:
        return {}
    candidates = finalists(study, finished)
    if candidates is None or any(job.key not in finished for runs in candidates for job in runs):
        return None
    # max takes the first of equals, which is the better trial.
    return max(candidates, key=lambda runs: fmean(finished[job.key].metrics["objective"] for job in runs))[0].params


def evaluations(study: Study, finished: Finished) -> list[Job]:
    """The runs whose results are the study's: the best configuration on every seed; none before it is known."""
    params = best(study, finished)
    if params is None:
        return []
    seeds = study.experiment.evaluation.seed_list
    return [_job(study, study.config(params, seed), "evaluation", seed, params) for seed in seeds]


def _job(
    study: Study,
    config: RunConfig,
    role: str,
    number: int,
    params: Mapping[str, Any],
    key: str | None = None,
    pruner: PrunerContext | None = None,
) -> Job:
    return Job(
        key or config.key, config, study.name, study.variant.label, study.level.label, role, number, params, pruner
    )


def places(study: Study, finished: Finished) -> list[Job]:
    """The runs that can be named now, each place of the study; two may be taken by the same run."""
    reruns = [job for runs in finalists(study, finished) or () for job in runs[1:]]
    return [*trials(study, finished), *reruns, *evaluations(study, finished)]


def known(study: Study, finished: Finished) -> dict[str, Job]:
    """The runs that can be named now, by key."""
    return {job.key: job for job in places(study, finished)}


def missing(study: Study, finished: Finished) -> dict[str, Job]:
    """The runs that can be started now, by key."""
    return {key: job for key, job in known(study, finished).items() if key not in finished}


@dataclass
class Plan:
    """An experiment's studies and what is already known of them."""

    experiment: Experiment
    studies: list[Study]
    finished: dict[str, Outcome]

    @property
    def planned(self) -> int:
        """How many runs the experiment comes to."""
        return len(self.studies) * self.experiment.runs_per_study

    @property
    def done(self) -> int:
        """How many of them are finished."""
        return sum(job.key in self.finished for study in self.studies for job in places(study, self.finished))

    def missing(self) -> dict[str, Job]:
        """The runs that can be started now, by key."""
        return {key: job for study in self.studies for key, job in missing(study, self.finished).items()}


def studies(experiment: Experiment) -> list[Study]:
    """Every study of an experiment, checked: after this nothing in the file can be wrong."""
    found = [Study(experiment, variant, level) for level in experiment.levels for variant in experiment.variants]
    if experiment.sweep.trials:
        from suite.planning import sweep

        sweep.check(experiment.sweep)
    for study in found:
        study.check()
    return found
