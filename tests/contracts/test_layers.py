"""Layers without a step, as people bring them: some keep the contract, and what breaks it is named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suite.architectures import Layer
from suite.contracts.look import cell_violations
from suite.diagnostics.gradients import gradient_flow, input_gradient, state_gradient
from suite.errors import InputError
from suite.experiment.loading import parse
from suite.model.sequence_model import SequenceModel, build_model
from suite.model.sizing import Budget, match_hidden_size, parameter_count, state_size
from suite.planning.plan import studies
from suite.registry import make_task


class WrappedGRU(Layer):
    """A torch.nn.GRU, whose state nobody hands on."""

    batch_first = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.gru = nn.GRU(input_size, hidden_size, batch_first=self.batch_first)

    def forward(self, inputs: Tensor) -> Any:
        return self.gru(inputs)[0]


class Transformer(Layer):
    """A causal transformer of torch's own parts, with two heads."""

    causal = True

    def __init__(self, input_size: int, hidden_size: int, *, heads: int = 2) -> None:
        super().__init__(input_size, hidden_size)
        if hidden_size % heads:
            raise ValueError(f"heads must divide hidden_size; got {heads} and {hidden_size}")
        self.enter = nn.Linear(input_size, hidden_size)
        self.encoder = nn.TransformerEncoderLayer(hidden_size, heads, 2 * hidden_size, dropout=0.0, batch_first=True)

    def forward(self, inputs: Tensor) -> Any:
        mask = nn.Transformer.generate_square_subsequent_mask(inputs.shape[1], dtype=inputs.dtype)
        return self.encoder(self.enter(inputs), src_mask=mask if self.causal else None)


class TimeFirst(WrappedGRU):
    batch_first = False


class Seer(Transformer):
    causal = False


class Pair(WrappedGRU):
    def forward(self, inputs: Tensor) -> Any:
        return self.gru(inputs)


class OverTheLength(WrappedGRU):
    """Divides by the number of steps."""

    def forward(self, inputs: Tensor) -> Any:
        return super().forward(inputs) / inputs.shape[1]


class Infinite(WrappedGRU):
    def forward(self, inputs: Tensor) -> Any:
        return super().forward(inputs) / 0


class Frozen(WrappedGRU):
    def forward(self, inputs: Tensor) -> Any:
        return super().forward(inputs).detach()


GOOD = (WrappedGRU, Transformer)
BAD = {
    TimeFirst: "TimeFirst: a sequence gave other outputs alone than in a batch",
    Seer: "Seer: an output depends on a later input",
    Pair: "Pair.forward gave the type tuple; from inputs [3, 6, 2] float32, the outputs of a Layer are one tensor",
    OverTheLength: "OverTheLength: the beginning of a sequence gave other outputs alone than in the whole",
    Infinite: "Infinite.forward gave numbers that are not finite",
    Frozen: "Frozen: no gradient reaches any of its parameters",
}


def name_of(cls: type[Layer]) -> str:
    return f"{cls.__module__}:{cls.__name__}"


@pytest.mark.parametrize("cls", GOOD)
def test_a_layer_that_keeps_its_contract_passes(cls: type[Layer]) -> None:
    assert cell_violations(name_of(cls), {}, 2, 4) == []


@pytest.mark.parametrize("cls", BAD)
def test_a_layer_that_breaks_its_contract_is_named_with_the_rule(cls: type[Layer]) -> None:
    found = [violation.message for violation in cell_violations(name_of(cls), {}, 2, 4)]
    assert any(message.startswith(f"{__name__}:{BAD[cls]}") for message in found), found


@pytest.mark.parametrize("cls", GOOD)
@pytest.mark.parametrize(
    "shape", [{}, {"depth": 2, "bidirectional": True}, {"block": "residual", "mixer": 1.0, "delay": 2}]
)
def test_a_layer_makes_a_model_whose_state_is_not_stated(cls: type[Layer], shape: dict[str, Any]) -> None:
    def make(size: int) -> SequenceModel:
        return build_model(name_of(cls), {}, 2, size, 3, **shape)

    hidden_size = match_hidden_size(Budget("parameters", 40_000), make)
    model = make(hidden_size)
    assert abs(parameter_count(model) - 40_000) <= 2000
    assert model(torch.randn(2, 7, 2))[0].shape == (2, 7, 3)
    assert state_size(model, 7) is None
    with pytest.raises(InputError, match="the size of its state is not stated, because a layer of it has no step"):
        match_hidden_size(Budget("state", 64), make)


@pytest.mark.parametrize("cls", GOOD)
def test_the_gradient_of_a_layer_is_that_from_output_to_input(cls: type[Layer]) -> None:
    model, inputs, generator = SequenceModel(cls, 2, 4, 1), torch.randn(3, 6, 2), torch.Generator()
    norms = input_gradient(model, inputs, generator.manual_seed(0))
    generator.manual_seed(0)
    directions = torch.randn(3, 1, dtype=torch.float64, generator=generator).sign()
    double = model.double().eval()
    x = inputs.double().requires_grad_()
    (gradient,) = torch.autograd.grad((double(x)[0][:, -1] * directions).sum(), x)
    assert torch.allclose(norms, gradient.norm(dim=2).T.flip(0))
    with pytest.raises(InputError, match="measure the gradient from output to input instead"):
        state_gradient(model.float(), inputs, generator)
    task = make_task("adding", {})
    flow = gradient_flow(SequenceModel(cls, 2, 4, 1), task, task.sample(4, 6, generator), generator)
    assert flow.state is None
    assert flow.loss is None
    assert flow.input.isfinite().all()


def test_heads_that_do_not_divide_are_refused_and_a_size_is_found_among_the_multiples() -> None:
    def tables(heads: int, **size: int) -> dict[str, Any]:
        own = {"architecture": name_of(Transformer), "heads": heads, **size}
        return {"tasks": {"adding": {"length": 8}}, "architectures": {"mine": own}}

    with pytest.raises(InputError, match="heads must divide hidden_size; got 3 and 8"):
        studies(parse(tables(3, hidden_size=8), "x"))
    (study,) = studies(parse(tables(3, parameters=3000), "x"))
    assert study.default_config.model.hidden_size % 3 == 0
    with pytest.raises(InputError, match="no hidden_size gives 9 parameters to within 5%; the nearest is 189"):
        studies(parse(tables(4, parameters=9), "x"))
