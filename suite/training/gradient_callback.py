"""Gradient flow in the course of a run: at initialisation, half-way if it is long enough, and at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch

from suite.diagnostics.gradients import GradientFlow, effective_memory, gradient_flow
from suite.experiment.run_config import derived_seed
from suite.training.lightning_module import TrainingModule

SEQUENCES = 16
"""Of the validation split; the same, with the same random vectors, at each moment."""
HALF_FROM = 500
"""Steps of a run that has ``half`` as well. A moment costs as much as five to eight steps of training, and three are to
stay below a twentieth of a run that uses its budget."""


class GradientMeasurement(NamedTuple):
    """One of the moments."""

    step: int
    """Optimiser steps done."""
    flow: GradientFlow


class GradientCallback(pl.Callback):
    """Measures at ``start``, at ``half`` (the first block of steps that ends there or later) and at ``end``.

    The weights are those of that moment, not the best ones. There is no ``half`` in a run of fewer than ``HALF_FROM``
    steps, nor in one that stops before half of its steps.
    Nothing of the training is touched: the model is copied, and the random vectors have a generator of their own.
    """

    def __init__(self, seed: int) -> None:
        self.seed = derived_seed("projections", seed)
        self.measured: dict[str, GradientMeasurement] = {}
        self.seconds = 0.0

    def state(self) -> dict[str, Any]:
        """For a checkpoint: plain values and tensors."""
        return {
            "seconds": self.seconds,
            "measured": {moment: (found.step, tuple(found.flow)) for moment, found in self.measured.items()},
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        self.seconds = state["seconds"]
        self.measured = {
            moment: GradientMeasurement(step, GradientFlow(*flow)) for moment, (step, flow) in state["measured"].items()
        }

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if "start" not in self.measured:
            self._measure("start", pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *rest: Any) -> None:
        assert isinstance(pl_module, TrainingModule)
        steps = pl_module.training_config.steps
        if steps >= HALF_FROM and "half" not in self.measured and steps <= 2 * pl_module.steps < 2 * steps:
            self._measure("half", pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._measure("end", pl_module)

    def _measure(self, moment: str, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        started = time.perf_counter()
        batch = module.validation_batch.rows(slice(SEQUENCES))
        generator = torch.Generator().manual_seed(self.seed)
        flow = gradient_flow(module.model, module.data.task, batch, generator)
        self.measured[moment] = GradientMeasurement(module.steps, flow)
        self.seconds += time.perf_counter() - started

    @property
    def metrics(self) -> dict[str, float]:
        """Of each moment: the slope of log norm per step, −1/slope, and log norm at τ = T. Not all need be finite."""
        found = {"diagnostics_seconds": self.seconds}
        for moment, (_, flow) in self.measured.items():
            decay = effective_memory(flow.state)
            found[f"gradient_slope_{moment}"] = decay.slope
            found[f"effective_memory_{moment}"] = decay.memory
            found[f"gradient_log_norm_{moment}"] = flow.state[-1].item()
        return found


def lag_curves(measured: Mapping[str, GradientMeasurement]) -> list[tuple[int, dict[str, float]]]:
    """(τ, {gradient/MOMENT: log₁₀ ‖vᵀ ∂s_T/∂s_{T−τ}‖}) at τ = 1, 2, 4, … T; without what is not finite."""
    points: dict[int, dict[str, float]] = {}
    for moment, (_, flow) in measured.items():
        last = len(flow.state) - 1
        for lag in sorted({*(2**i for i in range(last.bit_length())), last}):
            power = flow.state[lag].item() / math.log(10)
            if math.isfinite(power):
                points.setdefault(lag, {})[f"gradient/{moment}"] = power
    return sorted(points.items())


def as_data(measured: Mapping[str, GradientMeasurement]) -> dict[str, Any]:
    """The curves for a JSON file; null is a logarithm that is not finite: the gradient is 0, or not a number."""
    return {
        moment: {
            "step": step,
            "log_state_gradient": _finite(flow.state.tolist()),
            "log_loss_gradient": _finite(flow.loss.tolist()),
            **dict(zip(("slope", "memory", "residual"), _finite(list(effective_memory(flow.state))), strict=True)),
        }
        for moment, (step, flow) in measured.items()
    }


def _finite(values: list[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
