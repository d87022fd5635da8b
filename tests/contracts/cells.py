"""Cells as people write them: first those that keep their contract, then those that break one rule each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from suite.architectures import Cell


class Plain(Cell[Any]):
    """A small recurrent net, which the others change."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.map = nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size: int) -> Any:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Any) -> Any:
        h = torch.tanh(self.map(torch.cat([x, state], dim=1)))
        return h, h


# These keep the contract. ---------------------------------------------------------------------------------------------


class Reservoir(Plain):
    """All of its numbers are buffers, and NumPy has scaled them."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super(Plain, self).__init__(input_size, hidden_size)
        self.register_buffer("W", torch.randn(hidden_size, input_size))
        U = torch.randn(hidden_size, hidden_size)
        radius = np.abs(np.linalg.eigvals(U.numpy())).max()
        self.register_buffer("U", U * (0.9 / radius.item()))

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = torch.tanh(x @ self.W.T + state @ self.U.T)  # type: ignore[operator]
        return h, h


class OrthogonalMap(Plain):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super(Plain, self).__init__(input_size, hidden_size)
        self.enter = nn.Linear(input_size, hidden_size)
        self.stay = nn.utils.parametrizations.orthogonal(nn.Linear(hidden_size, hidden_size, bias=False))

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = torch.tanh(self.enter(x) + self.stay(state))
        return h, h


class OldWeightNorm(Plain):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.map = nn.utils.weight_norm(self.map)  # type: ignore[no-untyped-call]


class Dropped(Plain):
    """Carries the mask of its dropout, which a step only copies."""

    def initial_state(self, batch_size: int) -> Any:
        h = self.zeros(batch_size, self.hidden_size)
        return h, dropout(torch.ones_like(h), 0.3, self.training)

    def step(self, x: Tensor, state: Any) -> Any:
        h, mask = state
        h = super().step(x, h * mask)[0]
        return h, (h, mask.clone())


class AlwaysNoisy(Plain):
    """Draws random numbers in evaluation mode too."""

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0] + 0.1 * torch.randn_like(state)
        return h, h


class Normalised(Plain):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.norm = nn.BatchNorm1d(hidden_size)

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = self.norm(super().step(x, state)[0])
        return h, h


class Rotating(Plain):
    """Has a complex state and a counter."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super(Plain, self).__init__(input_size, hidden_size)
        self.angle = nn.Parameter(torch.rand(hidden_size))
        self.enter = nn.Linear(input_size, hidden_size)

    def initial_state(self, batch_size: int) -> Any:
        return torch.zeros(batch_size, self.hidden_size, dtype=torch.complex64), torch.zeros(
            batch_size, dtype=torch.long
        )

    def step(self, x: Tensor, state: Any) -> Any:
        z = torch.polar(torch.ones_like(self.angle), self.angle) * state[0] + self.enter(x)
        return z.real + z.imag, (z, state[1] + 1)


class Growing(Plain):
    """Takes the mean over a cache that grows."""

    def initial_state(self, batch_size: int) -> Any:
        return self.zeros(batch_size, 0, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, self.zeros(len(x), self.hidden_size))[0]
        cache = torch.cat([state, h.unsqueeze(1)], dim=1)
        return cache.mean(1), cache


GOOD = (Plain, Reservoir, OrthogonalMap, OldWeightNorm, Dropped, AlwaysNoisy, Normalised, Rotating, Growing)


# These break it. ------------------------------------------------------------------------------------------------------


