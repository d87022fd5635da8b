"""The kernels against the definition: every architecture that is found, with every combination of its options."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from torch import Tensor

from suite import kernels
from suite.architectures import Cell
from suite.architectures.orthogonal_rnn import OrthogonalRNN
from suite.architectures.slstm import SLSTM
from suite.architectures.tcn import TCN
from suite.model.sequence_model import SequenceModel
from suite.options import option_types
from suite.registry import architectures

ROOT = Path(__file__).parents[2]
TOLERANCE = 2e-5  # of the largest element
ADDED_UP = 3e-4  # the same over a thousand steps: without a forget gate, every rounding error stays in the sum
RECURRENT = ("U", "P")  # the weights of the state
EXPONENTIAL = 1e-3  # torch's exponential of a matrix in single precision, which the definition takes at every step
CANCELLED = 5e-7  # what a sum of numbers near 1 may leave in single precision where it is small itself


WITHOUT_KERNEL = {"attention": "torch's own fused attention"}
"""The architectures that take no kernel of ours on any device, and what they take."""
FROZEN = {"echo_state"}
"""Those without a gradient for their weights, whose kernel has tests of its own in `test_reach`."""
OWN_FORM = ("mlp", "tcn")
"""Those that calculate all steps at once where they get no kernel."""


def forms() -> Iterator[Any]:
    """Every architecture with every combination of its ``Literal`` options."""
    for name in sorted({*architectures.names()} - {*WITHOUT_KERNEL} - FROZEN):
        types = option_types(architectures.get(name))
        choices = {key: get_args(kind) for key, (kind, _) in types.items() if get_origin(kind) is Literal}
        for values in product(*choices.values()):
            yield pytest.param(
                partial(architectures.get(name), **dict(zip(choices, values, strict=True))),
                id="-".join([name, *map(str, values)]),
            )


def long_forms() -> list[Any]:
    """The forms that run over a thousand steps. LRU and S4D have the same recurrence with all of their options."""
    one_each = {case.id.split("-")[0]: case for case in forms() if case.id.startswith(("lru-", "s4d-"))}
    return [case for case in forms() if not case.id.startswith(("lru-", "s4d-"))] + [*one_each.values()]


every_form = pytest.mark.parametrize("make", list(forms()))


@pytest.fixture(autouse=True)
def _one_thread_and_seed() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def leaves(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


def like(state: Any, values: list[Tensor]) -> Any:
    return values[0] if isinstance(state, Tensor) else tuple(values)


def new_cell(make: Any, input_size: int, hidden_size: int) -> Cell[Any]:
    """A cell none of whose parameters is zero throughout, so that every gradient has something to get wrong.

    Where the usual number of heads does not divide the hidden size, it has the largest smaller number that does.
    """
    usual = option_types(make.func).get("heads", (int, 1))[1]
    if hidden_size % usual:
        make = partial(make, heads=max(heads for heads in range(1, usual) if hidden_size % heads == 0))
    cell: Cell[Any] = make(input_size, hidden_size)
    for parameter in cell.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.1)
    if isinstance(cell, OrthogonalRNN):  # With a bias above 0, modReLU jumps where no two ways to round agree.
        cell.b.data.abs_().neg_()
    return cell


def tolerance(make: Any) -> float:
    return EXPONENTIAL if make.func is OrthogonalRNN else TOLERANCE


def definition(cell: Cell[Any], inputs: Tensor, state: Any = None) -> Any:
    return Cell.forward(cell, inputs, state)


def some_state(cell: Cell[Any], batch: int) -> list[Tensor]:
    """A state that is not the initial one."""
    if isinstance(cell, SLSTM):  # Its counts n are positive.
        with torch.no_grad():
            return leaves(definition(cell, torch.randn(batch, 3, cell.input_size))[1])
    return [torch.randn_like(leaf) * 0.5 for leaf in leaves(cell.initial_state(batch))]


def results(
    cell: Cell[Any], run: Any, inputs: Tensor, state: list[Tensor], *, through: str = "both"
) -> list[Tensor | None]:
    """Outputs, last states and the gradients of inputs, first states and parameters."""
    inputs = inputs.detach().requires_grad_()
    state = [leaf.detach().requires_grad_() for leaf in state]
    outputs, last = run(inputs, like(cell.initial_state(1), state))
    parts = {"outputs": [outputs], "state": leaves(last), "both": [outputs, *leaves(last)]}[through]
    generator = torch.Generator().manual_seed(1)
    loss = torch.stack([(part * torch.randn(part.shape, generator=generator)).sum() for part in parts]).sum()
    wanted = [inputs, *state, *cell.parameters()]
    return [outputs, *leaves(last), *torch.autograd.grad(loss, wanted, allow_unused=True)]


def assert_same(ours: list[Tensor | None], theirs: list[Tensor | None], tolerance: float = TOLERANCE) -> None:
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one is None or other is None:  # not reached at all, or reached by zeros only
            assert one is None or not one.any(), index
            assert other is None or not other.any(), index
            continue
        assert one.shape == other.shape
        if not one.numel():
            continue
        error, largest = (one - other).abs().max().item(), other.abs().max().item()
        assert error <= tolerance * largest + CANCELLED, f"part {index}: {error:.2e} of {largest:.2e}"


def compare(make: Any, batch: int, time: int, input_size: int, hidden: int, **options: Any) -> None:
    cell = new_cell(make, input_size, hidden)
    inputs = torch.randn(batch, time, input_size)
    state = some_state(cell, batch)
    ours = results(cell, cell, inputs, state, **options)
    theirs = results(cell, partial(definition, cell), inputs, state, **options)
    assert_same(ours, theirs, tolerance(make))


@pytest.mark.parametrize("make", long_forms())
def test_as_the_definition_over_a_thousand_steps(make: Any) -> None:
    """The recurrent weights are halved, because some nets are chaotic otherwise: no two ways to round agree there."""
    cell = new_cell(make, 3, 24)
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            if name in RECURRENT:
                parameter.mul_(0.5)
    inputs = torch.randn(3, 300 if isinstance(cell, TCN) else 1000, 3)  # A TCN sees the last 253.
    state = some_state(cell, 3)
    ours = results(cell, cell, inputs, state)
    theirs = results(cell, partial(definition, cell), inputs, state)
    assert_same(ours, theirs, max(ADDED_UP, tolerance(make)))


@pytest.mark.parametrize("make", long_forms())
def test_as_the_definition_from_states_all_along_a_thousand_steps(make: Any) -> None:
    """Every 20 steps both start anew from the same state, which may be one that chaos has reached."""
    cell = new_cell(make, 3, 24)
    parts = torch.randn(2, 1000, 3).split(20, dim=1)
    state = like(cell.initial_state(1), some_state(cell, 2))
    starts = []
    with torch.no_grad():
        for part in parts:
            starts.append(leaves(state))
            _, state = definition(cell, part, state)
    inputs, reached = torch.cat(parts), [torch.cat(each) for each in zip(*starts, strict=True)]
    theirs = results(cell, partial(definition, cell), inputs, reached)
    assert_same(results(cell, cell, inputs, reached), theirs, tolerance(make))


@every_form
@pytest.mark.parametrize(("batch", "hidden"), [(1, 1), (1, 13), (3, 5), (9, 16), (21, 33)])
def test_any_batch_and_hidden_size(make: Any, batch: int, hidden: int) -> None:
    compare(make, batch, 7, 4, hidden)


@every_form
@pytest.mark.parametrize("through", ["outputs", "state"])
def test_gradient_from_one_side_only(make: Any, through: str) -> None:
    compare(make, 4, 12, 3, 10, through=through)


@every_form
def test_one_step(make: Any) -> None:
    compare(make, 4, 1, 3, 10)


@every_form
def test_no_steps_as_in_the_definition(make: Any) -> None:
    cell = make(3, 8)
    if inspect.getmodule(type(cell)).__name__.rpartition(".")[2] in OWN_FORM:  # type: ignore[union-attr]
        pytest.skip("has a form of its own")
    with pytest.raises(RuntimeError) as theirs:
        definition(cell, torch.zeros(2, 0, 3))
    with pytest.raises(RuntimeError) as ours:
        cell(torch.zeros(2, 0, 3))
    assert str(ours.value) == str(theirs.value)


@every_form
@pytest.mark.parametrize("wrong", ["wider", "narrower", "states"])
def test_wrong_sizes_are_refused_as_by_the_definition(make: Any, wrong: str) -> None:
    """Compiled code would read beyond the end of its arrays."""
    cell = new_cell(make, 4, 8)
    inputs = torch.randn(5, 7, {"wider": 6, "narrower": 3}.get(wrong, 4))
    state = cell.initial_state(3 if wrong == "states" else 5)
    with pytest.raises(RuntimeError):
        definition(cell, inputs, state)
    with pytest.raises(RuntimeError):
        cell(inputs, state)


@every_form
def test_cut_in_two(make: Any) -> None:
    cell = new_cell(make, 3, 12)

    def in_two(inputs: Tensor, state: Any) -> Any:
        first, state = cell(inputs[:, :8], state)
        second, state = cell(inputs[:, 8:], state)
        return torch.cat([first, second], dim=1), state

    inputs = torch.randn(4, 20, 3)
    state = some_state(cell, 4)
    theirs = results(cell, partial(definition, cell), inputs, state)
    assert_same(results(cell, in_two, inputs, state), theirs, tolerance(make))


@every_form
@pytest.mark.parametrize("bidirectional", [False, True])
def test_depth_and_direction(make: Any, bidirectional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = SequenceModel(make, 3, 12, 2, depth=2, bidirectional=bidirectional)
    inputs = torch.randn(4, 15, 3)

    def run() -> list[Tensor]:
        outputs, _ = model(inputs)
        return [outputs, *torch.autograd.grad(outputs.square().sum(), list(model.parameters()))]

    ours = run()
    monkeypatch.setenv("MEMSPAN_KERNELS", "0")
    assert_same([*ours], [*run()], tolerance(make))


@every_form
def test_inputs_and_gradients_of_any_strides(make: Any) -> None:
    cell = new_cell(make, 3, 9)
    inputs = torch.randn(3, 14, 8).transpose(0, 2)[:, ::2]  # [8, 7, 3]

    def run(function: Any) -> list[Tensor]:
        outputs, _ = function(inputs)
        loss = outputs.sum() + (outputs[:, :, ::2] * 2).sum()  # an expanded gradient, and a strided one
        return [outputs, *torch.autograd.grad(loss, list(cell.parameters()))]

    assert_same([*run(cell)], [*run(partial(definition, cell))], tolerance(make))


@every_form
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e30])
def test_not_a_number_and_infinity_pass_through(make: Any, value: float) -> None:
    cell = new_cell(make, 3, 13)
    inputs = torch.randn(4, 9, 3)
    inputs[1, 4, 2] = value
    # A new sLSTM does not read its first m, whose gradient is then 0 · NaN, or 0.
    state = some_state(cell, 4) if isinstance(cell, SLSTM) else leaves(cell.initial_state(4))
    ours = results(cell, cell, inputs, state)
    theirs = results(cell, partial(definition, cell), inputs, state)
    for one, other in zip(ours, theirs, strict=True):
        if one is None or other is None:  # The leaf of a state that only says something.
            assert one is other
            continue
        assert torch.equal(one.isfinite(), other.isfinite())
        if cell.family != "matrix state":  # Theirs are products of inputs, which may be ∞ or ∞ − ∞ if 1e30 is in them.
            assert torch.equal(one.isnan(), other.isnan())
        finite = other.isfinite() & one.isfinite()
        assert_same([one[finite]], [other[finite]], tolerance(make))


@every_form
def test_saved_outputs_are_guarded(make: Any) -> None:
    """Changing outputs in place is either harmless or an error, never a wrong gradient."""
    cell = new_cell(make, 3, 8)
    inputs = torch.randn(2, 5, 3)
    true = torch.autograd.grad(definition(cell, inputs)[0].mul(2).sum(), list(cell.parameters()))
    outputs, _ = cell(inputs)
    try:
        outputs.mul_(2)
        ours = torch.autograd.grad(outputs.sum(), list(cell.parameters()))
    except RuntimeError:
        return
    assert_same([*ours], [*true], tolerance(make))


@every_form
def test_twice_through_one_graph(make: Any) -> None:
    cell = new_cell(make, 3, 8)
    loss = cell(torch.randn(2, 5, 3))[0].square().sum()
    once = torch.autograd.grad(loss, list(cell.parameters()), retain_graph=True)
    again = torch.autograd.grad(loss, list(cell.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))


@every_form
def test_no_gradients_wanted(make: Any) -> None:
    cell = new_cell(make, 3, 8)
    inputs = torch.randn(2, 5, 3)
    with torch.inference_mode():
        outputs, _ = cell(inputs)
    torch.testing.assert_close(outputs.clone(), definition(cell, inputs)[0].detach())


@every_form
def test_other_worlds_run_the_definition(make: Any) -> None:
    """Double precision, meta tensors, transforms and forward mode."""
    cell = new_cell(make, 3, 8)
    inputs = torch.randn(2, 5, 3)
    per_sequence = torch.func.vmap(lambda x: cell(x[None])[0][0])(inputs)
    torch.testing.assert_close(per_sequence, definition(cell, inputs)[0])
    _, tangent = torch.func.jvp(lambda x: cell(x)[0], (inputs,), (torch.ones_like(inputs),))
    assert tangent.shape == per_sequence.shape
    assert cell.to("meta")(inputs.to("meta"))[0].is_meta
    double = new_cell(make, 3, 8).double()
    assert double(inputs.double())[0].dtype == torch.float64
    assert kernels.path(double) == "definition"


@every_form
def test_switched_off(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make(3, 8)
    inputs = torch.randn(2, 5, 3)
    monkeypatch.setenv("MEMSPAN_KERNELS", "0")
    assert kernels.path(cell) == "definition"
    if inspect.getmodule(type(cell)).__name__.rpartition(".")[2] not in OWN_FORM:  # type: ignore[union-attr]
        assert torch.equal(cell(inputs)[0], definition(cell, inputs)[0])


def test_every_recurrence_of_the_suite_is_fused() -> None:
    for name in {*architectures.names()} - {"mlp", *WITHOUT_KERNEL}:
        assert kernels.path(architectures.get(name)(3, 8)) == "fused"
    for name in ("mlp", *WITHOUT_KERNEL):
        assert kernels.path(architectures.get(name)(3, 8)) == "definition"


def test_second_derivatives_are_refused() -> None:
    cell = architectures.get("lstm")(3, 8)
    inputs = torch.randn(2, 5, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(cell(inputs)[0].square().sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match=r"differentiate twice|second derivative"):
        gradient.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.float64])
@pytest.mark.parametrize("constant", [False, True])
def test_diagonal_recurrence(dtype: torch.dtype, constant: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    a = (torch.rand(7, dtype=dtype) if constant else torch.rand(4, 300, 7, dtype=dtype)) * 0.7
    b, h = torch.randn(4, 7, 300, dtype=dtype).transpose(1, 2), torch.randn(4, 7, dtype=dtype)
    direction = torch.randn(4, 300, 7, dtype=dtype)

    def run() -> list[Tensor]:
        wanted = [leaf.detach().requires_grad_() for leaf in (a, b, h)]
        states = kernels.diagonal_recurrence(*wanted)
        loss = (states * direction.conj()).sum().abs()
        return [states, *torch.autograd.grad(loss, wanted)]

    ours = run()
    monkeypatch.setenv("MEMSPAN_KERNELS", "0")
    assert_same([*ours], [*run()])


@pytest.mark.parametrize("form", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
def test_cudnn_form(form: str) -> None:
    """The same call takes CPU tensors, so that its weights and states can be checked without a GPU."""
    from suite.kernels import cudnn

    inputs = torch.randn(4, 9, 3)
    name, _, option = form.partition("_")
    cell = new_cell(partial(architectures.get(name), **_options(name, option)), 3, 8)
    state = [torch.randn_like(leaf) for leaf in leaves(cell.initial_state(4))]
    p = dict(cell.named_parameters())

    def run(x: Tensor, s: Any) -> Any:
        if name == "lstm":
            return cudnn.lstm(x, *s, p["W"], p["U"], p["b"], "hidden")
        if name == "gru":
            return cudnn.gru_after(x, s, p["W"], p["U"], p["b"], p["b_h"])
        return cudnn.elman(x, s, p["W"], p["U"], p["b"], option)

    assert_same(results(cell, run, inputs, state), results(cell, partial(definition, cell), inputs, state))


def _options(name: str, option: str) -> dict[str, str]:
    return {"rnn": {"nonlinearity": option}, "gru": {"reset": "after"}}.get(name, {})


def python(code: str, **environment: str) -> str:
    """What a new process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


