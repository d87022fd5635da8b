"""A model as one function of its whole state, s_t = F(x_t, s_{t−1}), by the definition of its cells and in float64."""

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
from suite.model.states import is_differentiable, leaves, map_state


class Scan:
    """The states s_0 … s_T of a model on a batch, with respect to which derivatives can be taken.

    s_t holds the states of all layers as a list of tensors, ``[batch, ...]`` each. As vectors, ``[batch, S]``, a
    complex number counts as two (``as_vectors``). Whole numbers in a state, such as a counter, are carried on but have
    no derivatives and are not part of s_t. The output of step t does not depend on s_t: only the steps after t do, as
    in F. In a bidirectional model s_t holds the forward directions alone, and the outputs of the backward directions
    count as constants.

    The model is copied and run by ``step``, never by a kernel, and in evaluation mode (without dropout). With a delay,
    the zeros after the inputs are steps as well, and T counts them.

    Args:
        model: the model, which stays as it is.
        inputs: ``[batch, time, input_size]``.

    Raises:
        InputError: if the model carries nothing with derivatives from step to step, or if its state changes its type.
    """

    def __init__(self, model: SequenceModel, inputs: Tensor) -> None:
        self.model = copy.deepcopy(model).to(inputs.device).double().eval().requires_grad_(False)
        self.inputs = pad(inputs.double(), (0, 0, 0, model.delay))
        self.forwards: list[Cell[Any]] = [layer[0] for layer in self.model.layers]
        self.like = [cell.initial_state(len(inputs)) for cell in self.forwards]
        if not any(self.followed):
            raise InputError("gradient flow needs a state that is carried from step to step; the model has none")
        with torch.no_grad():
            self.backward = self._backward_outputs()
        with torch.enable_grad():
            self.states, self.features = self._run()

    @property
    def followed(self) -> list[bool]:
        """For each tensor of a state, whether it belongs to s_t."""
        return [is_differentiable(leaf) for leaf in leaves(self.like)]

    @property
    def state_size(self) -> int:
        """S, the number of numbers in s_t of one sequence."""
        return as_vectors(self.states[0]).shape[1]

    def step(self, x: Tensor, s: Tensor, backward: list[Tensor]) -> Tensor:
        """Return s_t = F(x_t, s_{t−1}) as vectors ``[rows, S]``, for a state that belongs to s_t as a whole.

        Args:
            x: x_t, ``[rows, input_size]``.
            s: s_{t−1}, ``[rows, S]``.
            backward: the output of each layer's backward direction at this step, ``[rows, 0]`` where it has none.
        """
        return as_vectors(leaves(self._step(x, from_vectors(s, self.like), backward)[1]))

    def _step(self, x: Tensor, states: list[Any], backward: list[Tensor]) -> tuple[Tensor, list[Any]]:
        """Return the features for the decoder, and the state of each layer."""
        features, after = x, []
        for cell, before, backward_output in zip(self.forwards, states, backward, strict=True):
            output, state = cell.step(features, before)
            after.append(state)
            features = torch.cat([output, backward_output], dim=1) if backward_output.numel() else output
        return features, after

    def _run(self) -> tuple[list[list[Tensor]], Tensor]:
        """Return s_0 … s_T, and the features for the decoder at each step that answers, ``[batch, time, features]``."""
        state, followed = map_state(_cut, self.like), self.followed
        states, features_by_step = [_with_gradient(state)], []
        for x, *backward in zip(self.inputs.unbind(1), *(outputs.unbind(1) for outputs in self.backward), strict=True):
            features, after = self._step(x, state, backward)
            if [is_differentiable(leaf) for leaf in leaves(after)] != followed:
                raise InputError("gradient flow needs a state that keeps its types; a step returned other ones")
            state = map_state(_cut, after)
            features_by_step.append(features)
            states.append(_with_gradient(state))
        return states, torch.stack(features_by_step[self.model.delay :], dim=1)

    def _backward_outputs(self) -> list[Tensor]:
        """Return the outputs of the backward direction of each layer, ``[batch, time, output_size or 0]``."""
        features, backward = self.inputs, []
        for layer in self.model.layers:
            empty = features.new_zeros(*features.shape[:2], 0)
            backward.append(Cell.forward(layer[1], features.flip(1))[0].flip(1) if len(layer) > 1 else empty)
            if len(layer) > 1:
                features = torch.cat([Cell.forward(layer[0], features)[0], backward[-1]], dim=2)
        return backward


def as_vectors(tensors: Sequence[Tensor]) -> Tensor:
    """Return a state's tensors as one vector per sequence, ``[batch, S]``; a complex number becomes its two parts."""
    return torch.cat([_real(tensor).reshape(len(tensor), -1).double() for tensor in tensors], dim=1)


def from_vectors(vectors: Tensor, like: Any) -> Any:
    """Return the state of vectors ``[rows, S]``, with the structure of ``like``: the inverse of ``as_vectors``."""
    shapes = [_real(leaf).shape[1:] for leaf in leaves(like)]
    parts = iter(torch.split(vectors, [shape.numel() for shape in shapes], dim=1))

    def filled(leaf: Tensor) -> Tensor:
        part = next(parts).reshape(-1, *_real(leaf).shape[1:])
        return torch.complex(part[..., 0], part[..., 1]) if leaf.is_complex() else part

    return map_state(filled, like)


def _cut(leaf: Tensor) -> Tensor:
    """Return the same numbers as a tensor of its own, with respect to which derivatives can be taken."""
    return leaf.view_as(leaf) if leaf.requires_grad else leaf.detach().requires_grad_(is_differentiable(leaf))


def _with_gradient(state: Any) -> list[Tensor]:
    return [leaf for leaf in leaves(state) if leaf.requires_grad]


def _real(leaf: Tensor) -> Tensor:
    return torch.view_as_real(leaf) if leaf.is_complex() else leaf
