"""Gradient flow: how much a later state, or the loss, still depends on a state τ steps before.

Let s_t be the states of all layers together and J_t = ∂s_t/∂s_{t−1}. The dependence of s_T on s_{T−τ} is the product of
τ Jacobians, ∂s_T/∂s_{T−τ} = J_T J_{T−1} … J_{T−τ+1}, which vanishes or explodes as τ grows (Bengio, Simard & Frasconi
1994; Pascanu, Mikolov & Bengio 2013). A large norm is not yet a useful gradient: read it beside the skill.

Everything is calculated in float64 and by ``step``; see ``suite.diagnostics.scan``.
"""

from __future__ import annotations

import math
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
"""The most numbers S in a state: whole Jacobians take S² of memory and S³ of time per step and sequence."""
NO_DECAY = 1e-9
"""A slope per step that is flatter than this is a rounding error."""
UNDERFLOW = math.log(1e-280)
"""Below this, float64 runs out (its smallest normal number is 2e-308), and a 0 may still stand for a gradient."""


class GradientFlow(NamedTuple):
    """The curves of one model on one batch: mean logarithms over the sequences, −inf where the gradient is 0.

    A model without a state of constant size has only the last one.
    """

    state: Tensor | None
    """log ‖vᵀ ∂s_T/∂s_{T−τ}‖ by τ = 0 … T; 0 at τ = 0."""
    loss: Tensor | None
    """log ‖∂loss/∂s_{T−τ}‖ by τ = 1 … T (index 0 is τ = 1, the state that enters the last step)."""
    input: Tensor
    """log ‖vᵀ ∂y_T/∂x_{T−τ}‖ by τ = 0 … T − 1, where τ = 0 is the last input."""


class Decay(NamedTuple):
    """The part of a gradient that is left after τ steps, described as exp(slope · τ)."""

    slope: float
    """The change of log norm per step, by least squares; NaN if the gradient is cut off or has fewer than 3 points."""
    memory: float
    """The effective memory −1/slope in steps; inf without decay; the last τ with a gradient if that is cut off."""
    residual: float
    """The root mean square distance of log norm from the line, which is large where the decay is not exponential."""


def state_gradient(model: SequenceModel, inputs: Tensor, generator: torch.Generator, projections: int = 1) -> Tensor:
    """Return ‖vᵀ ∂s_T/∂s_{T−τ}‖ with random unit vectors v, ``[T + 1, projections·batch]`` by τ = 0 … T.

    Each sequence has its own v (``projections`` of them), so a batch of 32 gives 32 samples, and one backward pass
    gives every τ. With S numbers in the state, E ‖vᵀJ‖² = ‖J‖²_F / S: the identity has 1, and ρQ with an orthogonal Q
    has ρ.

    Args:
        model: the model, which stays as it is; a bidirectional one is measured in its forward directions.
        inputs: ``[batch, time, input_size]``.
        generator: the source of v.
        projections: the number of vectors per sequence.
    """
    scan = Scan(model, inputs.repeat(projections, 1, 1))
    scan.check_states()
    with torch.enable_grad():
        last = as_vectors(scan.states[-1])
        projected = (last * _directions(last, generator)).sum()
    return _norms(projected, scan)[0].flip(0)


