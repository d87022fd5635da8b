"""Gradient flow: how much of a state is still felt, by a later state or by the loss, τ steps on.

With s_t the states of all layers together and J_t = ∂s_t/∂s_{t−1}, what is felt of s_{T−τ} in s_T is the product of τ
Jacobians, ∂s_T/∂s_{T−τ} = J_T J_{T−1} … J_{T−τ+1}: it vanishes or explodes as τ grows (Bengio, Simard & Frasconi 1994;
Pascanu, Mikolov & Bengio 2013). A large norm is not yet a useful gradient: read it beside the skill.

Everything is float64 and goes by ``step``; see ``suite.diagnostics.scan``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.linalg import vector_norm

from suite.diagnostics.scan import Scan, as_vectors
from suite.errors import InputError
from suite.model.sequence_model import SequenceModel
from tasks import Batch, Task

LARGEST_EXACT_STATE = 128
"""Numbers S in a state: whole Jacobians take S² of memory and S³ of time per step and sequence."""
NO_DECAY = 1e-9
"""Slopes per step that are flatter are rounding."""
UNDERFLOW = math.log(1e-280)
"""Below it float64 runs out (its smallest normal number is 2e-308), and a 0 says nothing."""


class GradientFlow(NamedTuple):
    """Both curves of one model on one batch: mean logarithms over the sequences, −inf for a gradient that is 0."""

    state: Tensor
    """log ‖vᵀ ∂s_T/∂s_{T−τ}‖ by τ = 0 … T; 0 at τ = 0."""
    loss: Tensor
    """log ‖∂loss/∂s_{T−τ}‖ by τ = 1 … T (index 0 is τ = 1, the state that enters the last step)."""


class Decay(NamedTuple):
    """What is left of a gradient after τ steps, as exp(slope · τ)."""

    slope: float
    """Of log norm per step, by least squares; NaN where the gradient is cut off, or with fewer than three points."""
    memory: float
    """The effective memory in steps, −1/slope; inf without decay; the last τ with a gradient where it is cut off."""
    residual: float
    """The root mean square distance of log norm from the line: large where the decay is no exponential."""


def state_gradient(model: SequenceModel, inputs: Tensor, generator: torch.Generator, projections: int = 1) -> Tensor:
    """‖vᵀ ∂s_T/∂s_{T−τ}‖ with random unit vectors v, ``[T + 1, projections·batch]`` by τ = 0 … T.

    Each sequence has its own v (``projections`` of them), so a batch of 32 is 32 samples, and one backward pass gives
    every τ. With S numbers in the state, E ‖vᵀJ‖² = ‖J‖²_F / S: the identity has 1, and ρQ with Q orthogonal has ρ.

    Args:
        model: is left as it was. Of a bidirectional model the forward directions are measured.
        inputs: ``[batch, time, input_size]``.
        generator: draws v.
        projections: vectors per sequence.
    """
    scan = Scan(model, inputs.repeat(projections, 1, 1))
    with torch.enable_grad():
        last = as_vectors(scan.states[-1])
        felt = (last * _directions(last, generator)).sum()
    return _norms(felt, scan.states).flip(0)


def exact_state_gradient(model: SequenceModel, inputs: Tensor) -> Tensor:
    """The singular values of ∂s_T/∂s_{T−τ}, ``[T + 1, batch, S]`` by τ = 0 … T, largest first.

    The largest is the spectral norm; the mean of their squares is ‖J‖²_F / S, which ``state_gradient`` samples. The
    Jacobian of every step is taken whole, and they are multiplied. Values below 1e-16 of the largest are rounding.

    Raises:
        InputError: if the state has more than ``LARGEST_EXACT_STATE`` numbers, or whole numbers beside the others.
    """
    scan = Scan(model, inputs)
    if not all(scan.followed):
        raise InputError(
            "exact Jacobians are for states without whole numbers: use random projections (state_gradient)"
        )
    if scan.state_size > LARGEST_EXACT_STATE:
        raise InputError(
            f"exact Jacobians are for states of at most {LARGEST_EXACT_STATE} numbers; got {scan.state_size}: "
            "use random projections (state_gradient)"
        )
    product = torch.eye(scan.state_size, dtype=torch.float64, device=inputs.device).expand(len(inputs), -1, -1)
    products = [product]
    for jacobian in reversed(_jacobians(scan)):
        product = product @ jacobian
        products.append(product)
    values: Tensor = torch.linalg.svdvals(torch.stack(products))
    return values


def loss_gradient(model: SequenceModel, task: Task, batch: Batch) -> Tensor:
    """‖∂loss/∂s_t‖ of each sequence's own loss, ``[T, batch]`` by t = 0 … T − 1, where s_t enters step t + 1.

    So the state that enters a scored step has lag 1 before that answer, and a state acts on later answers alone.
    """
    scan = Scan(model, batch.inputs)
    with torch.enable_grad():
        loss = _loss(scan, scan.features, task, batch)
    return _norms(loss, scan.states[:-1])


def gradient_flow(model: SequenceModel, task: Task, batch: Batch, generator: torch.Generator) -> GradientFlow:
    """``state_gradient`` and ``loss_gradient`` as mean logarithms, from one pass forward and one backward.

    Every sequence is there twice, once for each: rows of a batch do not mix, and half of a pass is what a step costs
    whatever the batch.
    """
    size = len(batch.inputs)
    scan = Scan(model, batch.inputs.repeat(2, 1, 1))
    with torch.enable_grad():
        last = as_vectors(scan.states[-1])[:size]
        felt = (last * _directions(last, generator)).sum() + _loss(scan, scan.features[size:], task, batch)
    norms = _norms(felt, scan.states).flip(0)
    return GradientFlow(mean_log(norms[:, :size]), mean_log(norms[1:, size:]))


def mean_log(norms: Tensor) -> Tensor:
    """The mean of log norm over the last dimension: over the samples that are not 0, and −inf where all are.

    A ReLU may cut every path of one sequence; that alone does not make the mean −inf.
    """
    logs = norms.log()
    alive = norms != 0  # NaN and inf are kept, and seen in the mean
    return torch.where(alive.any(-1), logs.where(alive, 0.0).sum(-1) / alive.sum(-1), -math.inf)


def effective_memory(log_norms: ArrayLike) -> Decay:
    """How fast a gradient dies, from its log norm by τ = 0 … T.

    Least squares over τ from 0 up to where the curve ends: at T, at the first value that is not finite, or where
    float64 runs out. A gradient that is exactly 0 from some τ on (a state that is a window of the last inputs) has no
    rate: its slope is NaN, and its memory the last τ with a gradient. A gradient that does not decay has infinite
    memory, and its slope (≥ 0) says how it grows.
    """
    logs = np.asarray(log_norms, dtype=np.float64)
    usable = np.isfinite(logs) & (logs > UNDERFLOW)
    count = len(logs) if usable.all() else int(np.argmin(usable))
    if count and count < len(logs) and np.isneginf(logs[count]):
        return Decay(math.nan, float(count - 1), math.nan)
    if count < 3:
        return Decay(math.nan, math.nan, math.nan)
    tau = np.arange(count, dtype=np.float64)
    slope, intercept = np.polynomial.polynomial.polyfit(tau, logs[:count], 1)[::-1]
    residual = math.sqrt(np.mean((logs[:count] - intercept - slope * tau) ** 2))
    return Decay(float(slope), memory_of(float(slope)), residual)


def memory_of(slope: float) -> float:
    """−1/slope, or inf where nothing decays; it rises with the slope, so an interval of one gives one of the other."""
    return -1 / slope if slope < -NO_DECAY else slope if math.isnan(slope) else math.inf


def _directions(last: Tensor, generator: torch.Generator) -> Tensor:
    """A random unit vector for each row."""
    v: Tensor = torch.randn(last.shape, dtype=torch.float64, generator=generator).to(last.device)
    return v.div_(v.norm(dim=1, keepdim=True))


def _loss(scan: Scan, features: Tensor, task: Task, batch: Batch) -> Tensor:
    """The sum of each sequence's own loss."""
    targets = batch.targets.double() if batch.targets.is_floating_point() else batch.targets
    # The loss is a mean over the batch: a sequence's own is its part times their number.
    loss: Tensor = len(targets) * task.loss(scan.model.decoder(features), batch._replace(targets=targets))
    return loss


