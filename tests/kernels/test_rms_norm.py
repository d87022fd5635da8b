"""The fused RMS norm of residual blocks gives what PyTorch's gives, and all gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from suite import kernels
from suite.kernels.rms_norm import rms_norm
from suite.model.blocks import EPSILON, make_norm


def both(features: int) -> tuple[nn.Module, nn.RMSNorm]:
    """Our norm and PyTorch's in double precision, with the same gains."""
    ours, torchs = make_norm("rms", features), nn.RMSNorm(features, eps=EPSILON, dtype=torch.float64)
    with torch.no_grad():
        torchs.weight.normal_()
        ours.get_parameter("weight").copy_(torchs.weight)
        torchs.weight.copy_(ours.get_parameter("weight"))
    return ours, torchs


def passed(norm: nn.Module, x: Tensor, up: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs, and the gradients of the inputs and of the gains."""
    x = x.clone().requires_grad_()
    y = norm(x)
    return y.detach(), *torch.autograd.grad(y, [x, norm.get_parameter("weight")], up)


@given(
    batch=st.integers(1, 3),
    time=st.integers(1, 5),
    features=st.integers(1, 70),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_it_is_torch_s_in_double_precision(batch: int, time: int, features: int, scale: float) -> None:
    ours, torchs = both(features)
    x, up = scale * torch.randn(batch, time, features), torch.randn(batch, time, features)
    for found, wanted in zip(passed(ours, x, up), passed(torchs, x.double(), up.double()), strict=True):
        bound = 1e-5 * float(wanted.abs().max())
        assert_close(found.double(), wanted, rtol=1e-5, atol=bound)


def test_a_thousand_steps_and_the_same_bits_twice() -> None:
    ours, torchs = both(80)
    x, up = torch.randn(4, 1000, 80), torch.randn(4, 1000, 80)
    first, again = passed(ours, x, up), passed(ours, x, up)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    for found, wanted in zip(first, passed(torchs, x.double(), up.double()), strict=True):
        assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


def test_inputs_may_lie_in_any_order() -> None:
    ours, _ = both(24)
    x, up = torch.randn(5, 3, 24), torch.randn(5, 3, 24)
    turned = x.transpose(0, 1).contiguous().transpose(0, 1), up.transpose(0, 1).contiguous().transpose(0, 1)
    for found, wanted in zip(passed(ours, *turned), passed(ours, x, up), strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_diverged_step_looks_diverged_and_concerns_no_other(number: float) -> None:
    ours, _ = both(20)
    x = torch.randn(2, 3, 20)
    x[1, 2, 7] = number
    y, dx, _ = passed(ours, x, torch.ones_like(x))
    for found in (y, dx):
        assert not found[1, 2].isfinite().all()
        found[1, 2] = 0
        assert found.isfinite().all()


def test_it_runs_for_sequences_and_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _ = both(20)
    x = torch.randn(2, 3, 20)
    assert kernels.find("rms_norm", x, ours.get_parameter("weight")) is rms_norm
    fused = ours(x)
    monkeypatch.setenv("MEMSPAN_KERNELS", "0")
    assert_close(ours(x), fused)
    assert_close(ours(x[:, 0]), fused[:, 0])


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"inputs must be \[batch, time, 4\]; got \[2, 3, 5\]"):
        rms_norm(torch.randn(2, 3, 5), torch.ones(4), EPSILON)
