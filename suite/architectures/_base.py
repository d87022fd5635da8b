"""The contract of an architecture: a recurrence, given by one step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import sqrt
from typing import Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

State = TypeVar("State")

Initialisation = Literal["uniform", "orthogonal"]

FORGET_BIAS = 1.0
"""The initial bias of a forget gate unless told otherwise: it keeps the cell open at the start."""


class Cell(nn.Module, ABC, Generic[State]):
    """A recurrence ``(x_t, s_{t−1}) → (y_t, s_t)``. Subclasses live one per file; the file's name is the public name.

    ``State`` is what is carried from step to step: one tensor in a ``Cell[Tensor]``, two in a
    ``Cell[tuple[Tensor, Tensor]]``; every leaf is ``[batch, ...]``.

    A subclass takes ``input_size`` and ``hidden_size``, and its own options as keyword arguments with annotations and
    defaults: they become keys of experiment files and of search spaces. It defines ``initial_state`` and ``step``.

    ``step`` is the definition. ``forward`` scans it over time; a subclass may override ``forward`` with a faster form
    of the same recurrence, and a contract test holds the two together.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    @property
    def output_size(self) -> int:
        """Features per step of the output."""
        return self.hidden_size

    def zeros(self, batch_size: int, *shape: int) -> Tensor:
        """Zeros ``[batch_size, *shape]`` with the dtype and device of the parameters."""
        return next(self.parameters(), torch.empty(0)).new_zeros(batch_size, *shape)

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step: zeros, unless the architecture says otherwise."""

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: ``x`` is ``[batch, input_size]``; returns the output ``[batch, output_size]``, the state."""

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Scan ``step`` over ``inputs`` ``[batch, time, input_size]``; returns the outputs and the last state."""
        state = self.initial_state(len(inputs)) if state is None else state
        outputs = []
        for x in inputs.unbind(1):
            output, state = self.step(x, state)
            outputs.append(output)
        return torch.stack(outputs, dim=1), state


def weight(rows: int, columns: int, bound: float) -> nn.Parameter:
    """A matrix of independent U(−bound, bound)."""
    return nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound))


def input_weight(blocks: int, hidden_size: int, input_size: int) -> nn.Parameter:
    """The matrices W of ``blocks`` gates in one, ``[blocks·hidden, input]``: U(±1/√hidden), as torch.nn's cells."""
    return weight(blocks * hidden_size, input_size, 1 / sqrt(hidden_size))


def recurrent_weight(blocks: int, hidden_size: int, init: Initialisation, gain: float = 1.0) -> nn.Parameter:
    """The matrices U of ``blocks`` gates in one, ``[blocks·hidden, hidden]``: ``gain`` times what ``init`` draws.

    ``uniform``: U(±1/√hidden), as torch.nn's cells. ``orthogonal``: each block a random orthogonal matrix, whose
    singular values are all 1 (Saxe et al. 2014; the default of Keras), and ``gain`` with a gain.
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
    """The biases of ``blocks`` gates in one, ``[blocks·hidden]``: zeros."""
    return nn.Parameter(torch.zeros(blocks * hidden_size))


def gate_biases(hidden_size: int, forget_bias: float, chrono: int) -> tuple[Tensor, Tensor]:
    """The initial b_i and b_f of an input and a forget gate, ``[hidden]`` each: 0 and ``forget_bias``.

    With ``chrono`` = T_max, b_f is `chrono_bias` and b_i = −b_f instead (Tallec & Ollivier 2018).
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
    """The initial biases of a gate that keeps the state, ``[hidden]``: log U(1, T_max − 1), with T_max = ``longest``.

    They spread the time constants of the units, 1/(1 − σ(b)) = 1 + exp b, evenly over 2 … T_max steps. T_max is the
    longest dependency that is expected, and so it is knowledge of the task.

    Source: Tallec & Ollivier 2018.

    Raises:
        ValueError: if T_max is below 3.
    """
    if longest < 3:
        raise ValueError(f"chrono must be 0 (off) or T_max, a number of steps that is at least 3; got {longest}")
    return torch.empty(hidden_size).uniform_(1, longest - 1).log()
