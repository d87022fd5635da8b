"""How the kernels lay out what they work on: time first, and units padded to whole vectors.

A gate of ``hidden`` units takes ``padded(hidden)`` columns. Whatever stands in the padding, no matrix product brings it
into the rest: it is not read, or it has been cleared, so that it cannot make a NaN there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from suite.kernels._product import PANEL
from suite.kernels._vector import LANES


def padded(size: int) -> int:
    """``size`` rounded up to whole vectors."""
    return -(-size // LANES) * LANES


def pad_gates(matrix: Tensor, gates: int) -> Tensor:
    """``[gates·hidden, n]`` → ``[gates·padded, n]``; the new rows of each gate are zero."""
    hidden = len(matrix) // gates
    extra = padded(hidden) - hidden
    return pad(matrix.view(gates, hidden, -1), (0, 0, 0, extra)).flatten(0, 1) if extra else matrix


def project(inputs: Tensor, W: Tensor, b: Tensor | None, gates: int) -> Tensor:
    """The input's share of all gates at all steps, W x_t + b, as one product: ``[time, batch, gates·padded]``.

    Autograd differentiates it: a kernel returns the gradient of this product, and the gradients of inputs, W and b
    follow. The result is the kernel's to overwrite, for that gradient does not need it.
    """
    bias = None if b is None else pad_gates(b[:, None], gates)[:, 0]
    return linear(inputs.transpose(0, 1), pad_gates(W, gates), bias)


def pack(matrix: Tensor) -> Tensor:
    """B ``[depth, width]`` in the order in which ``add_product`` reads it: panels of columns, each one row by row."""
    whole = matrix.shape[1] // PANEL * PANEL
    panels = matrix[:, :whole].reshape(len(matrix), -1, PANEL).transpose(0, 1).flatten()
    narrow = matrix[:, whole:].reshape(len(matrix), -1, LANES).transpose(0, 1).flatten()
    return torch.cat([panels, narrow]) if whole < matrix.shape[1] else panels.contiguous()


def pack_forward(U: Tensor, gates: int) -> Tensor:
    """U ``[gates·hidden, hidden]``, packed for a += h Uᵀ: depth ``hidden``, width ``gates·padded``."""
    return pack(pad_gates(U, gates).t())


def pack_backward(U: Tensor, gates: int) -> Tensor:
    """U ``[gates·hidden, hidden]``, packed for dh += da U: depth ``gates·padded``, width ``padded``."""
    return pack(pad(pad_gates(U, gates), (0, padded(U.shape[1]) - U.shape[1])))


def recurrent_gradient(da: Tensor, before: Tensor, hidden: int) -> Tensor:
    """Σ_t da_tᵀ h_{t−1}, as one product: ``[time, batch, gates·padded]`` and ``[time, batch, padded]`` → dU."""
    width = before.shape[2]
    full = da.flatten(0, 1).t() @ before.flatten(0, 1)
    return full if width == hidden else full.view(-1, width, width)[:, :hidden, :hidden].reshape(-1, hidden)


def history(state: Tensor, steps: int) -> Tensor:
    """Room for a state before and after every step, ``[steps + 1, batch, padded]``, with ``state`` at its start."""
    batch, hidden = state.shape
    room = state.new_empty(steps + 1, batch, padded(hidden))
    room[0, :, :hidden] = state
    room[0, :, hidden:] = 0
    return room


def state_gradient(gradient: Tensor | None, like: Tensor) -> Tensor:
    """The gradient of a last state ``[batch, hidden]`` as a padded array to work in; zeros where there is none."""
    room = like.new_zeros(like.shape[1:])
    if gradient is not None:
        room[:, : gradient.shape[1]] = gradient
    return room


def gate_gradient(gates: Tensor) -> Tensor:
    """Room for the gradient of the gates: their own place, which is in the cache, unless they will be wanted again.

    Each kernel reads the gates of a step before it writes their gradient. ``retain_graph=True`` keeps them; where torch
    does not tell, they are kept.
    """
    retained = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)
    return torch.empty_like(gates) if retained() else gates


def rows(gradient: Tensor | None, hidden: int, like: Tensor) -> tuple[Tensor, int, int]:
    """The gradient of outputs ``[batch, time, hidden]`` as rows, and how many rows a step and a sequence are apart.

    Where there is no gradient, every step of every sequence reads the same row of zeros.
    """
    if gradient is None:
        return like.new_zeros(1, hidden), 0, 0
    batch, time, _ = gradient.shape
    by_time = gradient.transpose(0, 1)
    if by_time.is_contiguous():
        return by_time.flatten(0, 1), batch, 1
    return gradient.contiguous().flatten(0, 1), 1, time


def outputs(states: Tensor, hidden: int) -> Tensor:
    """The states after every step, from ``history``'s layout to ``[batch, time, hidden]``."""
    return states[1:, :, :hidden].transpose(0, 1)


def last(states: Tensor, hidden: int) -> Tensor:
    """The last state ``[batch, hidden]``, as a tensor of its own."""
    return states[-1, :, :hidden].clone()
