"""Mamba against mamba.py by Alexandre Torres-Leguet (the package mambapy), and its forms against each other."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.testing import assert_close

from suite import kernels
from suite.architectures import Cell
from suite.architectures.mamba import LONGEST, SHORTEST, Mamba
from suite.model.sequence_model import build_model
from suite.model.states import leaves

BATCH, TIME, SIZE, STATES = 3, 21, 6, 5

NAMES = {
    "W_in": "in_proj.weight",
    "b_conv": "conv1d.bias",
    "W_x": "x_proj.weight",
    "W_dt": "dt_proj.weight",
    "b_dt": "dt_proj.bias",
    "A_log": "A_log",
    "D": "D",
}


def randomised(module: Any) -> Any:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def gradients(outputs: Tensor, sources: list[Tensor]) -> list[Tensor]:
    weights = torch.randn(outputs.shape, dtype=outputs.dtype, generator=torch.Generator().manual_seed(1))
    return list(torch.autograd.grad((outputs * weights).sum(), sources))


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A block of mambapy in double precision, without the output matrix that our residual block has."""
    theirs = pytest.importorskip("mambapy.mamba", reason="mambapy is not installed")
    monkeypatch.setattr(Tensor, "float", lambda self: self)  # It calculates A in single precision, whatever it is in.
    made = randomised(theirs.MambaBlock(theirs.MambaConfig(d_model=SIZE, n_layers=1, d_state=STATES))).double()
    made.out_proj = nn.Identity()
    return made


def ours(block: Any) -> Mamba:
    cell = Mamba(SIZE, SIZE, d_state=STATES).double()
    state = {name: block.get_parameter(theirs).detach() for name, theirs in NAMES.items()}
    cell.load_state_dict({**state, "W_conv": block.conv1d.weight.detach().squeeze(1)})
    return cell


def parameters(cell: Mamba, block: Any) -> tuple[list[Tensor], list[Tensor]]:
    pairs = [(cell.get_parameter(name), block.get_parameter(theirs)) for name, theirs in NAMES.items()]
    pairs.append((cell.W_conv, block.conv1d.weight))
    one, other = zip(*pairs, strict=True)
    return list(one), list(other)