class Wrapped(Plain):
    """Wraps a torch.nn.GRU, whose batch_first was forgotten."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super(Plain, self).__init__(input_size, hidden_size)
        self.gru = nn.GRU(input_size, hidden_size)

    def step(self, x: Tensor, state: Tensor) -> Any:
        output, h = self.gru(x.unsqueeze(0), state.unsqueeze(0))
        return output[0], h[0]

    def forward(self, inputs: Tensor, state: Any = None) -> Any:
        outputs, h = self.gru(inputs)
        return outputs, h[0] if state is None else state


class WrappedWithState(Wrapped):
    """Gives torch.nn.GRU a state of the batch, which it takes for the time."""

    def forward(self, inputs: Tensor, state: Any = None) -> Any:
        outputs, h = self.gru(inputs, self.initial_state(len(inputs))[None] if state is None else state[None])
        return outputs, h[0]


class TimeFirst(Plain):
    """Gives its outputs as [time, batch, hidden]."""

    def forward(self, inputs: Tensor, state: Any = None) -> Any:
        outputs, last = super().forward(inputs, state)
        return outputs.transpose(0, 1), last


class LayersFirst(Plain):
    """Its state is [layers, batch, hidden], as in torch.nn."""

    def initial_state(self, batch_size: int) -> Any:
        return self.zeros(1, batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state[0])[0]
        return h, h.unsqueeze(0)


class Swelling(Plain):
    """Its state grows from one number to two, so it was not empty at the start."""

    def initial_state(self, batch_size: int) -> Any:
        return self.zeros(batch_size, 1, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, self.zeros(len(x), self.hidden_size))[0]
        cache = torch.cat([state, h.unsqueeze(1)], dim=1)
        return cache.mean(1), cache


class Wide(Plain):
    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0]
        return torch.cat([h, h], dim=1), h


class Alone(Plain):
    def step(self, x: Tensor, state: Tensor) -> Any:
        return super().step(x, state)[0]


class Mismatched(Plain):
    def step(self, x: Tensor, state: Tensor) -> Any:
        return self.map(x), state


class Named(Plain):
    def initial_state(self, batch_size: int) -> Any:
        return {"h": self.zeros(batch_size, self.hidden_size)}


class Double(Plain):
    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0]
        return h.double(), h


class Exploding(Plain):
    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0]
        return h / state.norm(), h


class Hoarding(Plain):
    """Keeps something in an attribute."""

    total: Any = 0.0

    def step(self, x: Tensor, state: Tensor) -> Any:
        self.total = self.total + 1.0
        h = super().step(x, state)[0]
        return h + self.total, h


class Faint(Plain):
    """Keeps a faint trace of the sequence before in an attribute."""

    last: Any = 0.0

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0]
        output = h + 1e-3 * self.last
        self.last = h.detach().mean()
        return output, h


class InPlace(Plain):
    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0].detach()
        state.copy_(h)
        return state.clone(), state


class Sloppy(Plain):
    """Its forward forgets the state that it is given."""

    def forward(self, inputs: Tensor, state: Any = None) -> Any:
        return super().forward(inputs, None)


class Prophet(Plain):
    """Its outputs are centred over time."""

    def forward(self, inputs: Tensor, state: Any = None) -> Any:
        outputs, last = super().forward(inputs, state)
        return outputs - outputs.mean(1, keepdim=True), last


class Sociable(Plain):
    """Subtracts the mean over the batch."""

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x - x.mean(0), state)[0]
        return h, h


class Cut(Plain):
    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0].detach()
        return h, h


class Rounded(Plain):
    """Its gradient is 0 everywhere."""

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0].sign()
        return h, h


class Reused(Plain):
    """Calculates from its parameters in the constructor, so that a second step of a training fails."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.doubled = self.map.weight.sin()

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = torch.tanh(torch.cat([x, state], dim=1) @ self.doubled.T)
        return h, h


