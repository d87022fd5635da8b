"""The parallel forms of the cells with matrices in their states, on the CPU, against the definition."""

from __future__ import annotations

from copy import deepcopy
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


def randomised(cell: nn.Module) -> nn.Module:
    """The cell with random numbers in all parameters that begin as zeros."""
    for parameter in cell.parameters():
        if not parameter.detach().any():
            nn.init.normal_(parameter, std=0.5)
    return cell


@every_form
@pytest.mark.parametrize("time", [1, 64, 150])
def test_as_the_definition_with_all_gradients(make: Any, time: int) -> None:
    cell = randomised(make(3, 8)).double()
    inputs = torch.randn(2, time, 3, dtype=torch.float64)
    state = [torch.randn_like(leaf) for leaf in leaves(cell.initial_state(2))]
    ours = results(cell, cell, inputs, state)
    assert_same(ours, results(cell, partial(Cell.forward, cell), inputs, state), 1e-9)


@every_form
def test_the_path_is_named(make: Any) -> None:
    assert kernels.path(make(3, 8)) == "parallel"


@every_form
@pytest.mark.parametrize("path", ["parallel", "1"], ids=["parallel", "fused"])
def test_a_memory_that_is_wiped_out_costs_no_digits(make: Any, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gates far beyond their range close one after the other, and small lengths are divided by."""
    monkeypatch.setenv("MEMSPAN_KERNELS", path)
    cell = randomised(make(3, 8))
    inputs = torch.randn(2, 150, 3)
    inputs[:, 40:60] *= 300
    outputs, last = cell(inputs)
    expected, expected_last = Cell.forward(deepcopy(cell).double(), inputs.double())
    # The outputs of an mLSTM are divided by n · q, of which the definition, too, loses digits where it is small.
    tolerance = 1e-3 if isinstance(cell, MLSTM) else 1e-5
    assert_close(outputs.double(), expected, rtol=tolerance, atol=tolerance * expected.abs().max().item())
    for one, other in zip(leaves(last), leaves(expected_last), strict=True):
        assert_close(one.double(), other, rtol=1e-5, atol=1e-5 * other.abs().max().item())
