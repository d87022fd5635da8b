"""A cell made into a model: layers of it, one or both directions, and a linear decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from suite.architectures import Cell
from suite.experiment.run_config import ModelConfig
from suite.registry import architectures
from tasks import Task


class SequenceModel(nn.Module):
    """``depth`` layers of a cell, each in one or both directions, and a linear decoder of the last layer's output.

    In a bidirectional layer a second cell reads the sequence from its end; the two outputs of each step are
    concatenated (Schuster & Paliwal 1997), so ``hidden_size`` is the size of each direction.

    With a ``delay`` of d the model answers step t after it has read step t + d, so that one direction alone can use
    the d steps ahead: it reads d steps of zeros after the last input, and its first d outputs are dropped. It has the
    same parameters and states as without.

    Args:
        make_cell: gives a new cell from (input_size, hidden_size).

    Raises:
        ValueError: if ``delay`` is negative.
    """

    def __init__(
        self,
        make_cell: Callable[[int, int], Cell[Any]],
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        depth: int = 1,
        bidirectional: bool = False,
        delay: int = 0,
    ) -> None:
        super().__init__()
        if delay < 0:
            raise ValueError(f"delay must be at least 0 steps; got {delay}")
        self.delay = delay
        directions = 2 if bidirectional else 1
        self.layers: list[list[Cell[Any]]] = []  # by depth and direction
        for _ in range(depth):
            layer = [make_cell(input_size, hidden_size) for _ in range(directions)]
            self.layers.append(layer)
            input_size = sum(cell.output_size for cell in layer)
        self.cells = nn.ModuleList(cell for layer in self.layers for cell in layer)
        self.decoder = nn.Linear(input_size, output_size)

    def initial_state(self, batch_size: int) -> list[list[Any]]:
        """The states before the first step, by layer and direction."""
        return [[cell.initial_state(batch_size) for cell in layer] for layer in self.layers]

    def forward(self, inputs: Tensor, state: list[list[Any]] | None = None) -> tuple[Tensor, list[list[Any]]]:
        """``inputs`` ``[batch, time, input_size]`` → outputs ``[batch, time, output_size]`` and the last states.

        The state of a backward direction is the one that enters at the *end* of ``inputs``. With a delay, the end is
        that of the zeros after them: the last states have read the zeros too, so a sequence cut in two, the second half
        from the states after the first, is not the whole one.
        """
        before = self.initial_state(len(inputs)) if state is None else state
        after = []
        features = pad(inputs, (0, 0, 0, self.delay)) if self.delay else inputs
        for layer, layer_state in zip(self.layers, before, strict=True):
            forward, *backward = layer
            outputs, last = forward(features, layer_state[0])
            after.append([last])
            if backward:
                reversed_outputs, last = backward[0](features.flip(1), layer_state[1])
                outputs = torch.cat([outputs, reversed_outputs.flip(1)], dim=2)
                after[-1].append(last)
            features = outputs
        return self.decoder(features[:, self.delay :]), after


def build_model(
    architecture: str,
    options: Mapping[str, Any],
    input_size: int,
    hidden_size: int,
    output_size: int,
    *,
    depth: int = 1,
    bidirectional: bool = False,
    delay: int = 0,
    seed: int | None = None,
) -> SequenceModel:
    """A new model; with a ``seed`` its weights depend on that alone and the global generators are left as they were."""
    make_cell = partial(architectures.get(architecture), **options)
    settings: dict[str, Any] = {"depth": depth, "bidirectional": bidirectional, "delay": delay}
    make = partial(SequenceModel, make_cell, input_size, hidden_size, output_size, **settings)
    if seed is None:
        return make()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every accelerator as well
        return make()


def model_of(config: ModelConfig, task: Task, seed: int | None = None) -> SequenceModel:
    """The model of a configuration, with the inputs and outputs of a task; see ``build_model``."""
    return build_model(
        config.architecture,
        config.options,
        task.input_size,
        config.hidden_size,
        task.output_size,
        depth=config.depth,
        bidirectional=config.bidirectional,
        delay=config.delay,
        seed=seed,
    )
