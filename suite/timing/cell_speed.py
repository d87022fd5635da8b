"""The speed of the cells, forward and backward, against torch's own cell, the definition's loop and the floor.

The floor of a cell is the time of its matrix products alone, done by torch: the input's product, one product per step
forward and one backward, and the products of the weights' gradients.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from statistics import median
from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor, nn

from suite import kernels
from suite.architectures import Cell, Layer
from suite.numerics import numerics
from suite.options import option_types
from suite.registry import architectures

FAMILIES = ("simple", "gated")
"""The families of cells that torch has as well, and that are mostly matrix products."""
SIZES = ((100, 32, 64), (200, 64, 128), (1000, 20, 32))  # (time, batch, hidden)
DIAGONAL_SIZE = (512, 32, 64)
INPUT_SIZE = 10
TORCH: dict[str, Callable[..., nn.Module]] = {
    "rnn": nn.RNN,
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
"""Torch's own cells, by the first word of an architecture's name."""

SAME = ("init", "without")
"""Options that do not change the time: the kernel calculates a gate even where it is left out."""

Timed = Callable[[], object]
"""A function that is timed."""
SLOW_SECONDS, FEWEST = 0.5, 3
"""A function whose first call takes longer is repeated no more often than this."""


def speed_table(
    sizes: Sequence[tuple[int, int, int]] = SIZES, repetitions: int = 21, definition: bool = True
) -> list[dict[str, Any]]:
    """Return one row per size and form of a simple or gated cell, and one for the diagonal recurrence, on one thread.

    ``to_torch``, ``to_lstm``, ``to_floor`` and ``to_definition`` are our time as a multiple of that of torch's own
    cell, of our LSTM, of the floor and of the definition's loop, or None where there is no such thing. The other
    columns name the form and its size and give the medians in milliseconds. Repetitions are interleaved, so that a busy
    moment of the machine hits all alike.
    """
    with numerics():
        kernels.warm_up()
        rows = [row for size in sizes for row in _cells(size, repetitions, definition)]
        return [*rows, _diagonal(DIAGONAL_SIZE, repetitions, definition)]


def _cells(size: tuple[int, int, int], repetitions: int, definition: bool) -> list[dict[str, Any]]:
    steps, batch, hidden = size
    inputs = torch.randn(batch, steps, INPUT_SIZE)
    layers = {form: make(INPUT_SIZE, hidden) for form, make in forms(FAMILIES)}
    cells = {form: cell for form, cell in layers.items() if isinstance(cell, Cell)}
    functions: dict[tuple[str, str], Timed] = {}
    for form, cell in cells.items():
        functions[form, "ours"] = training_step(cell, cell, inputs)
        if (theirs := _torch_cell(form, hidden)) is not None:
            functions[form, "torch"] = training_step(theirs, theirs, inputs)
        if getattr(cell, "U", None) is not None and cell.get_parameter("U").requires_grad:
            functions[form, "floor"] = _floor(cell, inputs)
        if definition:
            functions[form, "definition"] = training_step(cell, partial(Cell.forward, cell), inputs)
    found = medians(functions, repetitions)
    lstm = found.get(("lstm hidden", "ours"))
    return [_row(form, size, kernels.path(cell), found, lstm) for form, cell in cells.items()]


def _diagonal(size: tuple[int, int, int], repetitions: int, definition: bool) -> dict[str, Any]:
    """Return the row of h_t = a_t ⊙ h_{t−1} + b_t, beside torch's LSTM of the same width."""
    steps, batch, units = size
    a, b = torch.rand(batch, steps, units).requires_grad_(), torch.randn(batch, steps, units).requires_grad_()
    up = torch.randn(batch, steps, units)
    form = "diagonal recurrence"

    def ours(scan: Callable[[Tensor, Tensor], Tensor]) -> object:
        return torch.autograd.grad(scan(a, b), [a, b], up)

    lstm = nn.LSTM(units, units, batch_first=True)
    functions: dict[tuple[str, str], Timed] = {
        (form, "ours"): partial(ours, kernels.diagonal_recurrence),
        (form, "torch"): training_step(lstm, lstm, b.detach()),
    }
    if definition:
        functions[form, "definition"] = partial(ours, kernels.diagonal_definition)
    path = "fused" if kernels.available("diagonal") else "definition"
    return _row(form, size, path, medians(functions, repetitions), None)


