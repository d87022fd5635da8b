"""How the kernels lay out what they work on.

Of each step there is one row, (x_t, 1, h_{t−1}), so that W x_t + b + U h_{t−1} is one product with W, b and U below
each other, and the gradients of all three are one product too. Rows of a step lie together: time first. Units are
padded to whole vectors: a gate of ``hidden`` units takes ``padded(hidden)`` columns. Whatever stands in the padding, no
product brings it into the rest: it is not read, or it has been cleared, so that it cannot make a NaN there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from suite.kernels._product import pack
from suite.kernels._vector import LANES


def padded(size: int) -> int:
    """``size`` rounded up to whole vectors."""
    return -(-size // LANES) * LANES


def rows(inputs: Tensor, W: Tensor, U: Tensor, h: Tensor, *others: Tensor) -> Tensor:
    """(x_t, 1, h_{t−1}) of every step, and room for the last h: ``[time + 1, batch, input + 1 + padded]``.

    The kernel fills in every h but the first. Compiled code looks at no size, so all are looked at here: W is
    ``[gates·hidden, input]``, U ``[gates·hidden, hidden]``, and every state, h and ``others``, ``[batch, hidden]``.
    """
    batch, time, size = inputs.shape
    hidden = U.shape[1]
    states = [tuple(state.shape) for state in (h, *others)]
    if size != W.shape[1] or any(shape != (batch, hidden) for shape in states):
        raise RuntimeError(
            f"inputs must be [batch, time, {W.shape[1]}] and states [batch, {hidden}]; got {list(inputs.shape)} and "
            f"{', '.join(str(list(shape)) for shape in states)}"
        )
    room = inputs.new_empty(time + 1, batch, size + 1 + padded(hidden))
    room[:time, :, :size] = inputs.transpose(0, 1)
    room[:, :, size] = 1
    room[0, :, size + 1 : size + 1 + hidden] = h
    room[0, :, size + 1 + hidden :] = 0
    return room


def history(state: Tensor, steps: int) -> Tensor:
    """Room for a state before and after every step, ``[steps + 1, batch, padded]``, with ``state`` at its start."""
    batch, hidden = state.shape
    room = state.new_empty(steps + 1, batch, padded(hidden))
    room[0, :, :hidden] = state
    room[0, :, hidden:] = 0
    return room


def outputs(states: Tensor, start: int, hidden: int) -> Tensor:
    """The states after every step, ``hidden`` columns of a history from ``start`` on, as ``[batch, time, hidden]``."""
    return states[1:, :, start : start + hidden].transpose(0, 1)


def last(states: Tensor, start: int, hidden: int) -> Tensor:
    """The last state ``[batch, hidden]``, as a tensor of its own."""
    return states[-1, :, start : start + hidden].clone()


def pack_forward(gates: int, *matrices: Tensor) -> Tensor:
    """Matrices ``[gates·hidden, n]``, or biases ``[gates·hidden]``, packed for a row of the n's beside each other.

    Depth Σ n, width ``gates·padded``.
    """
    whole = torch.cat([matrix if matrix.dim() == 2 else matrix.unsqueeze(1) for matrix in matrices], dim=1)
    hidden, depth = len(whole) // gates, whole.shape[1]
    width = padded(hidden)
    packed = whole.new_zeros(depth * gates * width)
    for gate in range(gates):
        pack(packed, whole, gate * hidden * depth, depth, gates * width, 0, gate * width, depth, hidden, 1, depth)
    return packed


def pack_backward(gates: int, U: Tensor) -> Tensor:
    """U ``[gates·hidden, hidden]``, packed for dh = da U: depth ``gates·padded``, width ``padded``."""
    hidden = len(U) // gates
    width = padded(hidden)
    packed = U.new_zeros(gates * width * width)
    U = U.contiguous()
    for gate in range(gates):
        from_row = gate * width
        pack(packed, U, gate * hidden * hidden, gates * width, width, from_row, 0, hidden, hidden, hidden, 1)
    return packed


def weight_gradient(da: Tensor, before: Tensor, gates: int, hidden: int) -> Tensor:
    """Σ_t da_tᵀ row_t: ``[time, batch, gates·padded]`` and ``[time, batch, n]`` → ``[gates·hidden, n]``.

    Both may be some columns of a wider tensor.
    """
    whole = da.flatten(0, 1).t() @ before.flatten(0, 1)
    width = len(whole) // gates
    return whole if width == hidden else whole.view(gates, width, -1)[:, :hidden].reshape(gates * hidden, -1)


def weight_gradients(da: Tensor, rows: Tensor, gates: int, x_size: int, hidden: int) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of W, b and U; ``rows`` may be one step longer than ``da``, ``x_size`` is that of (x_t, 1)."""
    whole = weight_gradient(da, rows[: len(da)], gates, hidden)
    return whole[:, : x_size - 1], whole[:, x_size - 1], whole[:, x_size : x_size + hidden]


def input_gradient(da: Tensor, W: Tensor, gates: int) -> Tensor:
    """da_t W: ``[time, batch, gates·padded]`` → ``[batch, time, input]``."""
    hidden = len(W) // gates
    extra = padded(hidden) - hidden
    whole = pad(W.view(gates, hidden, -1), (0, 0, 0, extra)).flatten(0, 1) if extra else W
    return (da @ whole).transpose(0, 1)


def state_gradient(gradient: Tensor | None, like: Tensor, hidden: int) -> Tensor:
    """The gradient of a last state ``[batch, hidden]`` as a padded array to work in; zeros where there is none."""
    room = like.new_zeros(like.shape[1], padded(hidden))
    if gradient is not None:
        room[:, :hidden] = gradient
    return room


def gate_gradient(gates: Tensor) -> Tensor:
    """Room for the gradient of the gates: their own place, which is in the cache, unless they will be wanted again.

    Each kernel reads the gates of a step before it writes their gradient. ``retain_graph=True`` keeps them; where torch
    does not tell, they are kept.
    """
    retained = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)
    return torch.empty_like(gates) if retained() else gates


def output_gradient(gradient: Tensor | None, hidden: int, like: Tensor) -> tuple[Tensor, int, int]:
    """The gradient of outputs ``[batch, time, hidden]``, and how many numbers a step and a sequence are apart.

    Where there is no gradient, every step of every sequence reads the same row of zeros.
    """
    if gradient is None:
        return like.new_zeros(hidden), 0, 0
    batch, time, _ = gradient.shape
    by_time = gradient.transpose(0, 1)
    if by_time.is_contiguous():
        return by_time, batch * hidden, hidden
    return gradient.contiguous(), hidden, time * hidden