class Unregistered(Plain):
    """Draws numbers that are neither parameters nor buffers."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.mask = (torch.rand(hidden_size) < 0.5).float() + torch.rand(hidden_size)

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0] * self.mask
        return h, h


class Quitting(Plain):
    def step(self, x: Tensor, state: Tensor) -> Any:
        raise SystemExit("no more")


BAD = {
    Wrapped: "Wrapped.forward gave a last state of [6, 4] float32; by step it is [3, 4] float32 (check batch_first)",
    WrappedWithState: "WrappedWithState.forward raised RuntimeError: Expected hidden size (1, 6, 4), got [1, 3, 4] (",
    TimeFirst: "TimeFirst.forward gave outputs of [6, 3, 4] float32; from inputs [3, 6, 2] float32 they are [3, 6, 4], "
    "torch.float32 (check batch_first)",
    LayersFirst: "LayersFirst.initial_state(3) gave [1, 3, 4], and initial_state(1) gave [1, 1, 4]; every tensor",
    Swelling: "Swelling.step gave a state of [3, 2, 4] float32, and got [3, 1, 4] float32; a state keeps its shapes",
    Wide: "Wide.step gave an output of [3, 8] float32; output_size says [3, 4] for a batch of 3",
    Alone: "Alone.step gave [3, 4] float32; it returns a pair, the output and the next state",
    Mismatched: "Mismatched.step raised RuntimeError: mat1 and mat2 shapes cannot be multiplied (3x2 and 6x4) (line ",
    Named: "Named.initial_state raised InputError: a state must be a tensor or nested tuples of tensors; got dict",
    Double: "Double.step gave an output of torch.float64; from inputs of torch.float32 it has their type",
    Exploding: "Exploding.step gave numbers that are not finite",
    Hoarding: "Hoarding gave other outputs when it was called again; a cell keeps nothing in attributes",
    Faint: "Faint gave other outputs when it was called again; a cell keeps nothing in attributes",
    InPlace: "InPlace changed its inputs or its state in place",
    Sloppy: "Sloppy: a sequence cut in two gave other outputs than the whole",
    Prophet: "Prophet: an output depends on a later input",
    Sociable: "Sociable: a sequence gave other outputs alone than in a batch",
    Cut: "Cut: no gradient reaches any of its parameters",
    Rounded: "Rounded: no gradient reaches any of its parameters",
    Reused: "Reused.forward, taken back for the gradient, raised RuntimeError: Trying to backward through the graph a "
    "second time",
    Unregistered: "Unregistered: a new cell that loaded its state_dict gave other outputs",
    Quitting: "Quitting.step raised SystemExit: no more (line ",
}
"""What is said of each of them."""


# These break it where a short look does not see it. -------------------------------------------------------------------


class Unused(Plain):
    """Has a parameter that nothing uses."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.spare = nn.Parameter(torch.zeros(3))


class Late(Plain):
    """Its forward is another one from the eleventh step on."""

    def forward(self, inputs: Tensor, state: Any = None) -> Any:
        outputs, last = super().forward(inputs, state)
        return torch.cat([outputs[:, :10], 1.01 * outputs[:, 10:]], dim=1), last


SOURCE = torch.Generator()


class OwnDraws(Plain):
    """Drops units in training by a generator of its own."""

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0]
        if self.training:
            h = h * (torch.rand(h.shape, generator=SOURCE) < 0.5)
        return h, h


class OwnNoise(Plain):
    """Draws in evaluation too, by a generator of its own."""

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = super().step(x, state)[0] + torch.randn(state.shape, generator=SOURCE)
        return h, h


class SingleOnly(Plain):
    """Makes single precision of everything."""

    def step(self, x: Tensor, state: Tensor) -> Any:
        h = torch.tanh(self.map(torch.cat([x, state], dim=1).float()))
        return h, h


class OtherGradient(Plain):
    """Its forward gives the right numbers, and no gradient through time."""

    def forward(self, inputs: Tensor, state: Any = None) -> Any:
        state = self.initial_state(len(inputs)) if state is None else state
        outputs = []
        for x in inputs.unbind(1):
            output, state = self.step(x, state.detach())
            outputs.append(output)
        return torch.stack(outputs, dim=1), state


SUBTLE = {
    Unused: "Unused: no gradient reaches spare; make no parameter that is not used, or give it requires_grad_(False)",
    Late: "Late.forward gave other outputs, or another last state, than step gives one by one",
    OwnDraws: "OwnDraws, in training mode, gave other outputs from the same seed; it draws random numbers from torch's",
    OwnNoise: "OwnNoise gave other outputs when it was called again; a cell keeps nothing in attributes, and draws",
    SingleOnly: "SingleOnly.forward raised RuntimeError: mat1 and mat2 must have the same dtype",
    OtherGradient: "OtherGradient.forward has other gradients than step, one by one",
}
"""What a checkup says of each of them."""
