"""The RG-LRU against a loop written by hand from the paper and the source, whose package needs JAX."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from numpy.typing import NDArray
from torch.testing import assert_close

from suite.architectures.rg_lru import RGLRU, bounded_root
from tests.helpers import leaves

BATCH, TIME, INPUT, HIDDEN = 3, 9, 4, 6

Array = NDArray[np.float64]


def by_hand(x: Array, h: Array, started: Array, heads: int, p: dict[str, Array]) -> tuple[Array, Array]:
    """Griffin, equations 1 to 6, one sequence, step and head after the other."""
    batch, time, _ = x.shape
    width = HIDDEN // heads
    outputs, last = np.zeros((batch, time, HIDDEN)), h.copy()
    for row in range(batch):
        for t in range(time):
            u = p["W"] @ x[row, t] if "W" in p else x[row, t]
            for head in range(heads):
                own = slice(head * width, (head + 1) * width)
                r = 1 / (1 + np.exp(-(p["G"][0, head] @ u[own] + p["b"][0, own])))
                i = 1 / (1 + np.exp(-(p["G"][1, head] @ u[own] + p["b"][1, own])))
                a = np.exp(-8 * r * np.log1p(np.exp(p["Lambda"][own])))
                is_first = t == 0 and not started[row, 0]
                factor = 1.0 if is_first else np.sqrt(1 - a**2)
                last[row, own] = a * last[row, own] + factor * i * u[own]
            outputs[row, t] = last[row]
    return outputs, last


def random_cell(input_size: int, heads: int, dtype: torch.dtype) -> RGLRU:
    cell = RGLRU(input_size, HIDDEN, heads=heads).to(dtype)
    torch.nn.init.normal_(cell.b)
    torch.nn.init.normal_(cell.Lambda)
    return cell


@pytest.mark.parametrize("form", ["1", "parallel", "0"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("input_size", [INPUT, HIDDEN], ids=["W", "no_W"])
def test_as_by_hand_with_all_gradients(
    input_size: int, heads: int, dtype: torch.dtype, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradients of the loop are differences. Rows that have begun are beside rows that have not."""
    monkeypatch.setenv("MEMSPAN_KERNELS", form)
    cell = random_cell(input_size, heads, dtype)
    x, h = torch.randn(BATCH, TIME, input_size, dtype=dtype), torch.randn(BATCH, HIDDEN, dtype=dtype)
    started = torch.tensor([[1.0], [0.0], [1.0]], dtype=dtype)
    up, up_last = torch.randn(BATCH, TIME, HIDDEN, dtype=dtype), torch.randn(BATCH, HIDDEN, dtype=dtype)
    given = {"x": x, "h": h, **dict(cell.named_parameters())}
    arrays = {name: tensor.detach().double().numpy().copy() for name, tensor in given.items()}

    def loss() -> tuple[float, Array, Array]:
        outputs, last = by_hand(arrays["x"], arrays["h"], started.numpy(), heads, arrays)
        return (outputs * up.numpy()).sum() + (last * up_last.numpy()).sum(), outputs, last

    sources = [tensor.requires_grad_() for tensor in given.values()]
    outputs, (last, flag) = cell(x, (h, started))
    total = (outputs * up).sum() + (last * up_last).sum()
    precision = 1e-10 if dtype == torch.float64 else 1e-5
    _, expected, expected_last = loss()
    assert torch.equal(flag, torch.ones_like(started))
    assert_close(outputs.double(), torch.from_numpy(expected), rtol=precision, atol=precision)
    assert_close(last.double(), torch.from_numpy(expected_last), rtol=precision, atol=precision)
    for name, gradient in zip(given, torch.autograd.grad(total, sources), strict=True):
        differences = np.zeros_like(arrays[name])
        for place in np.ndindex(differences.shape):
            before = arrays[name][place]
            values = []
            for way in (1, -1):
                arrays[name][place] = before + way * 1e-5
                values.append(loss()[0])
            arrays[name][place] = before
            differences[place] = (values[0] - values[1]) / 2e-5
        size = np.abs(differences).max()
        assert_close(gradient.double(), torch.from_numpy(differences), rtol=1e-5, atol=1e-5 * size, msg=name)


def test_the_decays_start_between_a_short_and_a_long_memory() -> None:
    a = torch.exp(-torch.nn.functional.softplus(RGLRU(1, 20_000, heads=20_000).Lambda.detach().double()))
    low, high = 0.9**2, 0.999**2
    assert a.min() >= 0.9 - 1e-6
    assert a.max() <= 0.999 + 1e-6
    assert scipy.stats.kstest(a.square().numpy(), scipy.stats.uniform(low, high - low).cdf).pvalue > 0.01


def test_the_slope_of_the_root_is_bounded() -> None:
    q = torch.tensor([0.0, 1e-30, 1e-8, 2.4e-7, 2.6e-7, 0.01, 1.0], dtype=torch.float64, requires_grad=True)
    root = bounded_root(q)
    (slope,) = torch.autograd.grad(root.sum(), q)
    assert_close(root, q.sqrt())
    assert_close(slope[:4], torch.full((4,), 1000.0).double())
    assert_close(slope[4:], 0.5 / q[4:].sqrt())


@pytest.mark.parametrize("form", ["1", "0"])
def test_an_input_gate_that_never_forgets_has_finite_gradients(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the bound, the slope of √(1 − a²) at a = 1 is infinite."""
    monkeypatch.setenv("MEMSPAN_KERNELS", form)
    cell = RGLRU(HIDDEN, HIDDEN)
    with torch.no_grad():
        cell.b[0].fill_(-200.0)  # r = 0, so a = 1
    gradients = torch.autograd.grad(cell(torch.randn(2, TIME, HIDDEN))[0].sum(), list(cell.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_the_first_step_writes_the_whole_input_and_only_the_first() -> None:
    cell = RGLRU(HIDDEN, HIDDEN)
    with torch.no_grad():
        cell.G.zero_()
        cell.b[1].fill_(200.0)  # i = 1
    x = torch.ones(1, 2, HIDDEN)
    a = torch.exp(-4 * torch.nn.functional.softplus(cell.Lambda))  # r = ½
    (first, second), state = cell(x)[0][0], cell.initial_state(1)
    assert_close(first, torch.ones(HIDDEN))
    assert_close(second, a + (1 - a.square()).sqrt())
    assert [leaf.shape for leaf in leaves(state)] == [(1, HIDDEN), (1, 1)]
    assert not any(leaf.any() for leaf in leaves(state))


def test_a_head_sees_its_own_units_alone() -> None:
    cell = RGLRU(HIDDEN, HIDDEN, heads=3).double()
    jacobian = torch.autograd.functional.jacobian(
        lambda x: cell(x)[0][0, -1], torch.randn(1, 3, HIDDEN, dtype=torch.float64)
    )
    seen = jacobian[:, 0].abs().sum(1) > 0
    assert torch.equal(seen, torch.block_diag(*[torch.ones(2, 2)] * 3).bool())


@pytest.mark.parametrize("heads", [0, 4, -1])
def test_heads_that_do_not_divide_the_layer_are_refused(heads: int) -> None:
    make: Any = partial(RGLRU, INPUT, HIDDEN, heads=heads)
    with pytest.raises(ValueError, match=f"heads must divide hidden_size; got heads = {heads} and hidden_size = 6"):
        make()
