"""The LRU against the package LRU-pytorch, its initial values, and that it is linear but for its activation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import scipy.stats
import torch
from torch import Tensor
from torch.testing import assert_close

from suite.architectures.lru import LRU

BATCH, TIME, INPUT, HIDDEN = 2, 9, 4, 6
PRECISION = {torch.float64: 1e-10, torch.float32: 1e-5}


@pytest.fixture(params=PRECISION, ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    """Theirs makes its outputs in the default type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


def pair(input_size: int) -> tuple[LRU, Any]:
    """A cell, and theirs with the same numbers. Its D is a matrix throughout."""
    theirs = pytest.importorskip("LRU_pytorch", reason="LRU-pytorch is not installed").LRU(input_size, HIDDEN, HIDDEN)
    cell = LRU(input_size, HIDDEN, activation="none")
    with torch.no_grad():
        theirs.nu_log.copy_(cell.nu)
        theirs.theta_log.copy_(cell.theta)
        theirs.gamma_log.copy_(cell.gamma)
        theirs.B.copy_(torch.complex(*cell.B.chunk(2, dim=0)))
        theirs.C.copy_(torch.complex(*cell.C.chunk(2, dim=1)))
        theirs.D.copy_(torch.diag(cell.D) if cell.D.dim() == 1 else cell.D)
    return cell, theirs


@pytest.mark.parametrize("input_size", [INPUT, HIDDEN], ids=["D_is_a_matrix", "D_is_a_vector"])
@pytest.mark.parametrize("from_zero", [True, False], ids=["from_zero", "from_a_state"])
def test_as_theirs_with_all_gradients(dtype: torch.dtype, input_size: int, from_zero: bool) -> None:
    cell, theirs = pair(input_size)
    x, up, h = torch.randn(BATCH, TIME, input_size), torch.randn(BATCH, TIME, HIDDEN), torch.randn(BATCH, HIDDEN, 2)
    ours_x, theirs_x = (x.clone().requires_grad_() for _ in range(2))
    ours_h, theirs_h = (h.clone().requires_grad_() for _ in range(2))
    if from_zero:
        outputs, _ = cell(ours_x)
        expected = theirs(theirs_x)
    else:  # Theirs takes a state with a single sequence.
        outputs, _ = cell(ours_x, ours_h)
        states = torch.view_as_complex(theirs_h)
        expected = torch.stack([theirs(x, state) for x, state in zip(theirs_x, states, strict=True)])
    of_h = [] if from_zero else [ours_h]
    actual = torch.autograd.grad(outputs, [ours_x, *cell.parameters(), *of_h], up)
    names = [name for name, _ in cell.named_parameters()]
    their_parameters = [theirs.nu_log, theirs.theta_log, theirs.gamma_log, theirs.B, theirs.C, theirs.D]
    theirs_of_h = [] if from_zero else [theirs_h]
    wanted = torch.autograd.grad(expected, [theirs_x, *their_parameters, *theirs_of_h], up)
    assert names == ["nu", "theta", "gamma", "B", "C", "D"]
    reshaped = dict(zip(["x", *names, "h"], [*wanted, *([wanted[0]] if from_zero else [])], strict=True))
    reshaped["B"] = torch.cat([reshaped["B"].real, reshaped["B"].imag], dim=0)
    reshaped["C"] = torch.cat([reshaped["C"].real, reshaped["C"].imag], dim=1)
    reshaped["D"] = reshaped["D"].diagonal() if cell.D.dim() == 1 else reshaped["D"]
    assert_close(outputs, expected, rtol=PRECISION[dtype], atol=PRECISION[dtype])
    for name, gradient in zip(["x", *names, "h"], actual, strict=False):
        assert_close(gradient, reshaped[name], rtol=PRECISION[dtype], atol=PRECISION[dtype], msg=name)


def factors(cell: LRU) -> tuple[Tensor, Tensor]:
    """|λ| and the phase of λ."""
    return torch.exp(-cell.nu.detach().double().exp()), cell.theta.detach().double().exp()


@pytest.mark.parametrize(("r_min", "r_max", "max_phase"), [(0.0, 1.0, 6.28), (0.9, 0.999, 0.3)])
def test_the_factors_are_uniform_on_a_ring(r_min: float, r_max: float, max_phase: float) -> None:
    radius, phase = factors(LRU(1, 1000, r_min=r_min, r_max=r_max, max_phase=max_phase))
    low, high = r_min**2, r_max**2
    assert scipy.stats.kstest(radius.square().numpy(), scipy.stats.uniform(low, high - low).cdf).pvalue > 0.01
    assert scipy.stats.kstest(phase.numpy(), scipy.stats.uniform(0, max_phase).cdf).pvalue > 0.01
    assert radius.max() < 1


def test_gamma_is_learnt_and_starts_where_all_modes_have_the_variance_of_the_input() -> None:
    cell = LRU(INPUT, 500)
    radius, _ = factors(cell)
    assert cell.gamma.requires_grad
    assert_close(cell.gamma.exp().double(), (1 - radius.square()).sqrt(), rtol=1e-4, atol=1e-5)


def test_the_matrices_have_the_sizes_of_the_source() -> None:
    cell = LRU(100, 400)
    assert_close(cell.B.std().item(), 200**-0.5, rtol=0.02, atol=0)
    assert_close(cell.C.std().item(), 400**-0.5, rtol=0.02, atol=0)
    assert_close(cell.D.std().item(), 100**-0.5, rtol=0.02, atol=0)
    assert_close(LRU(1000, 1000).D.std().item(), 1.0, rtol=0.1, atol=0)


@pytest.mark.parametrize("activation", ["gelu", "none"])
def test_without_the_activation_it_is_a_linear_map(activation: Any) -> None:
    cell = LRU(INPUT, HIDDEN, activation=activation)
    x, y = torch.randn(2, 1, TIME, INPUT)
    together = cell(x + y)[0]
    assert torch.allclose(together, cell(x)[0] + cell(y)[0], atol=1e-5) == (activation == "none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r_min": 0.9, "r_max": 0.9}, "0 ≤ r_min < r_max ≤ 1; got 0.9 and 0.9"),
        ({"r_max": 1.1}, "0 ≤ r_min < r_max ≤ 1; got 0.0 and 1.1"),
        ({"max_phase": 0.0}, "above 0 and at most 2π; got 0.0"),
    ],
)
def test_a_ring_that_is_none_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LRU(INPUT, HIDDEN, **options)
