"""The contract of a cell, check by check, on a few random steps."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from suite.contracts.cell_probe import CHECK_BATCH_FIRST, CellProbe
from suite.contracts.checking import Check, NotApplicableError, described
from suite.model.copying import copy_of
from suite.model.states import as_real, is_differentiable, leaves, map_state

MOST_BEGINNINGS = 10
"""About so many beginnings of a sequence are compared."""
SAME_CALCULATION = 1e-6
"""The largest difference between two results of one and the same calculation, as a share of the largest number."""


def initial_state_has_the_batch_first(probe: CellProbe) -> Iterator[str]:
    """Every tensor of the initial state is ``[batch, …]``, and the rest of its shape is the same for every batch."""
    state, single = probe.initial_state(probe.batch), probe.initial_state(1)
    for leaf, alone in zip(leaves(state), leaves(single), strict=False):
        if leaf.shape[:1] != (probe.batch,) or alone.shape[:1] != (1,) or leaf.shape[1:] != alone.shape[1:]:
            yield (
                f"{probe.name}.initial_state({probe.batch}) gave {shapes(state)}, and initial_state(1) gave "
                f"{shapes(single)}; every tensor of a state is [batch, …]"
            )
            return


def step_keeps_its_shapes(probe: CellProbe) -> Iterator[str]:
    """A step gives an output ``[batch, output_size]`` and a state like the one that it was given, which may grow."""
    state, size = probe.initial_state(probe.batch), probe.output_size
    may_grow = [leaf.dim() > 1 and leaf.shape[1] == 0 for leaf in leaves(state)]
    for x in probe.inputs.unbind(1)[:3]:
        result = probe.step(x, state)
        if not _is_pair(result):
            yield f"{probe.name}.step gave {described(result)}; it returns a pair, the output and the next state"
            return
        before, (output, state) = state, result
        if not isinstance(output, Tensor) or output.shape != (probe.batch, size):
            yield (
                f"{probe.name}.step gave an output of {described(output)}; output_size says "
                f"[{probe.batch}, {size}] for a batch of {probe.batch}"
            )
        elif output.dtype != probe.dtype:
            yield f"{probe.name}.step gave an output of {output.dtype}; from inputs of {probe.dtype} it has their type"
        with probe.calling("step"):
            leaves(state)
        if not _goes_on(before, state, may_grow):
            yield (
                f"{probe.name}.step gave a state of {description(state)}, and got {description(before)}; a state keeps "
                "its shapes and types from step to step (a tensor that grows with the steps begins as [batch, 0, …])"
            )
            return


def _goes_on(before: Any, after: Any, may_grow: list[bool]) -> bool:
    """Tell whether a state has the shapes and types of the one before it, but for the length of what grows."""
    one, other = leaves(before), leaves(after)
    return len(one) == len(other) and all(
        old.dtype == new.dtype
        and (
            old.shape == new.shape
            or (
                grows
                and old.shape[:1] + old.shape[2:] == new.shape[:1] + new.shape[2:]
                and old.shape[1] <= new.shape[1]
            )
        )
        for old, new, grows in zip(one, other, may_grow, strict=True)
    )


def forward_keeps_its_shapes(probe: CellProbe) -> Iterator[str]:
    """``forward`` gives outputs ``[batch, time, output_size]`` and the last state, from a state or without one."""
    state = probe.initial_state(probe.batch)
    shape = (probe.batch, probe.time, probe.output_size)
    for given in (state, None) if probe.dtype == torch.float32 else (state,):
        result = probe.forward(probe.inputs, given)
        if not _is_pair(result):
            yield f"{probe.name}.forward gave {described(result)}; it returns a pair, the outputs and the last state"
            return
        outputs, last = result
        if not isinstance(outputs, Tensor) or outputs.shape != shape or outputs.dtype != probe.dtype:
            hint = CHECK_BATCH_FIRST if isinstance(outputs, Tensor) and outputs.shape[:1] == (probe.time,) else ""
            yield (
                f"{probe.name}.forward gave outputs of {described(outputs)}; from inputs "
                f"{described(probe.inputs)} they are {list(shape)}, {probe.dtype}{hint}"
            )
        with probe.calling("forward"):
            leaves(last)
        by_step = description(probe.scan(probe.inputs, state)[1])
        if description(last) != by_step:
            hint = CHECK_BATCH_FIRST if any(probe.time in leaf.shape[:2] for leaf in leaves(last)) else ""
            yield f"{probe.name}.forward gave a last state of {description(last)}; by step it is {by_step}{hint}"


def numbers_are_finite(probe: CellProbe) -> Iterator[str]:
    """Outputs and states are finite."""
    for tensor in leaves(probe.scan(probe.inputs, probe.initial_state(probe.batch))):
        if not tensor.isfinite().all():
            yield f"{probe.name}.step gave numbers that are not finite, from inputs of a standard normal distribution"
            return


def a_cell_keeps_nothing_else(probe: CellProbe) -> Iterator[str]:
    """The same inputs and the same state give the same outputs, and stay as they are."""
    state = probe.reached_state()
    given = [probe.inputs, *leaves(state)]
    copies = [leaf.clone() for leaf in given]
    with torch.no_grad():
        first = probe.forward(probe.inputs, state)
        if any(not torch.equal(one, other) for one, other in zip(given, copies, strict=True)):
            yield f"{probe.name} changed its inputs or its state in place; a step makes new tensors"
            return
        if not probe.agree(first, probe.forward(probe.inputs, state), SAME_CALCULATION):
            yield (
                f"{probe.name} gave other outputs when it was called again; a cell keeps nothing in attributes, and "
                "draws random numbers from torch's global generator"
            )


def forward_is_the_scan_of_step(probe: CellProbe) -> Iterator[str]:
    """``forward`` gives what ``step`` gives, one step after the other."""
    probe.check_repeatable()
    state = probe.reached_state()
    if not probe.agree(probe.forward(probe.inputs, state), probe.scan(probe.inputs, state)):
        yield f"{probe.name}.forward gave other outputs, or another last state, than step gives one by one"
    first, again = probe.initial_state(probe.batch), probe.initial_state(probe.batch)
    is_repeatable = probe.dtype == torch.float32 and probe.agree(first, again)
    if is_repeatable and not probe.agree(probe.forward(probe.inputs, None), probe.forward(probe.inputs, first)):
        yield f"{probe.name}.forward without a state gave other outputs than from initial_state"


def a_sequence_can_be_cut(probe: CellProbe) -> Iterator[str]:
    """A sequence that is processed in two parts gives what it gives as a whole."""
    probe.check_repeatable()
    state = probe.reached_state()
    whole, last = probe.forward(probe.inputs, state)
    for cut in probe.cuts:
        first, between = probe.forward(probe.inputs[:, :cut], state)
        second, end = probe.forward(probe.inputs[:, cut:], between)
        if not probe.agree((torch.cat([first, second], dim=1), end), (whole, last)):
            yield f"{probe.name}: a sequence cut in two gave other outputs than the whole; the state must hold all"
            return


def no_output_knows_a_later_input(probe: CellProbe) -> Iterator[str]:
    """An output depends on no later input."""
    probe.check_repeatable()
    state = probe.reached_state()
    outputs, _ = probe.forward(probe.inputs, state)
    for t in range(1, probe.time, max(1, probe.time // MOST_BEGINNINGS)):
        others, _ = probe.forward(torch.cat([probe.inputs[:, :t], probe.other_inputs[:, t:]], dim=1), state)
        if not probe.agree(others[:, :t], outputs[:, :t]):
            yield f"{probe.name}: an output depends on a later input (check batch_first, or a mean over time)"
            return


def rows_are_independent(probe: CellProbe) -> Iterator[str]:
    """A sequence gives the same alone as in a batch."""
    probe.check_repeatable()
    state = probe.reached_state()
    outputs, last = probe.forward(probe.inputs, state)
    for row in range(probe.batch):
        own = itemgetter(slice(row, row + 1))
        alone = probe.forward(own(probe.inputs), map_state(own, state))
        if not probe.agree(alone, map_state(own, (outputs, last))):
            yield (
                f"{probe.name}: a sequence gave other outputs alone than in a batch (check batch_first, or a mean over "
                "the batch)"
            )
            return


def gradients_reach_the_cell(probe: CellProbe) -> Iterator[str]:
    """In training mode, finite gradients reach a parameter of the cell, at the first step of a training and after."""
    trained = [parameter for parameter in probe.cell.parameters() if parameter.requires_grad]
    if not trained:
        raise NotApplicableError("none of its parameters is trained")
    probe.cell.train()
    try:
        for _ in range(2):
            gradients = _gradients(probe, trained)
            if not any(gradient.any() for gradient in gradients):
                yield (
                    f"{probe.name}: no gradient reaches any of its parameters; a cell that is not to be trained sets "
                    "requires_grad_(False)"
                )
                return
            if not all(gradient.isfinite().all() for gradient in gradients):
                yield f"{probe.name}: a gradient of its parameters is not finite"
                return
    finally:
        probe.cell.eval()


def _gradients(probe: CellProbe, parameters: list[nn.Parameter]) -> list[Tensor]:
    """Return the gradients of a random mixture of all results, of those parameters that have one."""
    outputs, last = probe.forward(probe.inputs, probe.initial_state(probe.batch))
    results = [as_real(tensor) for tensor in (outputs, *filter(is_differentiable, leaves(last)))]
    total = torch.stack([(tensor * torch.randn_like(tensor)).sum() for tensor in results]).sum()
    if not total.requires_grad:
        return []
    with probe.calling("forward, taken back for the gradient,"):
        found = torch.autograd.grad(total, parameters, allow_unused=True)
    return [gradient for gradient in found if gradient is not None]


def a_cell_can_be_copied_and_loaded(probe: CellProbe) -> Iterator[str]:
    """A copy gives the same outputs, and so does a new cell that has loaded the numbers of the old one."""
    with probe.calling("__deepcopy__"):
        copied = copy_of(probe.cell)
    with probe.calling("load_state_dict"):
        loaded = probe.new_cell()
        loaded.load_state_dict(copy.deepcopy(_detached(probe.cell)))
    if probe.draws_numbers:
        return
    with torch.no_grad():
        state = probe.reached_state()
        expected = probe.forward(probe.inputs, state)
        for cell, what in ((copied, "a copy"), (loaded, "a new cell that loaded its state_dict")):
            if not probe.agree(probe.forward(probe.inputs, state, cell), expected):
                yield f"{probe.name}: {what} gave other outputs; numbers that a cell draws are parameters or buffers"


CELL_CHECKS: tuple[tuple[Check[CellProbe], ...], ...] = (
    (initial_state_has_the_batch_first,),
    (step_keeps_its_shapes,),
    (forward_keeps_its_shapes,),
    (numbers_are_finite, a_cell_keeps_nothing_else),
    (
        forward_is_the_scan_of_step,
        a_sequence_can_be_cut,
        no_output_knows_a_later_input,
        rows_are_independent,
        gradients_reach_the_cell,
        a_cell_can_be_copied_and_loaded,
    ),
)
"""The contract of a cell, in stages."""


def shapes(state: Any) -> str:
    """Return the shapes of the tensors of a state, such as ``[3, 8] and [3, 8]``."""
    return " and ".join(str(list(leaf.shape)) for leaf in leaves(state)) or "nothing"


def description(state: Any) -> str:
    """Return the shapes and the types of the tensors of a state, such as ``[3, 8] float32``."""
    return " and ".join(described(leaf) for leaf in leaves(state)) or "nothing"


def _is_pair(result: Any) -> bool:
    return isinstance(result, tuple | list) and len(result) == 2


def _detached(cell: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in cell.state_dict().items()}
