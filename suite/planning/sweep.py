"""What Optuna does for a study: it suggests, it prunes, and it keeps the record."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import optuna.storages.journal
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from suite.errors import InputError, unknown
from suite.experiment.run_config import derived_seed
from suite.experiment.search_space import FEWEST_TRIALS, Range, Sweep
from suite.planning.job import Job, Outcome, PrunerContext
from suite.planning.study import Study
from suite.registry import check_hidden, import_own

optuna.logging.set_verbosity(optuna.logging.WARNING)

SAMPLERS: dict[str, Any] = {
    "sobol": None,  # a design made here: Optuna's own keeps a counter that an interruption uses up
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
}
PRUNERS: dict[str, Any] = {
    "none": optuna.pruners.NopPruner,
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=3),
    "percentile": lambda: optuna.pruners.PercentilePruner(25.0, n_startup_trials=3),
}


def check(sweep: Sweep) -> None:
    """Raise ``InputError`` unless the sampler and the pruner exist."""
    if sweep.sampler != "sobol":
        _sampler(sweep.sampler, 0)
    _pruner(sweep.pruner)


def _named(kind: str, name: str, known: Mapping[str, Any], base: type) -> Any:
    if name in known:
        return known[name]
    _, _, cls = name.partition(":")
    if not cls:
        raise unknown(kind, name, known, other="package.module:Class")
    try:
        found = getattr(import_own(kind, name), cls)
    except AttributeError as error:
        check_hidden(kind, name)
        raise InputError(f"cannot import {kind} {name!r}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InputError(f"{kind} {name!r} must be a subclass of {base.__name__}")
    return found


def _sampler(name: str, seed: int) -> BaseSampler:
    make = _named("sampler", name, SAMPLERS, BaseSampler)
    try:
        return make(seed=seed % 2**32)  # type: ignore[no-any-return]
    except TypeError:
        return make()  # type: ignore[no-any-return]
    except ImportError as error:
        raise InputError(f"sampler {name!r} needs a package that is not installed: {error}") from error


def _pruner(name: str) -> BasePruner:
    return _named("pruner", name, PRUNERS, BasePruner)()  # type: ignore[no-any-return]


def distributions(study: Study) -> dict[str, BaseDistribution]:
    """The study's space in Optuna's terms."""
    return {name: _distribution(dimension) for name, dimension in sorted(study.space.items())}


def _distribution(dimension: Range | tuple[Any, ...]) -> BaseDistribution:
    if not isinstance(dimension, Range):
        return CategoricalDistribution(dimension)
    if isinstance(dimension.low, int) and isinstance(dimension.high, int):
        return IntDistribution(dimension.low, dimension.high, log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def suggest(study: Study, numbers: range, earlier: Sequence[tuple[Job, Outcome]]) -> list[dict[str, Any]]:
    """The hyper-parameters of the trials ``numbers``: one generation.

    Trial 0 is the untuned default. The others depend on (sweep seed, study, trial number) and on ``earlier``, the
    finished trials of the generations before: the sampler is made anew for each generation, with a seed of its own,
    and is shown those and nothing else.
    """
    if study.sweep.sampler == "sobol":
        found = _sobol(study, numbers.stop)[numbers.start :]
    else:
        sampler = _sampler(study.sweep.sampler, derived_seed(study.sweep.seed, study.name, numbers.start))
        memory = optuna.create_study(study_name=study.name, direction="maximize", sampler=sampler)
        space = distributions(study)
        memory.add_trials(frozen(job, outcome, space) for job, outcome in earlier)
        found = [memory.ask(space).params for _ in numbers]
    if numbers.start == 0:
        found[0] = study.defaults
    return [{name: params[name] for name in study.space} for params in found]


def _sobol(study: Study, count: int) -> list[dict[str, Any]]:
    """The first ``count`` points of a scrambled Sobol design; a longer design begins with the same points."""
    if len(study.design) >= count:
        return study.design[:count]
    from scipy.stats import qmc  # takes a second

    space = distributions(study)
    generator = np.random.default_rng(derived_seed(study.sweep.seed, study.name))
    design = qmc.Sobol(len(space), scramble=True, rng=generator)
    points = design.random_base2(max(1, math.ceil(math.log2(count))))
    study.design = [{name: _at(d, u) for (name, d), u in zip(space.items(), point, strict=True)} for point in points]
    return study.design[:count]


def _at(distribution: BaseDistribution, u: float) -> Any:
    """The value at the quantile ``u`` in [0, 1)."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(u * len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    whole = isinstance(distribution, IntDistribution)
    # A whole number stands for the unit interval around it, so that the ends are as likely as the rest.
    low, high = distribution.low - 0.5 * whole, distribution.high + 0.5 * whole
    value = math.exp(math.log(low) + u * math.log(high / low)) if distribution.log else low + u * (high - low)
    if whole:
        return min(max(round(value), int(distribution.low)), int(distribution.high))
    return float(f"{value:.4g}")  # four digits are enough, and can be read


