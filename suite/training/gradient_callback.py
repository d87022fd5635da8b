"""The gradient flow during a run: at its start, half-way if it is long enough, and at its end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor

from suite.diagnostics.gradients import Decay, GradientFlow, effective_memory, gradient_flow, input_memory
from suite.experiment.run_config import derived_seed
from suite.training.lightning_module import TrainingModule

SEQUENCES = 16
"""The number of sequences, from the validation split. They and the random vectors are the same at each moment.

Where the lengths of validation batches differ, they are those of the longest one.
The gradient through the state is measured on all of them, and the other ones on the first half.
"""
HALF_FROM = 500
"""A run of at least this many steps is measured half-way too. A measurement costs as much as five to ten steps, and
three of them should take less than a twentieth of a run."""


class GradientMeasurement(NamedTuple):
    """The measurement at one moment of a run."""

    step: int
    """The number of optimiser steps before it."""
    flow: GradientFlow


class GradientCallback(pl.Callback):
    """A callback that measures the gradient flow at the ``start``, at ``half`` and at the ``end`` of a training.

    It measures the weights of that moment, which need not be the best ones. ``half`` is the end of the first block that
    reaches half of the steps. A run of fewer than ``HALF_FROM`` steps has no ``half``, nor has one that stops earlier.
    The training stays the same, because the model is copied and the random vectors have their own generator.
    """

    def __init__(self, seed: int) -> None:
        self.seed = derived_seed("projections", seed)
        self.measured: dict[str, GradientMeasurement] = {}
        self.seconds = 0.0

    def state(self) -> dict[str, Any]:
        """Return the measurements for a checkpoint, as plain values and tensors."""
        return {
            "seconds": self.seconds,
            "measured": {moment: (step, tuple(flow)) for moment, (step, flow) in self.measured.items()},
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Take over the measurements of a checkpoint."""
        self.seconds = state["seconds"]
        self.measured = {
            moment: GradientMeasurement(step, GradientFlow(*flow)) for moment, (step, flow) in state["measured"].items()
        }

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if "start" not in self.measured:
            self._measure("start", pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *unused: Any) -> None:
        assert isinstance(pl_module, TrainingModule)
        steps = pl_module.training_config.steps
        if steps >= HALF_FROM and "half" not in self.measured and steps <= 2 * pl_module.steps < 2 * steps:
            self._measure("half", pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._measure("end", pl_module)

    def _measure(self, moment: str, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        started = time.perf_counter()
        longest = max(module.validation_set, key=lambda batch: batch.inputs.shape[1])
        batch = longest.rows(slice(SEQUENCES))
        generator = torch.Generator().manual_seed(self.seed)
        flow = gradient_flow(module.model, module.data.task, batch, generator)
        self.measured[moment] = GradientMeasurement(module.steps, flow)
        self.seconds += time.perf_counter() - started

    @property
    def metrics(self) -> dict[str, float]:
        """The slope of the log norm per step, −1/slope, and the log norm at the last τ, for each moment and curve."""
        metrics = {"diagnostics_seconds": self.seconds}
        for moment, (_, flow) in self.measured.items():
            for name, (curve, decay) in _curves(flow).items():
                metrics[f"{name}_slope_{moment}"] = decay.slope
                metrics[f"{MEMORY[name]}_{moment}"] = decay.memory
                metrics[f"{name}_log_norm_{moment}"] = curve[-1].item()
        return metrics


MEMORY = {"gradient": "effective_memory", "input_gradient": "input_gradient_memory"}
"""The name of the effective memory of each curve."""


def _curves(flow: GradientFlow) -> dict[str, tuple[Tensor, Decay]]:
    """Return the curves of a measurement by the names of their metrics: log norm by τ = 0, 1, 2, …, and its decay."""
    through_state = {} if flow.state is None else {"gradient": (flow.state, effective_memory(flow.state))}
    return {**through_state, "input_gradient": (flow.input, input_memory(flow.input))}


def lag_curves(measured: Mapping[str, GradientMeasurement]) -> list[tuple[int, dict[str, float]]]:
    """Return the points of the curves at τ = 1, 2, 4, … and the last τ, if they are finite.

    A point is (τ, {gradient/MOMENT: log₁₀ ‖vᵀ ∂s_T/∂s_{T−τ}‖, input_gradient/MOMENT: log₁₀ ‖vᵀ ∂y_T/∂x_{T−τ}‖}).
    """
    points: dict[int, dict[str, float]] = {}
    for moment, (_, flow) in measured.items():
        for name, (curve, _) in _curves(flow).items():
            last = len(curve) - 1
            for lag in sorted({*(2**i for i in range(last.bit_length())), last}):
                power = curve[lag].item() / math.log(10)
                if math.isfinite(power):
                    points.setdefault(lag, {})[f"{name}/{moment}"] = power
    return sorted(points.items())


def as_data(measured: Mapping[str, GradientMeasurement]) -> dict[str, Any]:
    """Return the curves for a JSON file. A logarithm is null if the gradient is 0 or not a number.

    A model without a state of constant size has no curves through it.
    """
    data: dict[str, Any] = {}
    for moment, (step, flow) in measured.items():
        data[moment] = {"step": step, "log_input_gradient": _finite(flow.input.tolist())}
        data[moment]["input"] = dict(zip(DECAY, _finite(list(input_memory(flow.input))), strict=True))
        if flow.state is not None and flow.loss is not None:
            data[moment]["log_state_gradient"] = _finite(flow.state.tolist())
            data[moment]["log_loss_gradient"] = _finite(flow.loss.tolist())
            data[moment] |= dict(zip(DECAY, _finite(list(effective_memory(flow.state))), strict=True))
    return data


DECAY = ("slope", "memory", "residual")
"""The names of the parts of a `Decay`."""


def _finite(values: list[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