def _norms(felt: Tensor, states: Sequence[Sequence[Tensor]]) -> Tensor:
    """‖∂felt/∂s‖ for each of ``states``, ``[steps, batch]``."""
    found = torch.autograd.grad(felt, [tensor for state in states for tensor in state], materialize_grads=True)
    count = len(states[0])
    by_tensor = [torch.stack(found[of::count]).reshape(len(states), len(found[of]), -1) for of in range(count)]
    norms: Tensor = vector_norm(torch.stack([vector_norm(g, dim=2) for g in by_tensor]), dim=0)
    return norms


def _jacobians(scan: Scan) -> list[Tensor]:
    """J_1 … J_T, each ``[batch, S, S]``; all steps in one call."""
    batch = len(scan.inputs)
    before = torch.cat([as_vectors(state) for state in scan.states[:-1]]).detach().requires_grad_()  # [T·batch, S]
    given = [other.transpose(0, 1).flatten(0, 1) for other in scan.given]
    with torch.enable_grad():
        after = scan.step(scan.inputs.transpose(0, 1).flatten(0, 1), before, given)
        totals = after.sum(0).unbind()  # row by row: sequences and steps do not mix
    rows = [torch.autograd.grad(t, before, retain_graph=True, materialize_grads=True)[0] for t in totals]
    return list(torch.split(torch.stack(rows, dim=1), batch))