TRAIN = """
import hashlib, torch
from suite.model.sequence_model import build_model
torch.set_num_threads(1)
digest = hashlib.sha256()
from suite.registry import architectures
for name in sorted({*architectures.names()} - {"attention", "mlp"}):
    model = build_model(name, {}, 3, 12, 2, depth=2, bidirectional=True, seed=1)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    inputs = torch.randn(5, 30, 3, generator=torch.Generator().manual_seed(2))
    for _ in range(5):
        optimiser.zero_grad()
        model(inputs)[0].square().mean().backward()
        optimiser.step()
    for parameter in model.parameters():
        digest.update(parameter.detach().numpy().tobytes())
print(digest.hexdigest())
"""


def test_two_processes_give_the_same_bits() -> None:
    assert python(TRAIN) == python(TRAIN)


def test_nothing_is_compiled_before_it_is_used() -> None:
    code = "import sys, suite.architectures.lstm, suite.kernels; print('numba' in sys.modules)"
    assert python(code).strip() == "False"


WITHOUT = """
import sys, torch
sys.modules["numba"] = None
from suite import kernels
from suite.registry import architectures
for name in ("lstm", "gru", "lstm"):
    cell = architectures.get(name)(3, 8)
    cell(torch.zeros(2, 5, 3))
    print(kernels.path(cell))
"""


