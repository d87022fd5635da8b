"""DeltaNet against the reference loops of flash-linear-attention, which work in single precision."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, sigmoid
from torch.nn.functional import conv1d, linear, silu, softplus

from suite import kernels
from suite.architectures.delta_net import DeltaNet
from tests.architectures.comparing import assert_same, results
from tests.architectures.fla_naive import naive

BATCH, TIME, INPUT, HIDDEN, HEADS = 3, 50, 6, 24, 4


def convolved(cell: DeltaNet, x: Tensor, before: Tensor) -> tuple[list[Tensor], Tensor]:
    """q, k and v ``[batch, time, heads, d]`` with q and k of length 1, by torch's convolution; and the window."""
    u = torch.cat([before, linear(x, cell.W).transpose(1, 2)], dim=2)
    y = silu(conv1d(u, cell.W_conv.unsqueeze(1), groups=len(cell.W_conv))).transpose(1, 2)
    q, k, v = (part.unflatten(2, (HEADS, -1)) for part in y.chunk(3, dim=2))
    q, k = (part / torch.sqrt(part.square().sum(3, keepdim=True) + 1e-6) for part in (q, k))
    return [q, k, v], u[:, :, x.shape[1] :]


def gates(cell: DeltaNet, x: Tensor) -> tuple[Tensor, Tensor]:
    """β and the logarithm of α, ``[batch, time, heads]``."""
    beta = cell.beta * sigmoid(linear(x, cell.W_beta))
    if cell.A_log is None:
        return beta, torch.zeros_like(beta)
    return beta, -cell.A_log.exp() * softplus(linear(x, cell.W_alpha, cell.b))


def by_loop(cell: DeltaNet, x: Tensor, before: Tensor, S: Tensor) -> Any:
    (q, k, v), window = convolved(cell, x, before)
    beta, g = gates(cell, x)
    run = naive("gated_delta_rule").naive_recurrent_gated_delta_rule
    o, S = run(q=q, k=k, v=v, beta=beta, g=g, scale=1.0, initial_state=S, output_final_state=True)
    return o.flatten(2), (window, S)


@pytest.mark.parametrize("path", ["fused", "definition", "parallel"])
@pytest.mark.parametrize("beta", [1, 2])
@pytest.mark.parametrize("gate", [False, True], ids=["ungated", "gated"])
@pytest.mark.parametrize("from_zero", [True, False], ids=["from_zero", "from_a_state"])
def test_the_delta_rule_is_that_of_flash_linear_attention(
    gate: bool, beta: int, from_zero: bool, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMSPAN_KERNELS", {"fused": "1", "definition": "0"}.get(path, path))
    cell = DeltaNet(INPUT, HIDDEN, heads=HEADS, gate=gate, beta=beta)
    assert kernels.path(cell) == path
    state = list(cell.initial_state(BATCH)) if from_zero else [torch.randn(BATCH, 72, 3), torch.randn(BATCH, 4, 6, 6)]
    inputs = torch.randn(BATCH, TIME, INPUT)
    ours = results(cell, cell, inputs, state)
    assert_same(ours, results(cell, lambda x, s: by_loop(cell, x, *s), inputs, state))


def test_the_rule_without_decay_is_that_of_its_own_loop() -> None:
    """That loop divides q by √d, and has the heads before the steps."""
    cell = DeltaNet(INPUT, HIDDEN, heads=HEADS, beta=2)
    inputs, before = torch.randn(BATCH, TIME, INPUT), torch.randn(BATCH, 72, 3)
    S = torch.randn(BATCH, HEADS, 6, 6)
    q, k, v = (part.transpose(1, 2) for part in convolved(cell, inputs, before)[0])
    beta, _ = gates(cell, inputs)
    run = naive("delta_rule").delta_rule_recurrence
    o, last = run(sqrt(6) * q, k, v, beta=beta.transpose(1, 2), initial_state=S)
    outputs, (_, ours) = cell(inputs, (before, S))
    assert_same([outputs, ours], [o.transpose(1, 2).flatten(2), last])


def test_the_chunks_of_the_source_agree_if_gates_are_passed_by_name() -> None:
    """Its loop takes (β, g) and its chunks take (g, β)."""
    cell = DeltaNet(INPUT, HIDDEN, heads=HEADS, gate=True)
    inputs = torch.randn(BATCH, TIME, INPUT)
    before, S = cell.initial_state(BATCH)
    (q, k, v), _ = convolved(cell, inputs, before)
    beta, g = gates(cell, inputs)
    run = naive("gated_delta_rule").naive_chunk_gated_delta_rule
    o, last = run(q=q, k=k, v=v, beta=beta, g=g, scale=1.0, initial_state=S, output_final_state=True)
    outputs, (_, ours) = cell(inputs)
    assert_same([outputs, ours], [o.flatten(2), last])


@pytest.mark.parametrize(("beta", "kept"), [(1, 0.0), (2, -1.0)])
def test_what_a_key_has_recalled_is_erased(beta: int, kept: float) -> None:
    """With β = 1 nothing is left of the old value under a key, and with β = 2 it changes its sign."""
    cell = DeltaNet(1, 2, heads=1, beta=beta, conv=1)
    with torch.no_grad():
        cell.W_beta.fill_(100)  # Its σ is 1.
        cell.W_conv.fill_(1)
        cell.W.copy_(torch.tensor([[1.0], [0.0], [1.0], [0.0], [0.0], [0.0]]))  # q and k are (1, 0), and v is 0.
    S = torch.tensor([[[[5.0, 7.0], [1.0, 2.0]]]])
    outputs, (_, last) = cell(torch.ones(1, 1, 1), (torch.zeros(1, 6, 0), S))
    assert torch.allclose(last, torch.tensor([[[[5 * kept, 7 * kept], [1.0, 2.0]]]]), atol=1e-4)
    assert torch.allclose(outputs, torch.tensor([[[5 * kept, 7 * kept]]]), atol=1e-4)


@pytest.mark.parametrize("conv", [1, 2, 4])
def test_the_window_holds_what_the_convolution_reads(conv: int) -> None:
    cell = DeltaNet(INPUT, HIDDEN, conv=conv)
    assert [tuple(leaf.shape[1:]) for leaf in cell.initial_state(2)] == [(72, conv - 1), (4, 6, 6)]
    inputs = torch.randn(1, 9, INPUT)
    _, (window, _) = cell(inputs)
    assert torch.allclose(window, linear(inputs, cell.W).transpose(1, 2)[:, :, 9 - conv + 1 :], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "heads must divide hidden_size; got heads = 5 and hidden_size = 24: choose a multiple of 5"),
        ({"beta": 0}, "beta is the largest strength of writing and must be 1 or 2; got 0"),
        ({"beta": 3}, "beta is the largest strength of writing and must be 1 or 2; got 3"),
        ({"conv": 0}, "conv must be at least 1, the step itself; got 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        DeltaNet(INPUT, HIDDEN, **options)  # type: ignore[arg-type]
