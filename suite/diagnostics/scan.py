"""A model as one function of its whole state, s_t = F(x_t, s_{t−1}): by the definition, in float64."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from suite.architectures import Cell
from suite.errors import InputError
from suite.model.sequence_model import SequenceModel
from suite.model.states import differentiable, leaves, mapped


class Scan:
    """The states s_0 … s_T of ``model`` on ``inputs``, which derivatives can be taken of.

    s_t holds the states of all layers as a list of tensors, ``[batch, ...]`` each; as vectors, ``[batch, S]``, a
    complex number counts as two (``as_vectors``). Whole numbers in a state, a counter, are carried on but have no
    derivatives and are no part of s_t. A state is cut from the output of its own step: what depends on s_t is what the
    steps after t make of it, as in F. In a bidirectional model s_t holds the forward directions alone, and what the
    backward directions say is taken as given.

    The model is copied and run by ``step``, never by a kernel, without what only training does (dropout). With a delay
    the zeros after the inputs are steps as well, and T counts them.

    Args:
        model: is left as it was.
        inputs: ``[batch, time, input_size]``.

    Raises:
        InputError: if the model carries nothing from step to step that has derivatives, or changes its type.
    """

    def __init__(self, model: SequenceModel, inputs: Tensor) -> None:
        self.model = copy.deepcopy(model).to(inputs.device).double().eval().requires_grad_(False)
        self.inputs = pad(inputs.double(), (0, 0, 0, model.delay))
        self.forwards: list[Cell[Any]] = [layer[0] for layer in self.model.layers]
        self.like = [cell.initial_state(len(inputs)) for cell in self.forwards]
        if not any(self.followed):
            raise InputError("gradient flow needs a state that is carried from step to step; the model has none")
        with torch.no_grad():
            self.given = self._backward_directions()
        with torch.enable_grad():
            self.states, self.features = self._run()

    @property
    def followed(self) -> list[bool]:
        """Of each tensor of a state whether it belongs to s_t."""
        return [differentiable(leaf) for leaf in leaves(self.like)]

    @property
    def state_size(self) -> int:
        """Numbers in s_t of one sequence."""
        return as_vectors(self.states[0]).shape[1]

    def step(self, x: Tensor, s: Tensor, given: list[Tensor]) -> Tensor:
        """F: x_t ``[rows, input_size]`` and s_{t−1} ``[rows, S]`` → s_t, as vectors; where all of a state is in s_t.

        ``given`` has for each layer what its backward direction says at this step, ``[rows, 0]`` where there is none.
        """
        return as_vectors(leaves(self._step(x, from_vectors(s, self.like), given)[1]))

    def _step(self, x: Tensor, states: list[Any], given: list[Tensor]) -> tuple[Tensor, list[Any]]:
        """What the decoder sees, and the state of each layer."""
        features, after = x, []
        for cell, before, other in zip(self.forwards, states, given, strict=True):
            output, state = cell.step(features, before)
            after.append(state)
            features = torch.cat([output, other], dim=1) if other.numel() else output
        return features, after

    def _run(self) -> tuple[list[list[Tensor]], Tensor]:
        """s_0 … s_T, and what the decoder sees of the steps that answer, ``[batch, time, features]``."""
        state, followed = mapped(_cut, self.like), self.followed
        states, seen = [_with_gradient(state)], []
        for x, *given in zip(self.inputs.unbind(1), *(other.unbind(1) for other in self.given), strict=True):
            features, after = self._step(x, state, given)
            if [differentiable(leaf) for leaf in leaves(after)] != followed:
                raise InputError("gradient flow needs a state that keeps its types; a step gives back another")
            state = mapped(_cut, after)
            seen.append(features)
            states.append(_with_gradient(state))
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


def as_vectors(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors of a state as one vector per sequence, ``[batch, S]``; a complex number as its two parts."""
    return torch.cat([_real(tensor).reshape(len(tensor), -1).double() for tensor in tensors], dim=1)


def from_vectors(vectors: Tensor, like: Any) -> Any:
    """The state of ``[rows, S]``: the inverse of ``as_vectors``, with the structure of ``like``."""
    shapes = [_real(leaf).shape[1:] for leaf in leaves(like)]
    parts = iter(torch.split(vectors, [shape.numel() for shape in shapes], dim=1))

    def filled(leaf: Tensor) -> Tensor:
        part = next(parts).reshape(-1, *_real(leaf).shape[1:])
        return torch.complex(part[..., 0], part[..., 1]) if leaf.is_complex() else part

    return mapped(filled, like)


def _cut(leaf: Tensor) -> Tensor:
    """The same numbers, in a place of their own in what derivatives are taken of."""
    return leaf.view_as(leaf) if leaf.requires_grad else leaf.detach().requires_grad_(differentiable(leaf))


def _with_gradient(state: Any) -> list[Tensor]:
    return [leaf for leaf in leaves(state) if leaf.requires_grad]


def _real(leaf: Tensor) -> Tensor:
    return torch.view_as_real(leaf) if leaf.is_complex() else leaf
