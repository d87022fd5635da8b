"""The parallel forms of the cells with matrices in their states, on the CPU, against the definition."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from suite import kernels
from suite.architectures import Cell
from suite.architectures.delta_net import DeltaNet
from suite.architectures.linear_attention import LinearAttention
from suite.architectures.mlstm import MLSTM
from tests.architectures.comparing import assert_same, results
from tests.helpers import leaves

FORMS = {
    "none": partial(LinearAttention, decay="none"),
    "fixed": partial(LinearAttention, decay="fixed"),
    "gated": partial(LinearAttention, decay="gated"),
    "scalar": partial(LinearAttention, decay="scalar"),
    "delta": DeltaNet,
    "delta_gate": partial(DeltaNet, gate=True, beta=2, conv=2),
    "mlstm": MLSTM,
}
every_form = pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)


@pytest.fixture(autouse=True)
def _parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSPAN_KERNELS", "parallel")


@every_form
@pytest.mark.parametrize("time", [1, 64, 150])
def test_as_the_definition_with_all_gradients(make: Any, time: int) -> None:
    cell = make(3, 8).double()
    for parameter in cell.parameters():
        if not parameter.detach().any():
            nn.init.normal_(parameter, std=0.5)
    inputs = torch.randn(2, time, 3, dtype=torch.float64)
    state = [torch.randn_like(leaf) for leaf in leaves(cell.initial_state(2))]
    ours = results(cell, cell, inputs, state)
    assert_same(ours, results(cell, partial(Cell.forward, cell), inputs, state), 1e-9)


@every_form
def test_the_path_is_named(make: Any) -> None:
    assert kernels.path(make(3, 8)) == "parallel"


@every_form
def test_a_memory_that_is_wiped_out_does_not_overflow(make: Any) -> None:
    """Gates far beyond their range close one after the other, in single precision."""
    cell = make(3, 8)
    inputs = torch.randn(2, 150, 3)
    inputs[:, 40:60] *= 300
    outputs, last = cell(inputs)
    expected, expected_last = Cell.forward(cell, inputs)
    for one, other in zip([outputs, *leaves(last)], [expected, *leaves(expected_last)], strict=True):
        assert_close(one, other, rtol=1e-3, atol=1e-5 * other.abs().max().item())
