"""A model as one function of its whole state, s_t = F(x_t, s_{t−1}), by the definition of its cells and in float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import compress
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from suite.architectures import Cell, Layer
from suite.errors import InputError
from suite.model.copying import copy_of
from suite.model.sequence_model import SequenceModel, run_layer
from suite.model.states import as_real, grows, in_double, is_differentiable, leaves, map_state

NO_STATE = "gradient flow through the state needs a state of constant size that is carried from step to step"


class Scan:
    """The inputs x_t, the states s_0 … s_T and the features of a model on a batch, for derivatives of one by another.

    s_t holds the states of all layers as a list of tensors, ``[batch, ...]`` each. As vectors, ``[batch, S]``, a
    complex number counts as two (``as_vectors``). Whole numbers in a state, such as a counter, are carried on but have
    no derivatives and are not part of s_t. Neither are tensors that are only copied, such as a dropout mask, because
    they remember nothing. The output of step t does not depend on s_t: only the steps after t do, as in F. In a
    bidirectional model s_t holds the forward directions alone. The outputs of the backward directions depend on the
    inputs, and not on s_t.

    The model is copied and run by ``step``, never by a kernel, and in evaluation mode (without dropout). With a delay,
    the zeros after the inputs are steps as well, and T counts them. A model without a state of constant size, such as
    one with a layer without a step or with attention, is run by ``forward`` and has no s_t.

    Args:
        model: the model, which stays as it is.
        inputs: ``[batch, time, input_size]``.

    Raises:
        InputError: if a tensor of the state is not ``[batch, ...]``, or changes its shape or type without notice.
    """

    def __init__(self, model: SequenceModel, inputs: Tensor) -> None:
        self.model = copy_of(model).to(inputs.device).double().eval().requires_grad_(False)
        self.inputs = inputs.detach().double().clone().requires_grad_()
        self.forwards = [layers[0] for layers in self.model.layers]
        self.states: list[list[Tensor]] = []
        """s_0 … s_T, or nothing if the model has no state of constant size."""
        self.is_whole = False
        """True if every tensor of the state belongs to s_t."""
        with torch.enable_grad():
            self.encoded = self.model.encoder(pad(self.inputs, (0, 0, 0, model.delay)))
            """What the first block reads at each step, ``[batch, T, features]``."""
            cells = [layer for layer in self.forwards if isinstance(layer, Cell)]
            self.like = [self._initial_state(cell) for cell in cells]
            has_derivatives = any(map(is_differentiable, leaves(self.like)))
            if len(cells) < len(self.forwards) or grows(self.like) or not has_derivatives:
                return
            every_state, self.features = self._run()
            kept = [not _only_copied(every_state, place) for place in range(len(every_state[0]))]
        if any(kept):
            self.states = [list(compress(state, kept)) for state in every_state]
            self.is_whole = all(kept) and all(map(is_differentiable, leaves(self.like)))

    def check_states(self) -> None:
        """Check that there are states with derivatives.

        Raises:
            InputError: if there are none.
        """
        if not self.states:
            raise InputError(f"{NO_STATE}; the model has none (measure the gradient from output to input instead)")

    def _initial_state(self, layer: Layer) -> Any:
        """Return the initial state in double precision. A cell whose numbers are all buffers makes it in another."""
        return in_double(layer.initial_state(len(self.inputs))) if isinstance(layer, Cell) else ()

    @property
    def state_size(self) -> int:
        """S, the number of numbers in s_t of one sequence."""
        return as_vectors(self.states[0]).shape[1]

    def step(self, x: Tensor, s: Tensor, backward: list[Tensor]) -> Tensor:
        """Return s_t = F(x_t, s_{t−1}) as vectors ``[rows, S]``, for a state that belongs to s_t as a whole.

        Args:
            x: the encoded x_t, ``[rows, features]``.
            s: s_{t−1}, ``[rows, S]``.
            backward: the output of each layer's backward direction at this step, ``[rows, 0]`` where it has none.
        """
        return as_vectors(leaves(self._step(x, from_vectors(s, self.like), backward)[1]))

    def _step(self, x: Tensor, states: list[Any], backward: list[Tensor]) -> tuple[Tensor, list[Any]]:
        """Return the features for the decoder, and the state of each layer."""
        features, after = x, []
        layers = zip(self.forwards, self.model.blocks, states, backward, strict=True)
        for cell, block, before, backward_output in layers:
            assert isinstance(cell, Cell)
            output, state = cell.step(block.before(features), before)
            after.append(state)
            outputs = torch.cat([output, backward_output], dim=1) if backward_output.numel() else output
            features = block.after(features, outputs)
        return features, after

    def _run(self) -> tuple[list[list[Tensor]], Tensor]:
        """Return s_0 … s_T, and the features for the decoder at each step that answers, ``[batch, time, features]``."""
        state, form = map_state(_cut, self.like), _form(self.like)
        if any(shape[:1] != (len(self.inputs),) for shape, _ in form):
            raise InputError(f"gradient flow needs a state whose tensors are [batch, …]; got {_text(form)}")
        states, features_by_step = [_with_gradient(state)], []
        for x, *backward in zip(self.encoded.unbind(1), *(outputs.unbind(1) for outputs in self.backward), strict=True):
            features, after = self._step(x, state, backward)
            if _form(after) != form:
                raise InputError(
                    f"gradient flow needs a state that keeps its shapes and types; a step made {_text(_form(after))} "
                    f"of {_text(form)} (a tensor that grows begins as [batch, 0, …])"
                )
            state = map_state(_cut, after)
            features_by_step.append(features)
            states.append(_with_gradient(state))
        return states, torch.stack(features_by_step[self.model.delay :], dim=1)

    @cached_property
    def features(self) -> Tensor:
        """The features for the decoder at each step that answers, ``[batch, time, features]``.

        They are those of the steps, and those of ``forward`` of the layers where there is no s_t.
        """
        features: Tensor = self.encoded
        with torch.enable_grad():
            for layer, block, backward_outputs in zip(self.forwards, self.model.blocks, self.backward, strict=True):
                outputs = run_layer(layer, block.before(features), self._initial_state(layer))[0]
                features = block.after(features, torch.cat([outputs, backward_outputs], dim=2))
        return features[:, self.model.delay :]

    @cached_property
    def backward(self) -> list[Tensor]:
        """The outputs of the backward direction of each layer, ``[batch, T, output_size or 0]``."""
        with torch.enable_grad():
            return self._backward_outputs()

    def _backward_outputs(self) -> list[Tensor]:
        features, backward = self.encoded, []
        for layers, block in zip(self.model.layers, self.model.blocks, strict=True):
            read = block.before(features)
            backward.append(read.new_zeros(*read.shape[:2], 0))
            if len(layers) > 1:
                backward[-1] = self._scan(layers[1], read.flip(1)).flip(1)
                features = block.after(features, torch.cat([self._scan(layers[0], read), backward[-1]], dim=2))
        return backward

    def _scan(self, layer: Layer, features: Tensor) -> Tensor:
        if isinstance(layer, Cell):
            return Cell.forward(layer, features, self._initial_state(layer))[0]
        outputs: Tensor = layer(features)
        return outputs


def has_state(model: SequenceModel, inputs: Tensor) -> bool:
    """Tell whether a model carries a state of constant size through these inputs, of which it has derivatives."""
    return bool(Scan(model, inputs).states)


def as_vectors(tensors: Sequence[Tensor]) -> Tensor:
    """Return a state's tensors as one vector per sequence, ``[batch, S]``; a complex number becomes its two parts."""
    return torch.cat([as_real(tensor).reshape(len(tensor), -1).double() for tensor in tensors], dim=1)


