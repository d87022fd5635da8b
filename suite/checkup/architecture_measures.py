"""What is measured of an architecture: its size, its speed and how far back its gradient reaches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from suite import kernels
from suite.diagnostics.gradients import input_gradient, mean_log
from suite.errors import InputError
from suite.model.sequence_model import SequenceModel, build_model
from suite.model.sizing import Budget, frozen_count, match_hidden_size, parameter_count, state_size
from suite.timing.cell_speed import medians, training_step

PARAMETERS = 5000
"""The number of trainable parameters at which it is measured, or the nearest that it can have."""
TOLERANCES = (0.05, 0.5)
"""How far it may be from that number: the second counts where no size is within the first."""
INPUT_SIZE, OUTPUT_SIZE, BATCH = 10, 1, 32
STEPS = (100, 20)
"""The length of a sequence, and that for an architecture with which the first takes too long."""
LAGS = 200
"""The gradient is followed over so many steps."""
FADED = 0.01
"""The share of the largest gradient below which it counts as gone."""
SLOW_SECONDS, SECONDS = 1.0, 8.0
"""A pass that takes longer is timed on shorter sequences, and all passes together take about so long."""
PEERS = ("lstm", "gru")


def size(name: str, options: Mapping[str, Any]) -> str:
    """Say how many parameters and how large a state it has at the size at which it is compared."""
    model, hidden_size = _model(name, options)
    frozen = f" and {frozen_count(model):,} frozen" if frozen_count(model) else ""
    state = state_size(model, STEPS[0])
    text = f"hidden size {hidden_size}: {parameter_count(model):,} parameters{frozen}"
    if state is None:
        return f"{text}; its state is not stated, because a layer has no step"
    growth = f", {state.growth:,} more with each step" if state.growth else ", the same at every length"
    return f"{text}; a state of {state.numbers:,} numbers after {STEPS[0]} steps{growth}"


def speed(name: str, options: Mapping[str, Any]) -> str:
    """Compare a pass forward and backward with that of the LSTM and the GRU, at equal parameters and on one thread."""
    models = {"": _model(name, options)[0]}
    models |= {peer: _model(peer, {}, parameter_count(models[""]))[0] for peer in PEERS}
    steps = STEPS[0] if _seconds(models[""], STEPS[1]) < SLOW_SECONDS else STEPS[1]
    inputs = torch.randn(BATCH, steps, INPUT_SIZE)
    kernels.warm_up()
    passes: dict[tuple[str, str], Callable[[], object]]
    passes = {(label, "pass"): training_step(model, model, inputs) for label, model in models.items()}
    start = time.perf_counter()
    for run in passes.values():
        run()
    once = time.perf_counter() - start
    found = medians(passes, min(21, max(3, int(SECONDS / once))))
    own = found["", "pass"]
    ratios = " and ".join(f"{own / found[peer, 'pass']:.2g} × that of {peer}" for peer in PEERS)
    return f"{ratios} (a pass takes {own:.3g} ms for {steps} steps, batch {BATCH})"


def reach(name: str, options: Mapping[str, Any]) -> str:
    """Say at which lag the gradient from the last output to an input has fallen to 1 % of its largest."""
    model, _ = _model(name, options)
    inputs = torch.randn(8, LAGS, INPUT_SIZE)
    logs = mean_log(input_gradient(model, inputs, torch.Generator().manual_seed(0)))
    if not logs.isfinite().any():
        return "no input moves the last output"
    alive = (logs >= logs[logs.isfinite()].max() + math.log(FADED)).nonzero().flatten()
    last = int(alive[-1])
    if last == LAGS - 1:
        return f"the gradient is above {FADED:.0%} of its largest over all {LAGS - 1} lags, before any training"
    return f"the gradient has fallen to {FADED:.0%} of its largest at lag {last + 1}, before any training"


MEASURES: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
    "size": size,
    "time of a pass": speed,
    "reach of its gradient": reach,
}
"""Everything that is measured, by its name in the report."""


def _model(name: str, options: Mapping[str, Any], parameters: int = PARAMETERS) -> tuple[SequenceModel, int]:
    """Return a model with about so many parameters, and its hidden size.

    Raises:
        InputError: if no hidden size comes near that number.
    """

    def make(hidden_size: int) -> SequenceModel:
        return build_model(name, options, INPUT_SIZE, hidden_size, OUTPUT_SIZE, seed=0)

    budget = Budget("parameters", parameters)
    try:
        hidden_size = match_hidden_size(budget, make, TOLERANCES[0])
    except InputError:
        hidden_size = match_hidden_size(budget, make, TOLERANCES[1])
    return make(hidden_size), hidden_size


def _seconds(model: SequenceModel, steps: int) -> float:
    """Return how long the second pass on a short sequence takes."""
    run = training_step(model, model, torch.randn(BATCH, steps, INPUT_SIZE))
    run()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
