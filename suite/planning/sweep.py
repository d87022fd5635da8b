"""The part of Optuna in a study: it suggests trials, prunes them, and keeps a record of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import optuna.storages.journal
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from suite.errors import DamagedError, InputError, summary_of, unknown
from suite.experiment.run_config import derived_seed
from suite.experiment.search_space import FEWEST_TRIALS, Range, Sweep
from suite.planning.job import Job, Outcome, PrunerContext
from suite.planning.study import Study
from suite.registry import check_hidden, import_user_module, is_class_name, likely_class_name

optuna.logging.set_verbosity(optuna.logging.WARNING)

SAMPLERS: dict[str, Any] = {
    "sobol": None,  # Its design is made here, because an interruption uses up a counter of Optuna's own.
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
    """Check that the sampler and the pruner of a sweep exist.

    Raises:
        InputError: if one of them does not.
    """
    if sweep.sampler != "sobol":
        _make_sampler(sweep.sampler, 0)
    _make_pruner(sweep.pruner)


def _find_class(kind: str, name: str, own: Mapping[str, Any], base: type) -> Any:
    """Return the sampler or the pruner of a name: one of memspan's ``own``, or a subclass of ``base``."""
    if name in own:
        return own[name]
    if not is_class_name(name):
        raise unknown(kind, name, own, other="package.module:Class", likely=likely_class_name(name))
    try:
        cls = getattr(import_user_module(kind, name), name.partition(":")[2])
    except AttributeError as error:
        check_hidden(kind, name)
        raise InputError(f"cannot import {kind} {name!r}: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise InputError(f"{kind} {name!r} must be a subclass of {base.__name__}")
    return cls


def _make_sampler(name: str, seed: int) -> BaseSampler:
    make = _find_class("sampler", name, SAMPLERS, BaseSampler)
    try:
        sampler: BaseSampler = make(seed=seed % 2**32)
    except TypeError:  # It takes no seed.
        sampler = _make("sampler", name, make)
    except ImportError as error:
        raise InputError(f"sampler {name!r} needs a package that is not installed: {error}") from error
    return sampler


def _make_pruner(name: str) -> BasePruner:
    pruner: BasePruner = _make("pruner", name, _find_class("pruner", name, PRUNERS, BasePruner))
    return pruner


def _make(kind: str, name: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except ImportError as error:
        raise InputError(f"{kind} {name!r} needs a package that is not installed: {error}") from error
    except TypeError as error:
        raise InputError(f"{kind} {name!r} must be made without arguments: {error}") from error


def distributions(study: Study) -> dict[str, BaseDistribution]:
    """Return the search space of a study in Optuna's terms."""
    return {name: _distribution(dimension) for name, dimension in sorted(study.space.items())}


def _distribution(dimension: Range | tuple[Any, ...]) -> BaseDistribution:
    if not isinstance(dimension, Range):
        return CategoricalDistribution(dimension)
    if isinstance(dimension.low, int) and isinstance(dimension.high, int):
        return IntDistribution(dimension.low, dimension.high, log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def suggest(study: Study, numbers: range, earlier: Sequence[tuple[Job, Outcome]]) -> list[dict[str, Any]]:
    """Return the hyper-parameters of one generation of trials.

    Trial 0 is the untuned default. Each generation has a new sampler with a seed of its own, which is told the finished
    trials of the generations before and nothing else.

    Args:
        study: the study.
        numbers: the numbers of the trials.
        earlier: the trials of the generations before, with their outcomes.
    """
    if study.sweep.sampler == "sobol":
        suggestions = _sobol(study, numbers.stop)[numbers.start :]
    else:
        sampler = _make_sampler(study.sweep.sampler, derived_seed(study.sweep.seed, study.name, numbers.start))
        memory = optuna.create_study(study_name=study.name, direction="maximize", sampler=sampler)
        space = distributions(study)
        memory.add_trials(frozen_trial(job, outcome, space) for job, outcome in earlier)
        suggestions = [memory.ask(space).params for _ in numbers]
    if numbers.start == 0:
        suggestions[0] = study.defaults
    return [{name: params[name] for name in study.space} for params in suggestions]


def spread(study: Study, count: int) -> list[dict[str, Any]]:
    """Return points that lie all over the search space of a study, whatever its sampler; the first is the default."""
    return [study.defaults, *_sobol(study, count)[1:]] if study.space else [{}]


def _sobol(study: Study, count: int) -> list[dict[str, Any]]:
    """Return the first points of a scrambled Sobol design. A longer design begins with the same points."""
    if len(study.design) >= count:
        return study.design[:count]
    from scipy.stats import qmc  # This import takes a second.

    space = distributions(study)
    generator = np.random.default_rng(derived_seed(study.sweep.seed, study.name))
    design = qmc.Sobol(len(space), scramble=True, rng=generator)
    points = design.random_base2(max(1, math.ceil(math.log2(count))))
    study.design = [
        {name: _quantile(d, u) for (name, d), u in zip(space.items(), point, strict=True)} for point in points
    ]
    return study.design[:count]


def _quantile(distribution: BaseDistribution, u: float) -> Any:
    """Return the value of a distribution at the quantile ``u`` in [0, 1)."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(u * len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    is_whole = isinstance(distribution, IntDistribution)
    # A whole number stands for the unit interval around it, so that the ends are as likely as the others.
    low, high = distribution.low - 0.5 * is_whole, distribution.high + 0.5 * is_whole
    value = math.exp(math.log(low) + u * math.log(high / low)) if distribution.log else low + u * (high - low)
    if is_whole:
        return min(max(round(value), int(distribution.low)), int(distribution.high))
    return float(f"{value:.4g}")  # Four digits are enough, and easy to read.


def frozen_trial(job: Job, outcome: Outcome, space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """Return a finished trial in Optuna's terms, with its objective (see `suite.training.train`)."""
    is_pruned = bool(outcome.metrics["pruned"])
    return optuna.trial.create_trial(
        state=TrialState.PRUNED if is_pruned else TrialState.COMPLETE,
        params={name: _inside(distribution, job.params[name]) for name, distribution in space.items()},
        distributions=dict(space),
        value=outcome.metrics["objective"],
        user_attrs={"key": job.key, "number": job.number},
        intermediate_values=dict(outcome.curve),
    )


def _inside(distribution: BaseDistribution, value: Any) -> Any:
    """Return a value inside its range, beyond whose end rounding to four digits may have led."""
    if isinstance(distribution, CategoricalDistribution):
        return value
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return min(max(value, distribution.low), distribution.high)


class GenerationPruner:
    """A pruner that compares one trial with the finished trials of earlier generations and with nothing else.

    They stand in an Optuna study in memory. The other trials of the generation stand there as failed, so that the trial
    gets its own number.
    """

    def __init__(self, context: PrunerContext) -> None:
        self.study = optuna.create_study(
            study_name=context.study, direction="maximize", pruner=_make_pruner(context.name)
        )
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
        """Tell whether the trial should end, given its validation skill at a step."""
        self.trial.report(skill, step)
        return self.trial.should_prune()


def open_storage(location: str | Path) -> optuna.storages.BaseStorage:
    """Open the storage in which every study is recorded for Optuna's own tools.

    Args:
        location: the address of a database, or the path of a journal file.

    Raises:
        DamagedError: if the file is no journal.
    """
    if isinstance(location, str):
        return optuna.storages.RDBStorage(location)
    try:
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(location)))
    except (ValueError, LookupError, TypeError, IsADirectoryError) as error:  # Optuna reads it without any check.
        raise DamagedError(
            f"Optuna's journal {str(location)!r} is damaged ({summary_of(error)}): move it away. "
            "The ledger has every trial, and memspan needs no journal"
        ) from error


def record_trials(study: Study, trials: Sequence[tuple[Job, Outcome]], storage: optuna.storages.BaseStorage) -> None:
    """Record those finished trials of a study that its record in Optuna's storage lacks."""
    record = optuna.create_study(study_name=study.name, storage=storage, direction="maximize", load_if_exists=True)
    keys = {trial.user_attrs.get("key") for trial in record.get_trials(deepcopy=False)}
    space = distributions(study)
    record.add_trials(frozen_trial(job, outcome, space) for job, outcome in trials if job.key not in keys)


BEST_SHARE = 0.25
"""The share of the trials that count as the best in `importances`."""


def importances(
    study: Study, trials: Sequence[tuple[Job, Outcome]], resamples: int = 100
) -> dict[str, tuple[float, float, float]]:
    """Return the importance of each hyper-parameter: its share in what distinguishes the best quarter of the trials.

    The method is PED-ANOVA (Watanabe, Bansal & Hutter 2023) as Optuna implements it. Pruned trials are left out. Each
    resample of 32 trials takes some 7 ms.

    Args:
        study: the study.
        trials: its finished trials.
        resamples: the number of resamples of the trials.

    Returns:
        The importance of each hyper-parameter, which add up to 1, and the low and the high end of its 95 % interval,
        which are percentiles over the resamples.

    Raises:
        InputError: if there are fewer than ``FEWEST_TRIALS`` trials or fewer than two hyper-parameters, or if all
            trials are equally good.
    """
    space = distributions(study)
    done = [frozen_trial(job, outcome, space) for job, outcome in trials if not outcome.metrics["pruned"]]
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
    low, high = np.quantile([[shares[name] for name in space] for shares in resampled], (0.025, 0.975), axis=0)
    return {name: (point[name], float(low[i]), float(high[i])) for i, name in enumerate(space)}


def _importances(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    import optuna.importance  # This import takes two seconds if scikit-learn is installed.

    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # If all trials of a resample are equally good, so are the importances.
        return optuna.importance.get_param_importances(study, evaluator=evaluator)