def from_vectors(vectors: Tensor, like: Any) -> Any:
    """Return the state of vectors ``[rows, S]``, with the structure of ``like``: the inverse of ``as_vectors``."""
    shapes = [as_real(leaf).shape[1:] for leaf in leaves(like)]
    parts = iter(torch.split(vectors, [shape.numel() for shape in shapes], dim=1))

    def filled(leaf: Tensor) -> Tensor:
        part = next(parts).reshape(-1, *as_real(leaf).shape[1:])
        return torch.complex(part[..., 0], part[..., 1]) if leaf.is_complex() else part

    return map_state(filled, like)


def _cut(leaf: Tensor) -> Tensor:
    """Return the same numbers as a tensor of its own, with respect to which derivatives can be taken."""
    return leaf.view_as(leaf) if leaf.requires_grad else leaf.detach().requires_grad_(is_differentiable(leaf))


def _with_gradient(state: Any) -> list[Tensor]:
    return [leaf for leaf in leaves(state) if leaf.requires_grad]


def _only_copied(states: Sequence[Sequence[Tensor]], place: int) -> bool:
    """Tell whether a tensor of a state never changes, and a step does nothing but hand it on."""
    first, second = states[0], states[1][place]
    if not all(torch.equal(state[place], first[place]) for state in states):
        return False
    gradients = torch.autograd.grad(as_real(second).sum(), first, retain_graph=True, allow_unused=True)
    own, others = gradients[place], (*gradients[:place], *gradients[place + 1 :])
    is_handed_on = own is None or bool((as_real(own) == 1).all())
    return is_handed_on and not any(other is not None and other.any() for other in others)


def _form(state: Any) -> list[tuple[torch.Size, bool]]:
    """Return the shape of each tensor of a state, and whether it has derivatives."""
    return [(leaf.shape, is_differentiable(leaf)) for leaf in leaves(state)]


def _text(form: list[tuple[torch.Size, bool]]) -> str:
    parts = [f"{list(shape)}{'' if is_differentiable else ' of whole numbers'}" for shape, is_differentiable in form]
    return " and ".join(parts) or "nothing"
