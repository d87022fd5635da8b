"""The gradient flow of architectures as they are before training: the lesson's product of 100 Jacobians."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit

from suite.data import Data
from suite.diagnostics.gradients import Decay, effective_memory, mean_log, memory_of, state_gradient
from suite.errors import InputError
from suite.experiment.run_config import ModelConfig, TaskConfig, derived_seed
from suite.experiment.validation import parsed
from suite.model.sequence_model import model_of
from suite.model.sizing import match_hidden_size
from suite.numerics import numerics
from suite.registry import architectures
from tasks import Task

Floats = NDArray[np.float64]

SEQUENCES = 32
"""Of the adding problem's inputs, per seed: each with its own random vector. Seeds differ in weights as well."""
SHORTEST = 10
"""Length: shorter ones have no τ = 10 %."""
SHAPE = ("depth", "bidirectional", "delay")
"""What a label may set beside the options of the architecture."""


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % interval (Student's t), which is NaN for one seed."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class SurveyRow:
    """One architecture."""

    label: str
    hidden_size: int
    logs: Floats
    """log ‖vᵀ ∂s_T/∂s_{T−τ}‖, ``[seeds, T + 1]``; −inf where it is exactly 0."""

    @property
    def seeds(self) -> int:
        return len(self.logs)

    @property
    def length(self) -> int:
        """T, the largest τ."""
        return int(self.logs.shape[1]) - 1

    @property
    def marks(self) -> dict[int, Interval]:
        """log norm at τ = 10 %, 50 % and 100 % of T."""
        return {tau: interval(self.logs[:, tau]) for tau in (self.length // 10, self.length // 2, self.length)}

    @property
    def decays(self) -> list[Decay]:
        return [effective_memory(curve) for curve in self.logs]

    @property
    def curve(self) -> tuple[Floats, Floats, Floats]:
        """Mean, low and high end by τ."""
        ends = [interval(column) for column in self.logs.T]
        mean, low, high = np.array([(end.mean, end.low, end.high) for end in ends]).T
        return mean, low, high

    @property
    def residual(self) -> float:
        """The mean over seeds of what is left of log norm beside the line, see ``Decay``."""
        return float(np.mean([decay.residual for decay in self.decays]))

    @property
    def slope(self) -> Interval:
        """Of log norm per step; NaN where the gradient is cut off."""
        return interval(np.array([decay.slope for decay in self.decays]))

    @property
    def memory(self) -> Interval:
        """−1/slope of the mean slope, with the ends of its interval; or the last τ before the gradient is cut off."""
        slope = self.slope
        if math.isnan(slope.mean):
            return interval(np.array([decay.memory for decay in self.decays]))
        return Interval(*(memory_of(end) for end in (slope.mean, slope.low, slope.high)))


def interval(values: Floats) -> Interval:
    """The mean of one value per seed with Student's interval; a mean that is not finite has none."""
    mean = float(values.mean())
    if not math.isfinite(mean) or len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    half = stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / math.sqrt(len(values))
    return Interval(mean, mean - float(half), mean + float(half))


def survey(
    labels: Sequence[str],
    *,
    length: int = 100,
    hidden_size: int = 64,
    parameters: int | None = None,
    seeds: int = 5,
) -> list[SurveyRow]:
    """Measure each architecture on ``seeds`` initialisations.

    A label is the name of an architecture and, if wanted, its options, depth, direction or delay:
    ``rnn``, ``rnn nonlinearity=relu init=identity``, ``lstm depth=2``, ``gru bidirectional=true``.

    Args:
        labels: what to measure.
        length: T.
        hidden_size: of every architecture, where ``parameters`` is not given.
        parameters: solve each hidden size for this many parameters, to 5 %.
        seeds: initialisations, from 0; each has its own sequences, the same for all architectures.

    Raises:
        InputError: if a label or a size is wrong; nothing has been measured then.
    """
    if length < SHORTEST:
        raise InputError(f"length must be at least {SHORTEST}; got {length}")
    repeated = {label for label in labels if labels.count(label) > 1}
    if repeated or not labels:
        raise InputError(f"architectures must be named, each once; got {', '.join(labels) or 'none'}")
    data = [Data(TaskConfig(name="adding", options={}, length=length), seed, SEQUENCES) for seed in range(seeds)]
    configs = [_config(label, data[0].task, hidden_size, parameters) for label in labels]
    with numerics():
        return [
            SurveyRow(label, config.hidden_size, np.stack([_curve(config, data[seed], seed) for seed in range(seeds)]))
            for label, config in zip(labels, configs, strict=True)
        ]


def _curve(config: ModelConfig, data: Data, seed: int) -> Floats:
    model = model_of(config, data.task, seed=derived_seed("weights", seed))
    generator = torch.Generator().manual_seed(derived_seed("projections", seed))
    return np.asarray(mean_log(state_gradient(model, data.sample("validation", SEQUENCES).inputs, generator)))


def _config(label: str, task: Task, hidden_size: int, parameters: int | None) -> ModelConfig:
    """The model of a label, checked; its hidden size is solved for where ``parameters`` are given."""
    name, *pairs = label.split() or [""]
    given = dict(_option(label, pair) for pair in pairs)
    shape = {key: given.pop(key) for key in SHAPE if key in given}
    settings = {"architecture": name, "options": architectures.options(name, given), **shape}

    def config(size: int) -> ModelConfig:
        found: ModelConfig = parsed(ModelConfig, {**settings, "hidden_size": size}, repr(label))
        return found

    try:
        if parameters is not None:
            hidden_size = match_hidden_size(parameters, lambda size: model_of(config(size), task))
        with torch.device("meta"):
            model_of(config(hidden_size), task)
    except (ValueError, TypeError) as error:
        raise InputError(str(error) if repr(label) in str(error) else f"{label!r}: {error}") from error
    return config(hidden_size)


def _option(label: str, pair: str) -> tuple[str, Any]:
    """``gain=1.5`` as ("gain", 1.5): a number, true, false, or else text."""
    key, equals, text = pair.partition("=")
    if not (key and equals and text):
        raise InputError(f"{label!r}: an option is key=value; got {pair!r}")
    try:
        return key, json.loads(text)
    except json.JSONDecodeError:
        return key, text
