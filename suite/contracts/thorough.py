"""What a cell, a layer and a task are also held to where there is time for it: in `memspan check` and in the tests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from suite.architectures import Cell, Layer
from suite.contracts.cell_probe import CellProbe
from suite.contracts.checking import Check, NotApplicableError
from suite.contracts.tasks import TaskProbe
from suite.model.copying import copy_of
from suite.model.states import as_real, in_double, is_differentiable, leaves, map_state

TRAINING_STEPS = 3
"""A gradient that is 0 at first, as behind a weight of 0, has so many steps to become another."""
LEARNING_RATE = 0.01


def trained(layer: Layer, inputs: Tensor) -> Layer:
    """Take the first steps of a training, so that no parameter keeps the value that it began with."""
    for _ in _training(layer, inputs):
        pass
    return layer.eval()


def _training(layer: Layer, inputs: Tensor) -> Iterator[dict[str, Tensor | None]]:
    """Train a layer for a few steps on targets that are drawn at random, and yield its gradients by name."""
    named = {name: parameter for name, parameter in layer.named_parameters() if parameter.requires_grad}
    if not named:
        return
    optimizer = torch.optim.Adam(named.values(), LEARNING_RATE)
    for _ in range(TRAINING_STEPS):
        result = layer.train()(inputs)
        outputs = result[0] if isinstance(layer, Cell) else result
        optimizer.zero_grad()
        (outputs - torch.randn_like(outputs)).square().mean().backward()
        yield {name: parameter.grad for name, parameter in named.items()}
        optimizer.step()


def gradients_reach_every_parameter(probe: CellProbe) -> Iterator[str]:
    """In the first steps of a training, gradients from the outputs reach every parameter that is trained."""
    named = [name for name, parameter in probe.cell.named_parameters() if parameter.requires_grad]
    if not named:
        raise NotApplicableError("none of its parameters is trained")
    with probe.calling("forward, taken back for the gradient,"):
        every_step = list(_reached(_training(copy_of(probe.cell), probe.inputs)))
    missing = [name for name in named if name not in set(chain.from_iterable(every_step))]
    probe.figure = f"{len(named) - len(missing)} of {len(named)} are reached"
    if missing:
        yield (
            f"{probe.name}: no gradient reaches {', '.join(missing)}; make no parameter that is not used, or give it "
            "requires_grad_(False)"
        )


def _reached(steps: Iterator[dict[str, Tensor | None]]) -> Iterator[list[str]]:
    for gradients in steps:
        yield [name for name, gradient in gradients.items() if gradient is not None and bool(gradient.any())]


def forward_has_the_gradients_of_step(probe: CellProbe) -> Iterator[str]:
    """The gradients of ``forward`` are those of ``step``, one step after the other."""
    if type(probe.cell).forward is Cell.forward:
        raise NotApplicableError("forward is inherited")
    probe.check_repeatable()
    parameters = [parameter for parameter in probe.cell.parameters() if parameter.requires_grad]
    state = map_state(
        lambda leaf: leaf.detach().requires_grad_() if is_differentiable(leaf) else leaf, probe.reached_state()
    )
    inputs = probe.inputs.clone().requires_grad_()
    sources = [inputs, *filter(is_differentiable, leaves(state)), *parameters]

    def gradients(outputs: Tensor, last: Any) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(0)
        results = [as_real(result) for result in (outputs, *filter(is_differentiable, leaves(last)))]
        weights = [torch.randn(result.shape, dtype=result.dtype, generator=generator) for result in results]
        total = torch.stack([(result * w).sum() for result, w in zip(results, weights, strict=True)]).sum()
        with probe.calling("forward, taken back for the gradient,"):
            return torch.autograd.grad(total, sources, materialize_grads=True)

    if not probe.agree(gradients(*probe.forward(inputs, state)), gradients(*probe.scan(inputs, state))):
        yield f"{probe.name}.forward has other gradients than step, one by one"


def double_precision_gives_the_same(probe: CellProbe) -> Iterator[str]:
    """The cell also calculates in double precision, as the diagnostics of gradients do, and gives the same."""
    if probe.dtype == torch.float64:
        raise NotApplicableError("this is double precision")
    state = probe.initial_state(probe.batch)
    with probe.calling("double"):
        double = copy_of(probe.cell).double()
    outputs, last = probe.forward(probe.inputs.double(), in_double(state) if state != () else (), double)
    if outputs.dtype != torch.float64:
        yield f"{probe.name}.forward gave outputs of {outputs.dtype}; from inputs of torch.float64 they have their type"
        return
    probe.check_repeatable()
    if not probe.agree((outputs, last), in_double(probe.forward(probe.inputs, state))):
        yield f"{probe.name} gave other outputs in double precision"


def training_draws_from_the_global_generator(probe: CellProbe) -> Iterator[str]:
    """In training mode too, all random numbers come from torch's global generator, which is seeded for each run."""
    if probe.dtype != torch.float32:
        raise NotApplicableError("this is a matter of single precision")
    before = {name: tensor.detach().clone() for name, tensor in probe.cell.state_dict().items()}
    probe.cell.train()
    try:
        first = probe.forward(probe.inputs, None)
        probe.cell.load_state_dict(before)  # A step of a training may change buffers, such as running means.
        again = probe.forward(probe.inputs, None)
        probe.cell.load_state_dict(before)
    finally:
        probe.cell.eval()
    if not probe.agree(first, again):
        yield (
            f"{probe.name}, in training mode, gave other outputs from the same seed; it draws random numbers from "
            "torch's global generator, and keeps nothing in attributes"
        )