def exact_state_gradient(model: SequenceModel, inputs: Tensor) -> Tensor:
    """Return the singular values of ∂s_T/∂s_{T−τ}, ``[T + 1, batch, S]`` by τ = 0 … T, the largest first.

    The largest is the spectral norm. The mean of their squares is ‖J‖²_F / S, which ``state_gradient`` samples. The
    whole Jacobians of the steps are multiplied, so values below 1e-16 of the largest are rounding errors.

    Raises:
        InputError: if the state has more than ``LARGEST_EXACT_STATE`` numbers, or a part without derivatives.
    """
    scan = Scan(model, inputs)
    scan.check_states()
    if not scan.is_whole:
        raise InputError(
            "exact Jacobians are for states without whole numbers and without parts that are only copied: use random "
            "projections (state_gradient)"
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
    """Return ‖∂loss/∂s_t‖ of each sequence's own loss, ``[T, batch]`` by t = 0 … T − 1, where s_t enters step t + 1.

    The state that enters a scored step therefore has lag 1 from that answer, and a state acts on later answers alone.
    """
    scan = Scan(model, batch.inputs)
    scan.check_states()
    with torch.enable_grad():
        loss = _loss(scan, scan.features, task, batch)
    return _norms(loss, scan)[0][:-1]


def input_gradient(model: SequenceModel, inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Return ‖vᵀ ∂y_T/∂x_{T−τ}‖ with random unit vectors v, ``[T, batch]`` by τ = 0 … T − 1.

    It needs no state, and so it can be measured for every architecture. y_T is the last output of the model, and the
    gradient is that of the model as a whole, with both directions of a bidirectional one. In a model with a delay y_T
    answers x_T, and the zeros after x_T are no inputs. Each sequence has its own v, as in ``state_gradient``.

    Args:
        model: the model, which stays as it is.
        inputs: ``[batch, time, input_size]``.
        generator: the source of v.
    """
    scan = Scan(model, inputs)
    with torch.enable_grad():
        projected = _projected_output(scan, scan.features, generator)
    return _norms(projected, scan)[1].flip(0)


def gradient_flow(model: SequenceModel, task: Task, batch: Batch, generator: torch.Generator) -> GradientFlow:
    """Return the curves of a model as mean logarithms, from one pass forward and one backward.

    The gradient through the state is measured on every sequence of the batch, and each of the others on the first half
    of them. All of these are rows of one batch. The rows of a batch do not mix, and half of a pass is what a step costs
    whatever the batch, so one pass is cheaper than three.
    """
    size = len(batch.inputs)
    half = batch.rows(slice((size + 1) // 2))
    last_of_loss = size + len(half.inputs)
    of_state, of_loss, of_output = slice(size), slice(size, last_of_loss), slice(last_of_loss, None)
    scan = Scan(model, torch.cat([batch.inputs, half.inputs, half.inputs]))
    if not scan.states:
        return GradientFlow(None, None, mean_log(input_gradient(model, half.inputs, generator)))
    with torch.enable_grad():
        last = as_vectors(scan.states[-1])[of_state]
        projected = (last * _directions(last, generator)).sum()
        loss = _loss(scan, scan.features[of_loss], task, half)
        total = projected + loss + _projected_output(scan, scan.features[of_output], generator)
    by_state, by_input = (norms.flip(0) for norms in _norms(total, scan))
    return GradientFlow(
        mean_log(by_state[:, of_state]), mean_log(by_state[1:, of_loss]), mean_log(by_input[:, of_output])
    )


def mean_log(norms: Tensor) -> Tensor:
    """Return the mean of log norm over the samples of the last dimension that are not 0, and −inf where all are 0.

    A ReLU may cut every path of one sequence, which alone does not make the mean −inf.
    """
    logs = norms.log()
    alive = norms != 0  # NaN and inf are kept, and seen in the mean
    return torch.where(alive.any(-1), logs.where(alive, 0.0).sum(-1) / alive.sum(-1), -math.inf)


def effective_memory(log_norms: ArrayLike, first: int = 0) -> Decay:
    """Return how fast a gradient dies, from its log norm by τ = first … T.

    A line is fitted by least squares from the first τ up to where the curve ends: at T, at the first value that is not
    finite, or where float64 runs out. A gradient that is exactly 0 from some τ on (because the state is a window of the
    last inputs) has no rate: its slope is NaN, and its memory is the last τ with a gradient. A gradient that does not
    decay has an infinite memory, and its slope (≥ 0) says how it grows.

    Args:
        log_norms: the logarithms of the norms, one per τ.
        first: the τ of the first of them.
    """
    logs = np.asarray(log_norms, dtype=np.float64)
    usable = np.isfinite(logs) & (logs > UNDERFLOW)
    count = len(logs) if usable.all() else int(np.argmin(usable))
    if first + count > 0 and count < len(logs) and np.isneginf(logs[count]):
        return Decay(math.nan, float(first + count - 1), math.nan)
    if count < 3:
        return Decay(math.nan, math.nan, math.nan)
    tau = first + np.arange(count, dtype=np.float64)
    slope, intercept = np.polynomial.polynomial.polyfit(tau, logs[:count], 1)[::-1]
    residual = math.sqrt(np.mean((logs[:count] - intercept - slope * tau) ** 2))
    return Decay(float(slope), memory_of(float(slope)), residual)


def input_memory(log_norms: ArrayLike) -> Decay:
    """Return how fast the gradient from output to input dies, from its log norm by τ = 0 … T − 1.

    The first one does not count. x_T may reach y_T by paths that carry nothing from step to step, such as the residual
    path of a block, and its gradient says nothing of memory.
    """
    return effective_memory(np.asarray(log_norms)[1:], first=1)


def memory_of(slope: float) -> float:
    """Return −1/slope, or inf where nothing decays.

    It rises with the slope, so the ends of an interval of the slope give those of an interval of the memory.
    """
    return -1 / slope if slope < -NO_DECAY else slope if math.isnan(slope) else math.inf


def _directions(last: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random unit vector for each row."""
    v: Tensor = torch.randn(last.shape, dtype=torch.float64, generator=generator).to(last.device)
    return v.div_(v.norm(dim=1, keepdim=True))


def _loss(scan: Scan, features: Tensor, task: Task, batch: Batch) -> Tensor:
    """Return the sum over the sequences of each one's own loss."""
    targets = batch.targets.double() if batch.targets.is_floating_point() else batch.targets
    # A task's loss is a mean over the batch, so the sum is this mean times the number of sequences.
    loss: Tensor = len(targets) * task.loss(scan.model.decode(features), batch._replace(targets=targets))
    return loss


def _projected_output(scan: Scan, features: Tensor, generator: torch.Generator) -> Tensor:
    """Return the sum over the sequences of vᵀ y_T, with a random unit vector v for each."""
    last = scan.model.decode(features[:, -1])
    return (last * _directions(last, generator)).sum()


def _norms(scalar: Tensor, scan: Scan) -> tuple[Tensor, Tensor]:
    """Return ‖∂scalar/∂s_t‖ by t = 0 … T, ``[T + 1, batch]``, and ‖∂scalar/∂x_t‖ by t = 1 … T, ``[T, batch]``.

    What the scalar does not depend on has a norm of 0. There are no norms of states that do not exist.
    """
    tensors = [tensor for state in scan.states for tensor in state]
    if not scalar.requires_grad:  # The outputs of a cell may depend on nothing, because it works without gradients.
        scalar = scalar + 0.0 * scan.inputs.sum()
    *flat, of_inputs = torch.autograd.grad(scalar, [*tensors, scan.inputs], materialize_grads=True)
    count = len(scan.states[0]) if scan.states else 0
    by_tensor = [torch.stack(flat[i::count]).reshape(len(scan.states), len(scan.inputs), -1) for i in range(count)]
    norms = vector_norm(torch.stack([vector_norm(g, dim=2) for g in by_tensor]), dim=0) if by_tensor else torch.empty(0)
    return norms, vector_norm(of_inputs, dim=2).T


def _jacobians(scan: Scan) -> list[Tensor]:
    """Return J_1 … J_T, each ``[batch, S, S]``, from one call for all steps."""
    batch = len(scan.inputs)
    before = torch.cat([as_vectors(state) for state in scan.states[:-1]]).detach().requires_grad_()  # [T·batch, S]
    backward = [outputs.transpose(0, 1).flatten(0, 1) for outputs in scan.backward]
    with torch.enable_grad():
        after = scan.step(scan.encoded.transpose(0, 1).flatten(0, 1), before, backward)
        totals = after.sum(0).unbind()  # a sum over rows gives each row's gradient: sequences and steps do not mix
    rows = [torch.autograd.grad(t, before, retain_graph=True, materialize_grads=True)[0] for t in totals]
    return list(torch.split(torch.stack(rows, dim=1), batch))
