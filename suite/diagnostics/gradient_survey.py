"""The gradient flow of architectures before their training: the lesson's product of 100 Jacobians, and what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from suite.contracts.look import check_cells
from suite.data import Data
from suite.diagnostics.gradients import input_gradient, mean_log, state_gradient
from suite.diagnostics.scan import NO_STATE, has_state
from suite.diagnostics.survey_row import SurveyRow, Through
from suite.errors import InputError
from suite.experiment.experiment import Experiment
from suite.experiment.run_config import ModelConfig, Shape, TaskConfig, derived_seed
from suite.experiment.search_space import TUNABLE_TRAINING
from suite.experiment.validation import validate
from suite.model.sequence_model import model_of
from suite.model.sizing import Budget, inspected, match_hidden_size
from suite.numerics import numerics
from suite.options import option_of_text
from suite.registry import architectures
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
        return cls(label, name, dict(option_of_text(pair, label) for pair in pairs))

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


def survey(
    arms: Sequence[Arm],
    *,
    length: int = 100,
    hidden_size: int | None = None,
    parameters: int | None = None,
    seeds: int = 5,
    through: Through | None = None,
    check: bool = True,
) -> list[SurveyRow]:
    """Measure each architecture on ``seeds`` initialisations.

    Return a row for the gradient through the state of each architecture that has a state of constant size, and then a
    row for the gradient from output to input of each architecture.

    Args:
        arms: the architectures to measure, each label once.
        length: the number of steps T.
        hidden_size: the hidden size of every architecture, unless ``parameters`` is given. By default, each has its
            own, or 64.
        parameters: the number of parameters, to within 5 %, for which each hidden size is solved.
        seeds: the number of initialisations; each has sequences of its own, the same for all architectures.
        through: measure only the gradient through the ``"state"``, or only the one from output to ``"input"``.
        check: whether to look first if the cells keep their contract.

    Raises:
        InputError: if a label or a size is wrong, a cell breaks its contract, or the gradient through the state is
            asked of an architecture without such a state; nothing has been measured by then.
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
        pairs = list(zip(labels, configs, strict=True))
        stateful = pairs if through == "input" else [pair for pair in pairs if _has_state(pair[1], data[0])]
        if through == "state" and len(stateful) < len(pairs):
            raise InputError(
                f"{NO_STATE}; got {', '.join(label for label, _ in pairs if label not in dict(stateful))} without one "
                f"(accepted: {', '.join(dict(stateful)) or 'none of these'}; the gradient from output to input can be "
                "measured of all)"
            )
        measured: dict[Through, list[tuple[str, ModelConfig]]] = {"state": stateful, "input": pairs}
        return [
            SurveyRow(label, config.hidden_size, _curves(config, data, kind), kind)
            for kind, its in measured.items()
            if through in (None, kind)
            for label, config in its
        ]


def _has_state(config: ModelConfig, data: Data) -> bool:
    return has_state(model_of(config, data.task, seed=0), data.sample("validation", 1).inputs)


def _curves(config: ModelConfig, data: Sequence[Data], through: Through) -> Floats:
    """Return the mean logarithms of one gradient by seed and τ."""
    measure = state_gradient if through == "state" else input_gradient
    curves = []
    for seed, its in enumerate(data):
        model = model_of(config, its.task, seed=derived_seed("weights", seed))
        generator = torch.Generator().manual_seed(derived_seed("projections", seed))
        curves.append(mean_log(measure(model, its.sample("validation", SEQUENCES).inputs, generator)).numpy())
    return np.stack(curves)


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
