"""A model as one function of its whole state, s_t = F(x_t, s_{t−1}): by the definition, in float64."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from suite.architectures import Cell
from suite.errors import InputError
from suite.model import SequenceModel


class Scan:
    """The states s_0 … s_T of ``model`` on ``inputs``, each one vector per sequence that derivatives can be taken of.

    s_t holds the states of all layers, ``[batch, S]``; a complex number counts as two. A state is cut from the output
    of its own step: what depends on s_t is what the steps after t make of it, as in F. In a bidirectional model s_t
    holds the forward directions alone, and what the backward directions say is taken as given.

    The model is copied and run by ``step``, never by a kernel, without what only training does (dropout). With a delay
    the zeros after the inputs are steps as well, and T counts them.

    Args:
        model: is left as it was.
        inputs: ``[batch, time, input_size]``.

    Raises:
        InputError: if the model carries nothing from step to step.
    """

    def __init__(self, model: SequenceModel, inputs: Tensor) -> None:
        self.model = copy.deepcopy(model).to(inputs.device).double().eval().requires_grad_(False)
        self.inputs = pad(inputs.double(), (0, 0, 0, model.delay))
        self.forwards: list[Cell[Any]] = [layer[0] for layer in self.model.layers]
        self.like = [cell.initial_state(len(inputs)) for cell in self.forwards]
        if not list(leaves(self.like)):
            raise InputError("gradient flow needs a state that is carried from step to step; the model has none")
        with torch.no_grad():
            self.given = self._backward_directions()
        with torch.enable_grad():
            self.states, self.features = self._run()

    @property
    def state_size(self) -> int:
        """Numbers in s_t."""
        return self.states[0].shape[1]

    def step(self, x: Tensor, s: Tensor, given: list[Tensor]) -> tuple[Tensor, Tensor]:
        """F: x_t ``[rows, input_size]`` and s_{t−1} ``[rows, S]`` → what the decoder sees, and s_t.

        ``given`` has for each layer what its backward direction says at this step, ``[rows, 0]`` where there is none.
        """
        features, after = x, []
        for cell, before, other in zip(self.forwards, unpack(s, self.like), given, strict=True):
            output, state = cell.step(features, before)
            after.append(state)
            features = torch.cat([output, other], dim=1) if other.numel() else output
        return features, pack(after)

    def _run(self) -> tuple[list[Tensor], Tensor]:
        """s_0 … s_T, and what the decoder sees of the steps that answer, ``[batch, time, features]``."""
        states = [pack(self.like).detach().requires_grad_()]
        seen = []
        for t, x in enumerate(self.inputs.unbind(1)):
            features, after = self.step(x, states[-1], [other[:, t] for other in self.given])
            seen.append(features)
            states.append(after)
        return states, torch.stack(seen[self.model.delay :], dim=1)

    def _backward_directions(self) -> list[Tensor]:
        """The outputs of the backward direction of each layer, ``[batch, time, output_size or 0]``."""
        features, given = self.inputs, []
        for layer in self.model.layers:
            nothing = features.new_zeros(*features.shape[:2], 0)
            given.append(Cell.forward(layer[1], features.flip(1))[0].flip(1) if len(layer) > 1 else nothing)
            if len(layer) > 1:
                features = torch.cat([Cell.forward(layer[0], features)[0], given[-1]], dim=2)
        return given


def leaves(state: Any) -> Iterator[Tensor]:
    """The tensors of a state, in order."""
    if isinstance(state, Tensor):
        yield state
    else:
        for part in state:
            yield from leaves(part)


def pack(state: Any) -> Tensor:
    """A state as one vector per sequence, ``[batch, S]``; a complex number as its real and imaginary part."""
    return torch.cat([_real(leaf).reshape(len(leaf), -1).double() for leaf in leaves(state)], dim=1)


def unpack(vector: Tensor, like: Any) -> Any:
    """The state of a vector, ``[rows, S]``: the inverse of ``pack``, with the structure of ``like``."""
    shapes = [_real(leaf).shape[1:] for leaf in leaves(like)]
    parts = iter(torch.split(vector, [shape.numel() for shape in shapes], dim=1))

    def fill(state: Any) -> Any:
        if isinstance(state, Tensor):
            part = next(parts).reshape(-1, *_real(state).shape[1:])
            return torch.complex(part[..., 0], part[..., 1]) if state.is_complex() else part
        filled = [fill(part) for part in state]
        return type(state)(*filled) if hasattr(state, "_fields") else type(state)(filled)

    return fill(like)


def _real(leaf: Tensor) -> Tensor:
    return torch.view_as_real(leaf) if leaf.is_complex() else leaf
