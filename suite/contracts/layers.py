"""The contract of a layer without a step, check by check, on a few random steps."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from suite.contracts.cell_probe import CellProbe
from suite.contracts.cells import (
    a_cell_can_be_copied_and_loaded,
    a_cell_keeps_nothing_else,
    gradients_reach_the_cell,
    no_output_knows_a_later_input,
    rows_are_independent,
)
from suite.contracts.checking import Check, described


def a_layer_gives_outputs(probe: CellProbe) -> Iterator[str]:
    """``forward`` of a layer without a step gives outputs ``[batch, time, output_size]`` and nothing else."""
    outputs = probe.forward(probe.inputs, ())[0]
    shape = (probe.batch, probe.time, probe.output_size)
    if not isinstance(outputs, Tensor) or outputs.shape != shape or outputs.dtype != probe.dtype:
        yield (
            f"{probe.name}.forward gave {described(outputs)}; from inputs {described(probe.inputs)}, the outputs of a "
            f"Layer are one tensor {list(shape)}, {probe.dtype} (a pair with a state is for a Cell, which has a step"
            f"{'; check batch_first' if isinstance(outputs, Tensor) and outputs.shape[:1] == (probe.time,) else ''})"
        )


def outputs_are_finite(probe: CellProbe) -> Iterator[str]:
    """The outputs of a layer without a step are finite."""
    if not probe.forward(probe.inputs, ())[0].isfinite().all():
        yield f"{probe.name}.forward gave numbers that are not finite, from inputs of a standard normal distribution"


def a_beginning_gives_the_same(probe: CellProbe) -> Iterator[str]:
    """The first steps of a sequence give alone what they give in the whole."""
    probe.check_repeatable()
    outputs, _ = probe.forward(probe.inputs, ())
    for cut in probe.cuts:
        beginning, _ = probe.forward(probe.inputs[:, :cut], ())
        if not probe.agree(beginning, outputs[:, :cut]):
            yield f"{probe.name}: the beginning of a sequence gave other outputs alone than in the whole"
            return


LAYER_CHECKS: tuple[tuple[Check[CellProbe], ...], ...] = (
    (a_layer_gives_outputs,),
    (outputs_are_finite, a_cell_keeps_nothing_else),
    (
        a_beginning_gives_the_same,
        no_output_knows_a_later_input,
        rows_are_independent,
        gradients_reach_the_cell,
        a_cell_can_be_copied_and_loaded,
    ),
)
"""The contract of a layer without a step, in stages."""