def test_without_numba_the_definition_runs_and_one_warning_says_so() -> None:
    said = python(WITHOUT)
    assert said.count("definition\n") == 3
    assert said.count("RuntimeWarning") == 1


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """A file stands where each folder should be."""
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    code = f"""
import pathlib, tempfile
tempfile.tempdir = {str(nowhere)!r}
make = pathlib.Path.mkdir
def refuse(self, *args, **kwargs):
    if "kernels-" in self.name: raise PermissionError(13, "read-only", str(self))
    make(self, *args, **kwargs)
pathlib.Path.mkdir = refuse
import torch
from suite import kernels
from suite.registry import architectures
print(kernels.path(architectures.get("rnn")(3, 8)))
"""
    assert python(code, NUMBA_CACHE_DIR=str(nowhere)).strip() == "fused"


def test_the_cache_goes_where_numba_is_told(tmp_path: Path) -> None:
    code = "from suite import kernels; print(kernels.available('elman'))"
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)).strip() == "True"
    assert list(tmp_path.rglob("*.nbc"))


def test_processes_that_compile_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    code = "from suite import kernels; assert kernels.available('elman')"
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert python("from suite import kernels; print(kernels.available('elman'))", **environment).strip() == "True"


def test_warm_up_compiles_everything() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernels.warm_up()


def test_compiled_code_gets_whole_tensors_only() -> None:
    pytest.importorskip("numba")
    from suite.kernels._product import pack

    square = torch.arange(16.0).view(4, 4)
    with pytest.raises(RuntimeError, match="contiguous"):
        pack(torch.zeros(4, 16), square.t(), 0, 4, 16, 0, 0, 4, 4, 4, 1)
