"""The gradient flow of architectures before their training: the lesson's product of 100 Jacobians."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from suite.contracts.look import check_cells
from suite.data import Data
from suite.diagnostics.gradients import Decay, effective_memory, mean_log, memory_of, state_gradient
from suite.diagnostics.wording import Turn, curve_text, turn
from suite.errors import InputError
from suite.experiment.experiment import Experiment
from suite.experiment.run_config import ModelConfig, Shape, TaskConfig, derived_seed
from suite.experiment.search_space import TUNABLE_TRAINING
from suite.experiment.validation import validate
from suite.model.sequence_model import model_of
from suite.model.sizing import Budget, inspected, match_hidden_size
from suite.numerics import numerics
from suite.registry import architectures
from suite.statistics.student import Interval, mean_interval
from suite.statistics.table import Floats
from tasks import Task

SEQUENCES = 32
"""The number of sequences of the adding problem per seed; each has a random vector of its own."""
SHORTEST = 10
"""The smallest length; a shorter one has no τ at a tenth of it."""
SHAPE = tuple(Shape.model_fields)
"""The keys that a label may set beside the options of its architecture."""
HIDDEN_SIZE = 64
"""The hidden size where none is asked for."""


@dataclass(frozen=True)
class Arm:
    """An architecture that is measured."""

    label: str
    architecture: str
    settings: Mapping[str, Any]
    """Its options, and the form of its model; the defaults are left out."""
    hidden_size: int | None = None
    """Its hidden size, unless the survey asks for another."""
    budget: tuple[str, int] | None = None
    """The measure and the number for which its hidden size is solved, unless the survey asks for a size."""

    @classmethod
    def from_label(cls, label: str) -> Arm:
        """Return the arm of a text such as ``rnn nonlinearity=relu init=identity`` or ``lstm depth=2``."""
        name, *pairs = label.split() or [""]
        return cls(label, name, dict(_option(label, pair) for pair in pairs))

    @classmethod
    def from_experiment(cls, experiment: Experiment) -> list[Arm]:
        """Return the rows of an experiment, with what their tables fix and the size that they have there."""
        searched = {*TUNABLE_TRAINING, "hidden_size"}
        arms = []
        for variant in experiment.variants:
            shape = {key: getattr(variant.size, key) for key in SHAPE}
            settings = {**shape, **{key: value for key, value in variant.fixed.items() if key not in searched}}
            size = variant.size
            arms.append(cls(variant.label, variant.architecture, settings, size.hidden_size, size.budget))
        return arms


@dataclass(frozen=True)
class SurveyRow:
    """The measured gradients of one architecture."""

    label: str
    hidden_size: int
    logs: Floats
    """log ‖vᵀ ∂s_T/∂s_{T−τ}‖ by τ, ``[seeds, T + 1]``; −inf where the norm is exactly 0."""

    @property
    def seeds(self) -> int:
        return len(self.logs)

    @property
    def length(self) -> int:
        """T, the largest τ."""
        return int(self.logs.shape[1]) - 1

    @property
    def marks(self) -> dict[int, Interval]:
        """The logarithm of the norm where τ is a tenth, half and the whole of T."""
        return {tau: over_seeds(self.logs[:, tau]) for tau in (self.length // 10, self.length // 2, self.length)}

    @property
    def decays(self) -> list[Decay]:
        """The decay of each seed's curve."""
        return [effective_memory(curve) for curve in self.logs]

    @property
    def curve(self) -> tuple[Floats, Floats, Floats]:
        """The mean over seeds and both ends of its interval, by τ: ``[T + 1]`` each."""
        mean, low, high = np.array([over_seeds(logs) for logs in self.logs.T]).T
        return mean, low, high

    @property
    def turn(self) -> Turn | None:
        """Where the mean curve turns, so that neither slope nor memory describes it; None for most."""
        return turn(self.curve[0])

    @property
    def words(self) -> str:
        """What the gradient does, such as ``shrinks by e^−0.54 per step, 10^−23 over 100``."""
        return curve_text(self.curve[0], self.slope.mean)

    @property
    def residual(self) -> float:
        """The mean over seeds of the distance from an exponential decay, see ``Decay``."""
        return float(np.mean([decay.residual for decay in self.decays]))

    @property
    def slope(self) -> Interval:
        """The change of the logarithm per step; NaN where the gradient is cut off."""
        return over_seeds(np.array([decay.slope for decay in self.decays]))

    @property
    def memory(self) -> Interval:
        """−1/slope for the mean slope and the ends of its interval, or the last τ before the gradient is cut off."""
        slope = self.slope
        if math.isnan(slope.mean):
            return over_seeds(np.array([decay.memory for decay in self.decays]))
        return Interval(*map(memory_of, slope))


