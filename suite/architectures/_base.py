"""The contracts of an architecture, which is a layer or a cell, and the weights that cells share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import sqrt
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

State = TypeVar("State")

Initialisation = Literal["uniform", "orthogonal"]

FORGET_BIAS = 1.0
"""The default initial bias of a forget gate, which keeps the gate mostly open at the start."""


class Layer(nn.Module, ABC):
    """A map of whole sequences, in which no output depends on a later input. It need not be a recurrence.

    A subclass takes ``input_size`` and ``hidden_size``, and its own options as keyword arguments with defaults. These
    options become keys of experiment files and of search spaces. The subclass defines ``forward``, and states its
    ``output_size`` if that is not the ``hidden_size``.

    Write a `Cell` instead if the architecture has a step. The state of a layer is not known, so its size is not stated,
    and no gradient through it can be measured.
    """

    family: ClassVar[str] = "other"
    """The kind of memory that it has, such as ``gated``, ``linear`` or ``attention``. Leaderboards group by it."""
    without_weight_decay: tuple[str, ...] = ()
    """The names of those parameters of its own that no weight decay should pull to 0, such as time steps."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    @property
    def output_size(self) -> int:
        """The number of features per step in the output."""
        return self.hidden_size

    def zeros(self, batch_size: int, *shape: int) -> Tensor:
        """Return zeros ``[batch_size, *shape]`` with the dtype and device of the parameters."""
        return next(self.parameters(), torch.empty(0)).new_zeros(batch_size, *shape)

    @abstractmethod
    def forward(self, inputs: Tensor) -> Any:
        """Return the outputs ``[batch, time, output_size]`` of ``inputs`` ``[batch, time, input_size]``."""


class Cell(Layer, Generic[State]):
    """A recurrence ``(x_t, s_{t−1}) → (y_t, s_t)``. Each file holds one subclass, and the file's name is its public
    name.

    ``State`` is the type of the state that a cell carries from step to step. It is one tensor in a ``Cell[Tensor]`` and
    two in a ``Cell[tuple[Tensor, Tensor]]``, and every tensor in it is ``[batch, ...]``. A state may grow with the
    steps, as the keys and values of attention do. A tensor that grows is ``[batch, steps so far, ...]``, and so
    ``[batch, 0, ...]`` before the first step.

    ``step`` is the definition of the recurrence. ``forward`` scans it over time. A subclass may override ``forward``
    with a faster form of the same recurrence, and a contract test compares the two.
    """

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first step, which is zero unless the architecture says otherwise."""

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take ``x`` ``[batch, input_size]`` and return the output ``[batch, output_size]`` and the next state."""

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Scan ``step`` over ``inputs`` ``[batch, time, input_size]``, and return all outputs and the last state."""
        state = self.initial_state(len(inputs)) if state is None else state
        outputs = []
        for x in inputs.unbind(1):
            output, state = self.step(x, state)
            outputs.append(output)
        return torch.stack(outputs, dim=1), state


def weight(rows: int, columns: int, bound: float) -> nn.Parameter:
    """Draw a matrix ``[rows, columns]`` whose elements are independent and uniform in (−bound, bound)."""
    return nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound))


def input_weight(blocks: int, hidden_size: int, input_size: int) -> nn.Parameter:
    """Draw the input matrices W of all gates, stacked below each other: ``[blocks·hidden, input]``.

    ``blocks`` is the number of gates that the matrix holds, the candidate included: 1 in a plain recurrent net, 3 in a
    GRU and 4 in an LSTM. The elements are uniform in ±1/√hidden, as in the cells of torch.nn.
    """
    return weight(blocks * hidden_size, input_size, 1 / sqrt(hidden_size))


def recurrent_weight(blocks: int, hidden_size: int, init: Initialisation, gain: float = 1.0) -> nn.Parameter:
    """Draw the recurrent matrices U of all gates, stacked below each other: ``[blocks·hidden, hidden]``.

    ``blocks`` is the number of gates that the matrix holds, the candidate included, as in `input_weight`.

    With ``init = "uniform"`` the elements are uniform in ±1/√hidden, as in the cells of torch.nn. With
    ``init = "orthogonal"`` each block is a random orthogonal matrix, as is the default of Keras (Saxe et al. 2014). The
    draw is multiplied by ``gain``, so all singular values of an orthogonal block equal ``gain``.
    """
    if init == "uniform":
        U = weight(blocks * hidden_size, hidden_size, 1 / sqrt(hidden_size)).detach()
    elif init == "orthogonal":
        square = torch.empty(hidden_size, hidden_size)
        U = torch.cat([nn.init.orthogonal_(square.clone()) for _ in range(blocks)])
    else:
        raise ValueError(f"init must be 'uniform' or 'orthogonal'; got {init!r}")
    return nn.Parameter(gain * U)


def bias(blocks: int, hidden_size: int) -> nn.Parameter:
    """Return the biases of all gates, one after the other: ``[blocks·hidden]``, all zero.

    ``blocks`` is the number of gates that the vector holds, the candidate included, as in `input_weight`.
    """
    return nn.Parameter(torch.zeros(blocks * hidden_size))


def gate_biases(hidden_size: int, forget_bias: float, chrono: int) -> tuple[Tensor, Tensor]:
    """Return the initial b_i of an input gate and b_f of a forget gate, ``[hidden]`` each.

    They are 0 and ``forget_bias``. If ``chrono`` = T_max is not 0, b_f is `chrono_bias` and b_i is −b_f instead (Tallec
    & Ollivier 2018).

    Raises:
        ValueError: if both ``chrono`` and ``forget_bias`` are set, or if T_max is below 3.
    """
    if chrono == 0:
        return torch.zeros(hidden_size), torch.full((hidden_size,), float(forget_bias))
    if forget_bias != FORGET_BIAS:
        raise ValueError(
            f"chrono replaces forget_bias, so only one of the two can be set; got chrono = {chrono} and "
            f"forget_bias = {forget_bias}"
        )
    b_f = chrono_bias(hidden_size, chrono)
    return -b_f, b_f


def chrono_bias(hidden_size: int, longest: int) -> Tensor:
    """Draw the initial biases of a gate that keeps the state: ``[hidden]``, log U(1, T_max − 1), T_max = ``longest``.

    They spread the time constants of the units, 1/(1 − σ(b)) = 1 + exp b, evenly over 2 … T_max steps. T_max is the
    longest dependency that is expected, so it is knowledge about the task.

    Source: Tallec & Ollivier 2018.

    Raises:
        ValueError: if T_max is below 3.
    """
    if longest < 3:
        raise ValueError(f"chrono must be 0 (off) or T_max, a number of steps that is at least 3; got {longest}")
    return torch.empty(hidden_size).uniform_(1, longest - 1).log()