def frozen(job: Job, outcome: Outcome, space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """A finished trial in Optuna's terms. The objective is the validation skill (see ``training``)."""
    pruned = bool(outcome.metrics["pruned"])
    return optuna.trial.create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        params={name: job.params[name] for name in space},
        distributions=dict(space),
        value=outcome.metrics["objective"],
        user_attrs={"key": job.key, "number": job.number},
        intermediate_values=dict(outcome.curve),
    )


class GenerationPruner:
    """Decides about one trial, comparing it with the finished earlier generations and nothing else.

    An Optuna study in memory is given those trials; those of the same generation stand there as failed, so that the
    trial has its own number.
    """

    def __init__(self, context: PrunerContext) -> None:
        self.study = optuna.create_study(study_name=context.study, direction="maximize", pruner=_pruner(context.name))
        for curve in context.earlier:
            self.study.add_trial(
                optuna.trial.create_trial(
                    state=TrialState.COMPLETE,
                    value=curve[-1][1] if curve else 0.0,
                    intermediate_values=dict(curve),
                )
            )
        for _ in range(len(context.earlier), context.number):
            self.study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
        self.trial = self.study.ask()

    def __call__(self, step: int, skill: float) -> bool:
        self.trial.report(skill, step)
        return self.trial.should_prune()


def storage(place: str | Path) -> optuna.storages.BaseStorage:
    """What keeps every study for Optuna's own tools: a database, by its address, or a journal file."""
    if isinstance(place, str):
        return optuna.storages.RDBStorage(place)
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(place)))


def record(study: Study, trials: Sequence[tuple[Job, Outcome]], store: optuna.storages.BaseStorage) -> None:
    """Add the finished trials that the stored Optuna study lacks."""
    kept = optuna.create_study(study_name=study.name, storage=store, direction="maximize", load_if_exists=True)
    known = {trial.user_attrs.get("key") for trial in kept.get_trials(deepcopy=False)}
    space = distributions(study)
    kept.add_trials(frozen(job, outcome, space) for job, outcome in trials if job.key not in known)


BEST_SHARE = 0.25


def importances(
    study: Study, trials: Sequence[tuple[Job, Outcome]], resamples: int = 100
) -> dict[str, tuple[float, float, float]]:
    """The share of each hyper-parameter in what sets the best quarter of the trials apart, with its 95 % interval.

    PED-ANOVA (Watanabe, Bansal & Hutter 2023) in Optuna's form, normalised to a sum of 1; percentiles over resampled
    trials. Pruned trials are left out. Some 7 ms per resample of 32 trials.

    Raises:
        InputError: with fewer than ``FEWEST_TRIALS`` trials, fewer than two hyper-parameters, or equally good trials.
    """
    space = distributions(study)
    done = [frozen(job, outcome, space) for job, outcome in trials if not outcome.metrics["pruned"]]
    if len(done) < FEWEST_TRIALS:
        raise InputError(f"importances need at least {FEWEST_TRIALS} finished trials; got {len(done)}")
    if len(space) < 2:
        raise InputError(f"importances need at least two searched hyper-parameters; got {', '.join(space) or 'none'}")
    if len({trial.value for trial in done}) == 1:
        raise InputError(f"all {len(done)} trials are equally good: nothing is more important than another")
    generator = np.random.default_rng(derived_seed("importances", study.name))
    draws = generator.integers(len(done), size=(resamples, len(done)))
    point = _importances(done)
    resampled = [_importances([done[i] for i in draw]) for draw in draws]
    low, high = np.quantile([[found[name] for name in space] for found in resampled], (0.025, 0.975), axis=0)
    return {name: (point[name], float(low[i]), float(high[i])) for i, name in enumerate(space)}


def _importances(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    import optuna.importance  # takes two seconds, for scikit-learn where that is installed

    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a resample may hold equally good trials alone; its importances are then equal
        return optuna.importance.get_param_importances(study, evaluator=evaluator)
