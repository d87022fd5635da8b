"""The newer cells against the code of others: packages of the group ``oracles``, torch, or a loop by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.nn.functional import layer_norm, linear, scaled_dot_product_attention
from torch.nn.utils.parametrizations import orthogonal
from torch.testing import assert_close

from suite.architectures import Cell
from suite.architectures.attention import Attention
from suite.architectures.echo_state import EchoState
from suite.architectures.gru import GRU
from suite.architectures.indrnn import IndRNN
from suite.architectures.lstm import LSTM
from suite.architectures.orthogonal_rnn import OrthogonalRNN
from suite.architectures.tcn import TCN
from tests.helpers import leaves, map_state

BATCH, TIME, INPUT, HIDDEN = 3, 40, 6, 12
CLOSE = {"rtol": 1e-10, "atol": 1e-10}
SINGLE = {"rtol": 1e-5, "atol": 1e-5}
"""x-transformers calculates its softmax in single precision."""


def randomised(module: Any) -> Any:
    """The module in double precision with every parameter random."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def gradients(outputs: Tensor, sources: Iterable[Tensor]) -> list[Tensor]:
    """The gradients of one fixed mixture of outputs."""
    weights = torch.randn(outputs.shape, dtype=outputs.dtype, generator=torch.Generator().manual_seed(1))
    return list(torch.autograd.grad((outputs * weights).sum(), list(sources)))


def assert_all_close(ours: Iterable[Tensor], theirs: Iterable[Tensor], **tolerance: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other.view_as(one), **(tolerance or CLOSE))