def over_seeds(values: Floats) -> Interval:
    """Return the mean of one value per seed with Student's interval; a mean that is not finite has no interval."""
    if not np.isfinite(values).all():
        return Interval(float(values.mean()), math.nan, math.nan)
    return mean_interval(values)


def survey(
    arms: Sequence[Arm],
    *,
    length: int = 100,
    hidden_size: int | None = None,
    parameters: int | None = None,
    seeds: int = 5,
    check: bool = True,
) -> list[SurveyRow]:
    """Measure each architecture on ``seeds`` initialisations.

    Args:
        arms: the architectures to measure, each label once.
        length: the number of steps T.
        hidden_size: the hidden size of every architecture, unless ``parameters`` is given. By default, each has its
            own, or 64.
        parameters: the number of parameters, to within 5 %, for which each hidden size is solved.
        seeds: the number of initialisations; each has sequences of its own, the same for all architectures.
        check: whether to look first if the cells keep their contract.

    Raises:
        InputError: if a label or a size is wrong, or a cell breaks its contract; nothing has been measured by then.
    """
    if length < SHORTEST:
        raise InputError(f"length must be at least {SHORTEST}; got {length}")
    labels = [arm.label for arm in arms]
    repeated = {label for label in labels if labels.count(label) > 1}
    if repeated or not labels:
        raise InputError(f"name the architectures, each once; got {', '.join(labels) or 'none'}")
    data = [Data(TaskConfig(name="adding", options={}, length=length), seed, SEQUENCES) for seed in range(seeds)]
    budget = None if parameters is None else ("parameters", parameters)
    configs = [_config(arm, data[0].task, hidden_size, budget, length) for arm in arms]
    if check:
        check_cells(configs, data[0].task.input_size)
    with numerics():
        return [
            SurveyRow(label, config.hidden_size, np.stack([_curve(config, data[seed], seed) for seed in range(seeds)]))
            for label, config in zip(labels, configs, strict=True)
        ]


def _curve(config: ModelConfig, data: Data, seed: int) -> Floats:
    model = model_of(config, data.task, seed=derived_seed("weights", seed))
    generator = torch.Generator().manual_seed(derived_seed("projections", seed))
    return np.asarray(mean_log(state_gradient(model, data.sample("validation", SEQUENCES).inputs, generator)))


def _config(arm: Arm, task: Task, hidden_size: int | None, budget: tuple[str, int] | None, length: int) -> ModelConfig:
    """Return the checked configuration of an arm; a ``budget``, where given, decides its hidden size."""
    label, options = arm.label, dict(arm.settings)
    shape = {key: options.pop(key) for key in SHAPE if key in options}
    settings = {"architecture": arm.architecture, "options": architectures.options(arm.architecture, options), **shape}
    if hidden_size is None and budget is None:
        hidden_size, budget = arm.hidden_size, arm.budget
    chosen = hidden_size or HIDDEN_SIZE

    def config(size: int) -> ModelConfig:
        model: ModelConfig = validate(ModelConfig, {**settings, "hidden_size": size}, repr(label))
        return model

    try:
        if budget is not None:
            chosen = match_hidden_size(Budget(*budget, length), lambda size: model_of(config(size), task))
        inspected(lambda: model_of(config(chosen), task), chosen)
    except InputError as error:
        raise InputError(str(error) if repr(label) in str(error) else f"{label!r}: {error}") from error
    return config(chosen)


def _option(label: str, pair: str) -> tuple[str, Any]:
    """Return ``gain=1.5`` as ("gain", 1.5); a value that is not a number, true or false is text."""
    key, equals, text = pair.partition("=")
    if not (key and equals and text):
        raise InputError(f"{label!r}: an option is key=value; got {pair!r}")
    try:
        return key, json.loads(text)
    except json.JSONDecodeError:
        return key, text
