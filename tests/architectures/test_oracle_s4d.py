"""S4D against the package s5-pytorch, with one block of modes for each channel, and its initial values."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import scipy.stats
import torch
from torch import Tensor
from torch.func import functional_call
from torch.testing import assert_close

from suite.architectures.s4d import S4D

BATCH, TIME, CHANNELS, MODES = 2, 9, 4, 3


def as_s5(cell: S4D) -> dict[str, Tensor]:
    """The parameters of an S5 whose modes belong to one channel each, as functions of those of the cell."""
    L = torch.complex(-cell.log_decay.exp(), cell.frequency).flatten()
    own = torch.eye(CHANNELS).repeat_interleave(MODES, dim=0)  # [modes of all channels, channel]
    C = torch.view_as_complex(cell.C).flatten()
    return {
        "Lambda": L,
        "B": torch.stack([own, torch.zeros_like(own)], dim=-1),
        "C": own.t() * 2 * C,
        "D": cell.D,
        "log_step": cell.log_dt.repeat_interleave(MODES),
    }


@pytest.mark.parametrize("from_zero", [True, False], ids=["from_zero", "from_a_state"])
@pytest.mark.parametrize("form", ["1", "0"], ids=["kernel", "definition"])
@pytest.mark.parametrize("init", ["lin", "inv", "real"])
def test_as_s5_with_all_gradients(init: Any, form: str, from_zero: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs is in single precision throughout, and its states are ours times B̄.

    It takes Λ̄ − 1 as a difference, which loses digits if Δ is small, so Δ is not small here.
    """
    monkeypatch.setenv("MEMSPAN_KERNELS", form)
    s5 = pytest.importorskip("s5", reason="s5-pytorch is not installed")
    theirs = s5.S5(CHANNELS, CHANNELS * MODES).seq
    cell = S4D(CHANNELS, CHANNELS, d_state=MODES, init=init, activation="none", dt_min=0.2, dt_max=1.0)
    x, up = torch.randn(BATCH, TIME, CHANNELS, requires_grad=True), torch.randn(BATCH, TIME, CHANNELS)
    h = torch.randn(BATCH, CHANNELS, MODES, 2, requires_grad=True)

    def run_theirs(x: Tensor, h: Tensor) -> Tensor:
        parameters = as_s5(cell)
        L, dt = parameters["Lambda"], parameters["log_step"].exp()
        states = torch.view_as_complex(h).flatten(1) * torch.expm1(dt * L) / L
        rows = zip(x, [None] * BATCH if from_zero else states, strict=True)
        return torch.stack([functional_call(theirs, parameters, (row,), {"state": state}) for row, state in rows])

    wanted = [x, *cell.parameters(), *([] if from_zero else [h])]
    outputs, expected = cell(x, None if from_zero else h)[0], run_theirs(x, h)
    assert_close(outputs, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(
        torch.autograd.grad(outputs, wanted, up), torch.autograd.grad(expected, wanted, up), strict=True
    ):
        assert_close(one, other, rtol=1e-4, atol=1e-5 * other.abs().max().item())


def test_the_real_part_is_doubled_because_each_mode_stands_for_a_pair() -> None:
    cell = S4D(CHANNELS, CHANNELS, d_state=MODES, activation="none").double()
    u = torch.randn(1, TIME, CHANNELS, dtype=torch.float64)
    L, dt = torch.complex(-cell.log_decay.exp(), cell.frequency), cell.log_dt.exp().unsqueeze(1)
    factor, C = torch.exp(dt * L), torch.view_as_complex(cell.C) * torch.expm1(dt * L) / L
    factor, C = torch.cat([factor, factor.conj()], dim=1), torch.cat([C, C.conj()], dim=1)
    h, outputs = torch.zeros(CHANNELS, 2 * MODES, dtype=torch.complex128), []
    for u_t in u[0]:
        h = factor * h + u_t.unsqueeze(1)
        outputs.append((C * h).sum(1) + cell.D * u_t)
    by_pairs = torch.stack(outputs)
    assert by_pairs.imag.abs().max() < 1e-12
    assert_close(cell(u)[0][0], by_pairs.real)


def test_a_short_time_step_costs_no_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Λ̄ − 1 is near 0 then, and Λ̄ near 1."""
    cell = S4D(CHANNELS, CHANNELS, d_state=MODES, activation="none", dt_min=1e-5, dt_max=1e-4)
    x = torch.randn(BATCH, TIME, CHANNELS)
    exact = deepcopy(cell).double()(x.double())[0]
    for form in ("1", "parallel", "0"):
        monkeypatch.setenv("MEMSPAN_KERNELS", form)
        assert_close(cell(x)[0].double(), exact, rtol=1e-5, atol=2e-6 * exact.abs().max().item())


def test_the_modes_begin_as_in_the_paper() -> None:
    n = torch.arange(MODES)
    expected = {
        "lin": (torch.full((MODES,), -0.5), torch.pi * n),
        "inv": (torch.full((MODES,), -0.5), 6 / torch.pi * (6 / (2 * n + 1) - 1)),
        "real": (-(n + 1.0), torch.zeros(MODES)),
    }
    for init, (real, imaginary) in expected.items():
        cell = S4D(2, CHANNELS, d_state=MODES, init=init)  # type: ignore[arg-type]
        assert_close(-cell.log_decay.detach().exp(), real.expand(CHANNELS, -1))
        assert_close(cell.frequency.detach(), imaginary.expand(CHANNELS, -1))


def test_the_time_steps_are_uniform_in_their_logarithm_and_c_has_variance_one() -> None:
    cell = S4D(1, 20_000, d_state=1, dt_min=0.01, dt_max=0.2)
    logs = cell.log_dt.detach().double().numpy()
    low, high = torch.tensor([0.01, 0.2]).double().log().tolist()
    assert scipy.stats.kstest(logs, scipy.stats.uniform(low, high - low).cdf).pvalue > 0.01
    assert_close(cell.C.square().sum(-1).mean().item(), 1.0, rtol=0.03, atol=0)
    assert S4D(1, 8).C.shape == (8, 32, 2)


@pytest.mark.parametrize("activation", ["gelu", "none"])
def test_without_the_activation_it_is_a_linear_map(activation: Any) -> None:
    cell = S4D(CHANNELS, CHANNELS, activation=activation)
    x, y = torch.randn(2, 1, TIME, CHANNELS)
    together = cell(x + y)[0]
    assert torch.allclose(together, cell(x)[0] + cell(y)[0], atol=1e-5) == (activation == "none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_state": 0}, "d_state, the number of modes of a channel, must be at least 1; got 0"),
        ({"dt_min": 0.0}, "0 < dt_min ≤ dt_max; got 0.0 and 0.1"),
        ({"dt_min": 0.2}, "0 < dt_min ≤ dt_max; got 0.2 and 0.1"),
    ],
)
def test_numbers_that_make_no_filter_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        S4D(2, 4, **options)