def _row(
    form: str, size: tuple[int, int, int], path: str, found: dict[tuple[str, str], float], lstm: float | None
) -> dict[str, Any]:
    ours, theirs, floor, loop = (found.get((form, kind)) for kind in ("ours", "torch", "floor", "definition"))
    assert ours is not None

    def ratio(other: float | None) -> float | None:
        return None if other is None else ours / other

    return {
        "to_torch": ratio(theirs), "to_lstm": ratio(lstm), "to_floor": ratio(floor), "to_definition": ratio(loop),
        "form": form, "time": size[0], "batch": size[1], "hidden": size[2], "path": path,
        "ours_ms": ours, "torch_ms": theirs, "floor_ms": floor, "definition_ms": loop,
    }  # fmt: skip


def forms(families: Sequence[str] = ()) -> Iterator[tuple[str, Callable[[int, int], Layer]]]:
    """Yield the makers of all architectures of some families, or of all, in all forms.

    A form is a combination of the ``Literal`` options that change what is calculated. A maker receives the input size
    and the hidden size.
    """
    for name in architectures.names():
        make = architectures.get(name)
        if families and make.family not in families:
            continue
        types = option_types(make)
        choices = {key: get_args(t) for key, (t, _) in types.items() if key not in SAME and get_origin(t) is Literal}
        for values in product(*choices.values()):
            yield " ".join([name, *values]), partial(make, **dict(zip(choices, values, strict=True)))


def _torch_cell(form: str, hidden: int) -> nn.Module | None:
    kind = TORCH.get(form.split()[0].split("_")[0])
    if kind is None:
        return None
    options = {"nonlinearity": "relu"} if form == "rnn relu" else {}
    return kind(INPUT_SIZE, hidden, batch_first=True, **options)


def training_step(module: nn.Module, forward: Callable[[Tensor], Any], inputs: Tensor) -> Timed:
    """Return a pass forward and backward of a first layer, which gets a gradient of its outputs and returns none.

    A layer without trained parameters, such as a reservoir, only has a pass forward.

    Args:
        module: the layer.
        forward: returns its outputs ``[batch, time, features]``, or a tuple that begins with them.
        inputs: the inputs, ``[batch, time, input]``.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def outputs() -> Tensor:
        returned = forward(inputs)
        return returned[0] if isinstance(returned, tuple) else returned  # type: ignore[no-any-return]

    if not parameters:
        return outputs
    up = torch.randn_like(outputs())
    return lambda: torch.autograd.grad(outputs(), parameters, up, allow_unused=True)


def _floor(cell: Cell[Any], inputs: Tensor) -> Timed:
    """Return the matrix products of a cell alone."""
    hidden, W = cell.hidden_size, cell.get_parameter("W").detach()
    matrices = [p.detach() for p in cell.parameters() if p.dim() == 2 and p.shape[1] == hidden and len(p) >= hidden]
    matrices = [matrix for matrix in matrices if matrix.data_ptr() != W.data_ptr()]  # U, and P where it is a matrix
    steps = inputs.transpose(0, 1).contiguous()
    flat = steps.flatten(0, 1)
    a = torch.zeros(len(steps), inputs.shape[0], len(W))
    h = torch.zeros(len(steps), inputs.shape[0], hidden)

    def run() -> None:
        torch.mm(flat, W.t(), out=a.view(-1, len(W)))
        for U in matrices:
            gates, back = a[:, :, : len(U)], torch.empty_like(h[0])
            product = torch.empty(inputs.shape[0], len(U))
            for t in range(len(steps)):
                torch.mm(h[t], U.t(), out=product)
            for t in range(len(steps)):
                torch.mm(gates[t], U, out=back)
            gates.flatten(0, 1).t() @ h.flatten(0, 1)
        a.flatten(0, 1).t() @ flat

    return run


def medians(functions: dict[tuple[str, str], Timed], repetitions: int) -> dict[tuple[str, str], float]:
    """Return the median time of each function in milliseconds.

    All functions take turns. Before each call that counts stands one that does not, because a function would otherwise
    find in the cache what the one before it left there. The definition's loop takes most of the time and is far from
    the others, so it has a third of the repetitions, and what takes longer than half a second has three.
    """
    times: dict[tuple[str, str], list[float]] = {key: [] for key in functions}
    slow: set[tuple[str, str]] = set()
    for repetition in range(repetitions + 1):
        for key, function in functions.items():
            if key[1] == "definition" and repetition and repetition % 3 != 1:
                continue
            if key in slow and len(times[key]) >= FEWEST:
                continue
            if repetition and key not in slow:
                function()
            start = time.perf_counter()
            function()
            seconds = time.perf_counter() - start
            if repetition:
                times[key].append(1000 * seconds)
            elif seconds > SLOW_SECONDS:
                slow.add(key)
    return {key: median(values) for key, values in times.items()}
