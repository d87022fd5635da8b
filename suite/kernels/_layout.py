"""The memory layout of the arrays that the kernels work on.

Each step of each sequence has one row, (x_t, 1, h_{t−1}). W x_t + b + U h_{t−1} is then one product with W, b and U
below each other, and the gradients of all three are one product too. The rows of a step lie together, so time comes
first. Units are padded to whole vectors: a gate of ``hidden`` units takes ``padded(hidden)`` columns. The padding never
enters a product, because it is either not read or cleared first, so it cannot cause a NaN elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from suite.kernels._product import pack
from suite.kernels._vector import LANES


def padded(size: int) -> int:
    """Round ``size`` up to whole vectors."""
    return -(-size // LANES) * LANES


def check_sizes(inputs: Tensor, size: int, states: Sequence[Tensor], *of_state: int) -> None:
    """Compare the sizes of inputs and states with those of the weights, because compiled code compares none.

    Raises:
        RuntimeError: if inputs are not ``[batch, time, size]``, or a state is not ``[batch, *of_state]``.
    """
    shapes = [tuple(state.shape) for state in states]
    if inputs.shape[2] != size or any(shape != (len(inputs), *of_state) for shape in shapes):
        raise RuntimeError(
            f"inputs must be [batch, time, {size}] and states [batch, {', '.join(map(str, of_state))}]; "
            f"got {list(inputs.shape)} and {', '.join(str(list(shape)) for shape in shapes)}"
        )


def rows(inputs: Tensor, W: Tensor, U: Tensor, h: Tensor, *others: Tensor) -> Tensor:
    """Lay out (x_t, 1, h_{t−1}) of every step, with room for the last h: ``[time + 1, batch, input + 1 + padded]``.

    The kernel fills in every h but the first. W is ``[gates·hidden, input]``, U is ``[gates·hidden, hidden]``, and
    every state, h and ``others``, is ``[batch, hidden]``.

    Raises:
        RuntimeError: if a size is wrong.
    """
    batch, time, size = inputs.shape
    hidden = U.shape[1]
    check_sizes(inputs, W.shape[1], [h, *others], hidden)
    room = inputs.new_empty(time + 1, batch, size + 1 + padded(hidden))
    room[:time, :, :size] = inputs.transpose(0, 1)
    room[:, :, size] = 1
    room[0, :, size + 1 : size + 1 + hidden] = h
    room[0, :, size + 1 + hidden :] = 0
    return room


def history(state: Tensor, steps: int) -> Tensor:
    """Make room for the states before and after every step, ``[steps + 1, batch, padded]``, and put ``state`` first."""
    batch, hidden = state.shape
    room = state.new_empty(steps + 1, batch, padded(hidden))
    room[0, :, :hidden] = state
    room[0, :, hidden:] = 0
    return room


def outputs(states: Tensor, start: int, hidden: int) -> Tensor:
    """The states after every step, ``[batch, time, hidden]``, from the columns of a history at ``start``."""
    return states[1:, :, start : start + hidden].transpose(0, 1)


def last(states: Tensor, start: int, hidden: int) -> Tensor:
    """Copy the last state ``[batch, hidden]`` into a tensor of its own."""
    return states[-1, :, start : start + hidden].clone()


def pack_forward(gates: int, *matrices: Tensor) -> Tensor:
    """Pack matrices ``[gates·hidden, n]`` or biases ``[gates·hidden]`` for a row that holds their inputs side by side.

    The packed matrix has depth Σ n and width ``gates·padded``.
    """
    whole = torch.cat([matrix if matrix.dim() == 2 else matrix.unsqueeze(1) for matrix in matrices], dim=1)
    hidden, depth = len(whole) // gates, whole.shape[1]
    width = padded(hidden)
    packed = whole.new_zeros(depth * gates * width)
    for gate in range(gates):
        pack(packed, whole, gate * hidden * depth, depth, gates * width, 0, gate * width, depth, hidden, 1, depth)
    return packed


def pack_backward(gates: int, U: Tensor) -> Tensor:
    """Pack U ``[gates·hidden, hidden]`` for dh = da U, with depth ``gates·padded`` and width ``padded``."""
    hidden = len(U) // gates
    width = padded(hidden)
    packed = U.new_zeros(gates * width * width)
    U = U.contiguous()
    for gate in range(gates):
        from_row = gate * width
        pack(packed, U, gate * hidden * hidden, gates * width, width, from_row, 0, hidden, hidden, hidden, 1)
    return packed


def weight_gradient(da: Tensor, before: Tensor, gates: int, hidden: int) -> Tensor:
    """Return Σ_t da_tᵀ row_t: ``[time, batch, gates·padded]`` and ``[time, batch, n]`` → ``[gates·hidden, n]``.

    Both arguments may be columns of a wider tensor.
    """
    whole = da.flatten(0, 1).t() @ before.flatten(0, 1)
    width = len(whole) // gates
    return whole if width == hidden else whole.view(gates, width, -1)[:, :hidden].reshape(gates * hidden, -1)


def weight_gradients(da: Tensor, rows: Tensor, gates: int, x_size: int, hidden: int) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of W, b and U; ``rows`` may be one step longer than ``da``, ``x_size`` is that of (x_t, 1)."""
    whole = weight_gradient(da, rows[: len(da)], gates, hidden)
    return whole[:, : x_size - 1], whole[:, x_size - 1], whole[:, x_size : x_size + hidden]


def input_gradient(da: Tensor, W: Tensor, gates: int) -> Tensor:
    """Return da_t W for every step: ``[time, batch, gates·padded]`` → ``[batch, time, input]``."""
    hidden = len(W) // gates
    extra = padded(hidden) - hidden
    whole = pad(W.view(gates, hidden, -1), (0, 0, 0, extra)).flatten(0, 1) if extra else W
    return (da @ whole).transpose(0, 1)


def state_gradient(gradient: Tensor | None, like: Tensor, hidden: int) -> Tensor:
    """Copy the gradient of a last state ``[batch, hidden]`` into a padded array. A gradient of None becomes zeros."""
    room = like.new_zeros(like.shape[1], padded(hidden))
    if gradient is not None:
        room[:, :hidden] = gradient
    return room


def gate_gradient(gates: Tensor) -> Tensor:
    """Return the array for the gradient of the gates. It is that of the gates, unless these are needed again.

    Each kernel reads the gates of a step before it writes their gradient, and the gates are still in the cache. With
    ``retain_graph=True``, or where torch does not tell, the gates are preserved and the array is a new one.
    """
    retained = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)
    return torch.empty_like(gates) if retained() else gates


def output_gradient(gradient: Tensor | None, hidden: int, like: Tensor) -> tuple[Tensor, int, int]:
    """Return the gradient of outputs ``[batch, time, hidden]`` and its strides from step to step and between sequences.

    Strides count numbers. If there is no gradient, every step of every sequence reads the same row of zeros.
    """
    if gradient is None:
        return like.new_zeros(hidden), 0, 0
    batch, time, _ = gradient.shape
    by_time = gradient.transpose(0, 1)
    if by_time.is_contiguous():
        return by_time, batch * hidden, hidden
    return gradient.contiguous(), hidden, time * hidden