def assert_all_close(one: list[Tensor], other: list[Tensor]) -> None:
    for ours, theirs in zip(one, other, strict=True):
        assert_close(ours, theirs.view_as(ours), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("pscan", [False, True])
def test_it_is_that_of_mambapy_with_all_gradients(block: Any, pscan: bool) -> None:
    block.config.pscan = pscan
    cell = ours(block)
    x = random(BATCH, TIME, SIZE).requires_grad_()
    outputs, expected = cell(x)[0], block(x)
    mine, theirs = parameters(cell, block)
    assert_all_close([outputs, *gradients(outputs, [x, *mine])], [expected, *gradients(expected, [x, *theirs])])


def test_it_is_that_of_mambapy_from_any_state(block: Any) -> None:
    cell = ours(block)
    x, before, h = random(BATCH, TIME, SIZE), random(BATCH, 2 * SIZE, 3), random(BATCH, 2 * SIZE, STATES)
    of_state = [before.requires_grad_(), h.requires_grad_()]
    outputs, last = cell(x, (before, h))
    cache, steps = (h, before), []
    for x_t in x.unbind(1):
        y, cache = block.step(x_t, cache)
        steps.append(y)
    expected = torch.stack(steps, dim=1)
    mine, theirs = parameters(cell, block)
    assert_all_close([outputs, *last], [expected, *reversed(cache)])
    assert_all_close(gradients(outputs, [*of_state, *mine]), gradients(expected, [*of_state, *theirs]))


def test_the_fused_form_is_that_of_mambapy_in_single_precision() -> None:
    theirs = pytest.importorskip("mambapy.mamba", reason="mambapy is not installed")
    block = theirs.MambaBlock(theirs.MambaConfig(d_model=SIZE, n_layers=1, d_state=STATES))
    block.out_proj = nn.Identity()
    cell = ours(block).float()
    assert kernels.path(cell) == "fused"
    x = torch.randn(BATCH, TIME, SIZE, requires_grad=True)
    outputs, expected = cell(x)[0], block(x)
    mine, others = parameters(cell, block)
    pairs = [gradients(outputs, [x, *mine]), gradients(expected, [x, *others])]
    for one, other in zip([outputs, *pairs[0]], [expected, *pairs[1]], strict=True):
        assert_close(one, other.view_as(one), rtol=1e-5, atol=1e-5)


def test_a_new_cell_begins_as_at_the_source() -> None:
    torch.manual_seed(0)
    cell = Mamba(4, 512)
    assert_close(-cell.A_log.exp(), -torch.arange(1.0, 17).expand(1024, 16))
    assert cell.D.eq(1).all()
    first = softplus(cell.b_dt)
    assert first.min() >= SHORTEST * (1 - 1e-3)
    assert first.max() <= LONGEST * (1 + 1e-3)
    share = (first < (SHORTEST * LONGEST) ** 0.5).float().mean()  # A log-uniform draw has half below the middle.
    assert abs(share - 0.5) < 0.1
    assert cell.rank == 32
    assert {"A_log", "D", "b_dt"} <= {*cell.without_weight_decay}


def test_the_state_is_the_last_inputs_of_the_convolution_and_h() -> None:
    before, h = Mamba(4, 8, d_state=5, conv=3).initial_state(2)
    assert (before.shape, h.shape) == ((2, 16, 2), (2, 16, 5))


FORMS: list[dict[str, int]] = [
    {"d_state": 1, "conv": 1},
    {"d_state": 3, "conv": 2, "expand": 1},
    {"d_state": 17, "conv": 6, "dt_rank": 5},
    {"expand": 3, "conv": 20, "dt_rank": 2},
]


def all_results(run: Any, cell: Mamba, x: Tensor, state: list[Tensor]) -> list[Tensor]:
    x, state = x.detach().requires_grad_(), [leaf.detach().requires_grad_() for leaf in state]
    outputs, last = run(x, tuple(state))
    generator = torch.Generator().manual_seed(1)
    results = [outputs, *last]
    weights = [torch.randn(part.shape, dtype=part.dtype, generator=generator) for part in results]
    total = sum((part * weight).sum() for part, weight in zip(results, weights, strict=True))
    found = torch.autograd.grad(total, [x, *state, *cell.parameters()], materialize_grads=True)
    return [*results, *found]


@pytest.mark.parametrize("options", FORMS, ids=str)
@pytest.mark.parametrize("time", [1, 3, 40])
def test_every_size_has_the_same_fused_form(options: dict[str, int], time: int) -> None:
    torch.manual_seed(0)
    cell = randomised(Mamba(5, 7, **options))
    assert kernels.path(cell) == "fused"
    x, state = torch.randn(4, time, 5), [torch.randn_like(leaf) for leaf in cell.initial_state(4)]
    mine, theirs = (all_results(run, cell, x, state) for run in (cell, partial(Cell.forward, cell)))
    for one, other in zip(mine, theirs, strict=True):
        scale = other.abs().max().item() if other.numel() else 1.0
        assert_close(one, other, rtol=0, atol=2e-5 * scale + 1e-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("time", [1, 7, 64, 100])
def test_chunks_give_what_the_definition_gives(time: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    cell = Mamba(3, 5, d_state=4).to(dtype)
    x, state = torch.randn(2, time, 3, dtype=dtype), [torch.randn_like(leaf) for leaf in cell.initial_state(2)]
    theirs = all_results(partial(Cell.forward, cell), cell, x, state)
    monkeypatch.setenv("MEMSPAN_KERNELS", "parallel")
    assert kernels.path(cell) == "parallel"
    closeness = 1e-10 if dtype == torch.float64 else 2e-5
    for one, other in zip(all_results(cell, cell, x, state), theirs, strict=True):
        assert_close(one, other, rtol=0, atol=closeness * max(1.0, other.abs().max().item()))


def test_chunks_in_a_model_and_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model("mamba", {}, 3, 8, 2, depth=2, bidirectional=True, block="residual", seed=1)
    x = torch.randn(2, 90, 3)
    expected = model(x)[0]
    monkeypatch.setenv("MEMSPAN_KERNELS", "parallel")
    assert_close(model(x)[0], expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        assert_close(model(x)[0], expected, rtol=1e-4, atol=1e-5)
    one = model.cells[0]
    assert_close(torch.func.vmap(lambda x: one(x[None])[0][0])(torch.randn(2, 5, 8)).shape, torch.Size([2, 5, 16]))


def test_it_forgets_by_its_input() -> None:
    """A long time step clears the state, and a short one keeps it: e^{Δ A} is 0 or 1."""
    cell = Mamba(2, 4).double()
    state = cell.initial_state(1)[0], random(1, 8, 16)
    for bias, expected in ((-50.0, state[1]), (1e4, None)):
        nn.init.constant_(cell.b_dt, bias)
        _, (_, h) = cell.step(torch.zeros(1, 2).double(), state)
        if expected is None:
            _, (_, other) = cell.step(torch.zeros(1, 2).double(), (state[0], random(1, 8, 16)))
            assert_close(h, other)
        else:
            assert_close(h, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_state": 0}, "d_state must be at least 1; got 0"),
        ({"conv": 0}, "conv must be at least 1; got 0"),
        ({"expand": -1}, "expand must be at least 1; got -1"),
        ({"dt_rank": -2}, "dt_rank must be 0 .* or at least 1; got -2"),
    ],
)
def test_sizes_that_no_cell_has_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mamba(3, 8, **options)


def test_the_kernel_refuses_states_of_other_sizes() -> None:
    cell = Mamba(3, 8)
    before, h = cell.initial_state(2)
    for state in ((before[:, :, 1:], h), (before, h[:, :, 1:]), (before, h[:1])):
        with pytest.raises(RuntimeError, match="states"):
            cell(torch.randn(2, 4, 3), state)


def test_states_are_all_that_it_carries() -> None:
    assert [leaf.shape[0] for leaf in leaves(Mamba(3, 8).initial_state(4))] == [4, 4]