THOROUGH_LAYER_CHECKS: tuple[tuple[Check[CellProbe], ...], ...] = (
    (training_draws_from_the_global_generator, gradients_reach_every_parameter, double_precision_gives_the_same),
)
"""Further rules for layers without a step."""
THOROUGH_CELL_CHECKS: tuple[tuple[Check[CellProbe], ...], ...] = (
    (*THOROUGH_LAYER_CHECKS[0], forward_has_the_gradients_of_step),
)
"""Further rules for cells."""


def the_right_answers_score_one(probe: TaskProbe) -> Iterator[str]:
    """The right answers have score, skill and success 1."""
    batch = probe.sample()
    for member, value in zip(
        ("score", "skill", "success"), probe.scores(probe.right_answer(batch), batch), strict=True
    ):
        if abs(float(value) - 1) > 1e-6:
            yield f"{probe.name}.{member} gave {float(value):.6g} for the right answers; they have 1"


def only_scored_steps_count(probe: TaskProbe) -> Iterator[str]:
    """The outputs at steps that the mask leaves out do not change the score."""
    batch = probe.sample()
    if batch.mask.all():
        raise NotApplicableError("every step is scored")
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(*batch.mask.shape, probe.task.output_size, generator=generator)
    others = torch.where(batch.mask.unsqueeze(2), outputs, -outputs - 1.0)
    with probe.calling("score"):
        scores = [float(probe.task.score(each, batch)) for each in (outputs, others)]
    if abs(scores[0] - scores[1]) > 1e-6:
        yield f"{probe.name}.score changes with the outputs at steps that the mask leaves out; only masked steps count"


def other_seeds_give_other_batches(probe: TaskProbe) -> Iterator[str]:
    """Another seed gives another batch."""
    batches = [probe.sample(seed=seed) for seed in (0, 1, 2)]
    if all(torch.equal(batches[0].inputs, other.inputs) for other in batches[1:]):
        yield f"{probe.name}.sample gave the same inputs from three seeds; it draws them from the generator"


THOROUGH_TASK_CHECKS: tuple[tuple[Check[TaskProbe], ...], ...] = (
    (the_right_answers_score_one, only_scored_steps_count, other_seeds_give_other_batches),
)
"""Further rules for tasks."""
