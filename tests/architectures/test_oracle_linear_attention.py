"""Linear attention against the reference loops of flash-linear-attention, which work in single precision."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear, logsigmoid, softplus

from suite import kernels
from suite.architectures import Cell
from suite.architectures.linear_attention import LinearAttention
from tests.architectures.comparing import assert_same, results
from tests.architectures.fla_naive import naive

BATCH, TIME, INPUT, HIDDEN, HEADS = 3, 50, 6, 24, 4


def parts(cell: LinearAttention, x: Tensor) -> list[Tensor]:
    """q, k and v, ``[batch, time, heads, d]``."""
    return [part.unflatten(2, (HEADS, -1)) for part in linear(x, cell.W).chunk(3, dim=2)]


def gla(cell: LinearAttention, x: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    q, k, v = parts(cell, x)
    gate = logsigmoid(linear(linear(x, cell.W_1), cell.W_2, cell.b)) / 16
    run = naive("gla").naive_recurrent_gla
    o, S = run(q, k, v, gk=gate.unflatten(2, (HEADS, -1)), initial_state=S, output_final_state=True)
    return o.flatten(2), S


def simple(cell: LinearAttention, x: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """With the state space duality of Mamba-2 in its own terms: X = Δ x and A = Δ A, where A is negative."""
    q, k, v = parts(cell, x)
    g = x.new_zeros(*x.shape[:2], HEADS)
    if cell.decay == "fixed":
        g = g + torch.log(1 - 2.0 ** -torch.arange(5.0, 5 + HEADS))
    if cell.A_log is not None:
        step = softplus(linear(x, cell.W_step, cell.b))
        g, v = -cell.A_log.exp() * step, v * step.unsqueeze(3)
    o, S = naive("simple_gla").naive_recurrent_simple_gla(q, k, v, g=g, initial_state=S, output_final_state=True)
    return o.flatten(2), S


@pytest.mark.parametrize("path", ["fused", "definition", "parallel"])
@pytest.mark.parametrize("decay", ["none", "fixed", "gated", "scalar"])
@pytest.mark.parametrize("from_zero", [True, False], ids=["from_zero", "from_a_state"])
def test_all_decays_are_those_of_flash_linear_attention(
    decay: Any, from_zero: bool, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMSPAN_KERNELS", {"fused": "1", "definition": "0"}.get(path, path))
    cell = LinearAttention(INPUT, HIDDEN, heads=HEADS, decay=decay)
    assert kernels.path(cell) == path
    oracle = gla if decay == "gated" else simple
    S = torch.zeros(BATCH, HEADS, 6, 6) if from_zero else torch.randn(BATCH, HEADS, 6, 6)
    inputs = torch.randn(BATCH, TIME, INPUT)
    ours = results(cell, cell, inputs, [S])
    assert_same(ours, results(cell, lambda x, S: oracle(cell, x, S), inputs, [S]))


def test_the_fixed_decays_are_those_of_retention() -> None:
    cell = LinearAttention(INPUT, HIDDEN, heads=HEADS, decay="fixed")
    inputs = torch.randn(BATCH, TIME, INPUT)
    q, k, v = (part.transpose(1, 2) for part in parts(cell, inputs))
    expected = naive("retention").naive_retention(q, k, v).transpose(1, 2).flatten(2)
    assert_same([cell(inputs)[0]], [expected])


def test_decays_are_kept_as_logarithms() -> None:
    """A decay may be 0 in single precision, and its gradient is finite."""
    cell = LinearAttention(INPUT, HIDDEN, decay="scalar")
    inputs = 1e4 * torch.randn(BATCH, TIME, INPUT)
    log_alpha, _ = cell._gates(inputs)
    assert log_alpha is not None
    assert (log_alpha <= 0).all()
    assert log_alpha.isfinite().all()
    assert log_alpha.exp().eq(0).any()
    cell(inputs)[0].sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in cell.parameters() if parameter.grad is not None)


def test_the_first_decays_are_those_of_the_sources() -> None:
    heads = 512
    cell = LinearAttention(1, heads, heads=heads, decay="scalar")
    assert cell.A_log is not None
    assert cell.b is not None
    A, step = cell.A_log.exp().detach(), softplus(cell.b).detach()
    assert A.min() >= 1
    assert A.max() <= 16
    assert abs(A.mean() - 8.5) < 0.6
    assert step.min() >= 0.999e-3
    assert step.max() <= 0.1001
    assert abs(step.log().mean() - torch.tensor(0.01).log()) < 0.2
    gated = LinearAttention(INPUT, HIDDEN, decay="gated")._gates(torch.zeros(1, INPUT))[0]
    assert gated is not None
    assert torch.allclose(gated.exp(), torch.tensor(0.5 ** (1 / 16)))
    fixed = LinearAttention(INPUT, HIDDEN, decay="fixed")._gates(torch.zeros(1, INPUT))[0]
    assert fixed is not None
    assert fixed.exp().tolist() == pytest.approx([1 - 2**-5, 1 - 2**-6, 1 - 2**-7, 1 - 2**-8])


@pytest.mark.parametrize(("heads", "accepted"), [(0, 1), (5, 5), (-1, 1)])
def test_heads_that_do_not_divide_are_refused(heads: int, accepted: int) -> None:
    with pytest.raises(
        ValueError, match=rf"heads must divide hidden_size; got heads = {heads} .* multiple of {accepted}$"
    ):
        LinearAttention(INPUT, 24, heads=heads)


def test_a_query_is_answered_with_the_value_under_its_key() -> None:
    cell = LinearAttention(4, 4, heads=1)
    keys, values = torch.eye(4), 3 * torch.eye(4).roll(1, 0)
    with torch.no_grad():
        cell.W.copy_(torch.cat([sqrt(4) * keys, keys, values]))
    outputs, _ = cell(torch.eye(4).unsqueeze(0))
    assert torch.allclose(outputs[0], values.t())


@pytest.mark.parametrize("heads", [1, 2, 3, 6])
def test_any_number_of_heads(heads: int) -> None:
    cell = LinearAttention(INPUT, 24, heads=heads, decay="gated")
    inputs = torch.randn(BATCH, 20, INPUT)
    assert torch.allclose(cell(inputs)[0], Cell.forward(cell, inputs)[0], atol=1e-5)
