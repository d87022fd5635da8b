"""The model: layers of a cell, in one or both directions, and a linear decoder."""

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
    """A model of ``depth`` layers of a cell, and a linear decoder of the last layer's outputs.

    In a bidirectional layer, a second cell reads the sequence from its end, and the two outputs of each step are
    concatenated (Schuster & Paliwal 1997). Each direction has the ``hidden_size``.

    A model with a ``delay`` of d answers step t after it has read step t + d, so that a single direction can use the d
    steps ahead. It reads d steps of zeros after the last input, and its first d outputs are dropped. A delay changes
    neither the parameters nor the size of the states.

    Args:
        make_cell: makes a cell from its input size and its hidden size.
        input_size: the size of each input.
        hidden_size: the size of each cell.
        output_size: the size of each output.
        depth: the number of layers.
        bidirectional: whether each layer has two directions.
        delay: the number of steps that the model reads ahead of the step that it answers.

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
        self.layers: list[list[Cell[Any]]] = []  # The cells by depth and direction.
        for _ in range(depth):
            layer = [make_cell(input_size, hidden_size) for _ in range(directions)]
            self.layers.append(layer)
            input_size = sum(cell.output_size for cell in layer)
        self.cells = nn.ModuleList(cell for layer in self.layers for cell in layer)
        self.decoder = nn.Linear(input_size, output_size)

    def initial_state(self, batch_size: int) -> list[list[Any]]:
        """Return the states before the first step, by layer and direction."""
        return [[cell.initial_state(batch_size) for cell in layer] for layer in self.layers]

    def forward(self, inputs: Tensor, state: list[list[Any]] | None = None) -> tuple[Tensor, list[list[Any]]]:
        """Return the outputs and the states after the last step.

        A backward direction begins at the end of the inputs, and so does its state. A model with a delay also reads the
        zeros after the inputs. Its last states have therefore read the zeros, and no sequence can go on from them.

        Args:
            inputs: ``[batch, time, input_size]``.
            state: the states before the first step, by layer and direction; by default, the initial ones.

        Returns:
            The outputs ``[batch, time, output_size]``, and the states by layer and direction.
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
    """Return a new model with ``options`` of its cells; see `SequenceModel`.

    With a ``seed``, the weights depend on the seed alone, and the global generators stay as they were.
    """
    make_cell = partial(architectures.get(architecture), **options)
    settings: dict[str, Any] = {"depth": depth, "bidirectional": bidirectional, "delay": delay}
    make = partial(SequenceModel, make_cell, input_size, hidden_size, output_size, **settings)
    if seed is None:
        return make()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed every accelerator.
        return make()


def model_of(config: ModelConfig, task: Task, seed: int | None = None) -> SequenceModel:
    """Return a new model of a configuration, with the inputs and outputs of a task; see `build_model`."""
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