# attention -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("positions", ["none", "rope", "alibi"])
def test_attention_is_that_of_x_transformers(positions: Any, heads: int) -> None:
    theirs = pytest.importorskip("x_transformers.x_transformers", reason="x-transformers is not installed")
    cell = randomised(Attention(INPUT, HIDDEN, heads=heads, positions=positions))
    oracle = theirs.Attention(dim=INPUT, dim_head=HIDDEN // heads, heads=heads, causal=True).double()
    oracle.to_out = nn.Identity()
    maps = [oracle.to_q, oracle.to_k, oracle.to_v]
    with torch.no_grad():
        for part, W in zip(maps, cell.W.chunk(3), strict=True):
            part.weight.copy_(W)
    given: dict[str, Any] = {}
    if positions == "rope":
        given["rotary_pos_emb"] = theirs.RotaryEmbedding(HIDDEN // heads).double()(torch.arange(TIME))
    if positions == "alibi":
        given["rel_pos"] = theirs.AlibiPositionalBias(heads).double()
    inputs = random(BATCH, TIME, INPUT).requires_grad_()
    expected = oracle(inputs, **given)
    outputs, _ = cell(inputs)
    assert_close(outputs, expected, **SINGLE)
    dx, dW = gradients(outputs, [inputs, cell.W])
    expected_dx, *expected_dW = gradients(expected, [inputs, *(part.weight for part in maps)])
    assert_all_close([dx, dW], [expected_dx, torch.cat(expected_dW)], **SINGLE)


@pytest.mark.parametrize("window", [0, 1, 7, TIME])
@pytest.mark.parametrize("before", [0, 5])
def test_attention_is_torchs_with_a_mask(window: int, before: int) -> None:
    cell = randomised(Attention(INPUT, HIDDEN, window=window))
    inputs = random(BATCH, before + TIME, INPUT)
    q, k, v = (linear(inputs, W).unflatten(2, (4, -1)).transpose(1, 2) for W in cell.W.chunk(3))
    lag = torch.arange(before + TIME)[:, None] - torch.arange(before + TIME)
    seen = (lag >= 0) & (lag < (window or before + TIME))
    expected = scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2)
    _, state = cell(inputs[:, :before]) if before else (None, None)
    outputs, _ = cell(inputs[:, before:], state)
    assert_close(outputs, expected[:, before:], **CLOSE)
    assert_all_close(gradients(outputs, [cell.W]), gradients(expected[:, before:], [cell.W]))


# convolutions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("input_size", "kernel", "levels"), [(INPUT, 3, 4), (HIDDEN, 2, 3)])
def test_the_tcn_is_that_of_pytorch_tcn(input_size: int, kernel: int, levels: int) -> None:
    theirs = pytest.importorskip("pytorch_tcn", reason="pytorch-tcn is not installed")
    cell = randomised(TCN(input_size, HIDDEN, kernel=kernel, levels=levels))
    oracle = theirs.TCN(
        input_size, [HIDDEN] * levels, kernel_size=kernel, dropout=0.0, causal=True, input_shape="NLC"
    ).double()
    blocks = list(oracle.network)
    their_convolutions = [part for block in blocks for part in (block.conv1, block.conv2)]
    pairs = [
        pair
        for ours, other in zip(cell.convolutions, their_convolutions, strict=True)
        for pair in (
            (ours.g, other.parametrizations.weight.original0, lambda g: g.view(-1, 1, 1)),
            (ours.v, other.parametrizations.weight.original1, lambda v: v.transpose(1, 2)),
            (ours.b, other.bias, lambda b: b),
        )
    ]
    if input_size != HIDDEN:
        down = blocks[0].downsample
        pairs += [(cell.R, down.weight, lambda R: R.unsqueeze(2)), (cell.r, down.bias, lambda r: r)]
    with torch.no_grad():
        for ours, other, change in pairs:
            other.copy_(change(ours))
    inputs = random(BATCH, TIME, input_size).requires_grad_()
    outputs, expected = cell(inputs)[0], oracle(inputs)
    assert_close(outputs, expected, **CLOSE)
    dx, *ours = gradients(outputs, [inputs, *(pair[0] for pair in pairs)])
    expected_dx, *other = gradients(expected, [inputs, *(pair[1] for pair in pairs)])
    assert_close(dx, expected_dx, **CLOSE)
    assert_all_close([pair[2](gradient) for pair, gradient in zip(pairs, ours, strict=True)], other)


# simple recurrent nets -----------------------------------------------------------------------------------------------


def test_the_orthogonal_matrix_is_that_of_torch_and_modrelu_is_as_published() -> None:
    cell = randomised(OrthogonalRNN(INPUT, HIDDEN))
    oracle = orthogonal(
        nn.Linear(HIDDEN, HIDDEN, bias=False).double(), orthogonal_map="matrix_exp", use_trivialization=False
    )
    original = oracle.parametrizations.weight.original  # Its lower triangle X gives exp(X − Xᵀ).
    above = torch.triu_indices(HIDDEN, HIDDEN, 1)
    with torch.no_grad():
        original.zero_()
        original[above[1], above[0]] = -cell.A
    assert_close(cell.orthogonal(), oracle.weight, **CLOSE)
    inputs, h = random(BATCH, TIME, INPUT).requires_grad_(), random(BATCH, HIDDEN)
    states, U = [h], oracle.weight
    for x in inputs.unbind(1):
        a = x @ cell.W.T + states[-1] @ U.T
        states.append(torch.where(a.abs() + cell.b > 0, (a.abs() + cell.b) * a / a.abs(), 0.0))
    expected, (outputs, _) = torch.stack(states[1:], dim=1), cell(inputs, h)
    assert_close(outputs, expected, **CLOSE)
    *ours, dA = gradients(outputs, [inputs, cell.W, cell.b, cell.A])
    *theirs, dX = gradients(expected, [inputs, cell.W, cell.b, original])
    assert_all_close([*ours, dA], [*theirs, -dX[above[1], above[0]]])


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
def test_the_indrnn_is_that_of_torchrecurrent(nonlinearity: Any) -> None:
    theirs = pytest.importorskip("torchrecurrent", reason="torchrecurrent is not installed")
    cell = randomised(IndRNN(INPUT, HIDDEN, nonlinearity=nonlinearity))
    phi = getattr(torch, nonlinearity)
    oracle = theirs.IndRNN(INPUT, HIDDEN, batch_first=True, nonlinearity=phi, recurrent_bias=False, dtype=torch.float64)
    their_cell = oracle.cells[0]
    with torch.no_grad():
        for other, own in ((their_cell.weight_ih, cell.W), (their_cell.vector_u, cell.u), (their_cell.bias_ih, cell.b)):
            other.copy_(own)
    inputs, h = random(BATCH, TIME, INPUT).requires_grad_(), random(BATCH, HIDDEN)
    expected, expected_last = oracle(inputs, h.unsqueeze(0))
    outputs, last = cell(inputs, h)
    assert_all_close([outputs, last], [expected, expected_last])
    theirs_by_name = [their_cell.weight_ih, their_cell.vector_u, their_cell.bias_ih]
    assert_all_close(
        gradients(outputs, [inputs, cell.W, cell.u, cell.b]), gradients(expected, [inputs, *theirs_by_name])
    )


@pytest.mark.parametrize("leak", [1.0, 0.3])
def test_the_reservoir_is_that_of_reservoirpy(leak: float) -> None:
    nodes = pytest.importorskip("reservoirpy.nodes", reason="reservoirpy is not installed")
    cell = EchoState(INPUT, 50, leak=leak).double()
    U = torch.zeros(50, 50, dtype=torch.float64).scatter_add(1, cell.get_buffer("sources"), cell.U)
    oracle = nodes.Reservoir(
        W=U.numpy(), Win=cell.W.numpy(), bias=torch.zeros(50, dtype=torch.float64).numpy(), lr=leak, activation="tanh"
    )
    inputs = random(1, TIME, INPUT)
    outputs, _ = cell(inputs)
    assert_close(outputs[0], torch.from_numpy(oracle.run(inputs[0].numpy())), **CLOSE)


# layer norm ----------------------------------------------------------------------------------------------------------


def assert_is_the_loop(cell: Cell[Any], loop: Callable[[Tensor, Any], tuple[Tensor, Any]], state: Any) -> None:
    """Compare outputs, last states and all gradients of a cell with those of a step by hand."""
    inputs = random(BATCH, TIME, INPUT).requires_grad_()
    sources = [inputs, *leaves(map_state(lambda leaf: leaf.requires_grad_(), state)), *cell.parameters()]
    outputs, last = cell(inputs, state)
    expected, steps = state, []
    for x in inputs.unbind(1):
        y, expected = loop(x, expected)
        steps.append(y)
    assert_all_close([outputs, *leaves(last)], [torch.stack(steps, dim=1), *leaves(expected)])
    assert_all_close(gradients(outputs, sources), gradients(torch.stack(steps, dim=1), sources))


def test_the_lstm_with_layer_norm_is_that_of_ba_kiros_and_hinton() -> None:
    cell = randomised(LSTM(INPUT, HIDDEN, layer_norm=True))
    share = random(2, 4 * HIDDEN)  # The source has three biases, of which only the sum counts.

    def loop(x: Tensor, state: Any) -> tuple[Tensor, Any]:
        h, c = state
        of_h = layer_norm(linear(h, cell.U), [4 * HIDDEN], cell.gain_h, share[0])
        of_x = layer_norm(linear(x, cell.W), [4 * HIDDEN], cell.gain_x, share[1])
        i, f, g, o = (of_h + of_x + (cell.b - share[0] - share[1])).chunk(4, dim=1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(layer_norm(c, [HIDDEN], cell.gain_c, cell.b_c))
        return h, (h, c)

    assert_is_the_loop(cell, loop, (random(BATCH, HIDDEN), random(BATCH, HIDDEN)))


@pytest.mark.parametrize("reset", ["before", "after", "none"])
def test_the_gru_with_layer_norm_is_that_of_ba_kiros_and_hinton(reset: Any) -> None:
    cell = randomised(GRU(INPUT, HIDDEN, reset=reset, layer_norm=True))
    gates = (1 if reset == "none" else 2) * HIDDEN

    def norm(a: Tensor, gain: Tensor) -> Tensor:
        mean, variance = a.mean(1, keepdim=True), a.var(1, correction=0, keepdim=True)
        return gain * (a - mean) / (variance + 1e-5).sqrt()

    def loop(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        a = norm(x @ cell.W[:gates].T, cell.gain_x[:gates]) + norm(h @ cell.U[:gates].T, cell.gain_h[:gates])
        r, z = sigmoid(a + cell.b[:gates]).split([gates - HIDDEN, HIDDEN], dim=1)
        r = r if reset != "none" else torch.ones_like(z)
        n = norm(x @ cell.W[gates:].T, cell.gain_x[gates:]) + cell.b[gates:]
        if reset == "after":
            n = tanh(n + r * (norm(h @ cell.U[gates:].T, cell.gain_h[gates:]) + cell.b_h))
            h = (1 - z) * n + z * h
        else:
            n = tanh(n + norm((r * h) @ cell.U[gates:].T, cell.gain_h[gates:]))
            h = (1 - z) * h + z * n
        return h, h

    assert_is_the_loop(cell, loop, random(BATCH, HIDDEN))
