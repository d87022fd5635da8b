"""The model: an encoder, blocks with a layer in one or both directions, and a linear decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from suite.architectures import Cell, Layer
from suite.experiment.run_config import ModelConfig
from suite.model.blocks import Block, PlainBlock, ResidualBlock, make_norm
from suite.registry import architectures
from tasks import Task


class SequenceModel(nn.Module):
    """A model of ``depth`` blocks, each with a layer in one or both directions, and a linear decoder.

    With plain blocks the model is a stack of layers. With residual blocks a linear encoder first maps the inputs to
    ``hidden_size`` features, and a norm precedes the decoder; see `suite.model.blocks`.

    In a bidirectional block, a second layer reads the sequence from its end, and the two outputs of each step are
    concatenated (Schuster & Paliwal 1997). Each direction has the ``hidden_size``.

    A model with a ``delay`` of d answers step t after it has read step t + d, so that a single direction can use the d
    steps ahead. It reads d steps of zeros after the last input, and its first d outputs are dropped. A delay changes
    neither the parameters nor the size of the states.

    Args:
        make_layer: makes a layer from its input size and its hidden size.
        input_size: the size of each input.
        hidden_size: the size of each layer, and of the features between residual blocks.
        output_size: the size of each output.
        depth: the number of blocks.
        bidirectional: whether each block has two directions.
        delay: the number of steps that the model reads ahead of the step that it answers.
        block: the form of the blocks, ``"plain"`` or ``"residual"``.
        norm: the norm of a residual block, ``"rms"`` or ``"layer"``.
        mixer: the width of the mixer of a residual block as a multiple of ``hidden_size``; 0 leaves it out.
        dropout: the share of the outputs of each layer that are set to 0 in training.

    Raises:
        ValueError: if ``delay`` is negative, or an argument is not one of its choices.
    """

    def __init__(
        self,
        make_layer: Callable[[int, int], Layer],
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        depth: int = 1,
        bidirectional: bool = False,
        delay: int = 0,
        block: Literal["plain", "residual"] = "plain",
        norm: Literal["rms", "layer"] = "rms",
        mixer: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if delay < 0:
            raise ValueError(f"delay must be at least 0 steps; got {delay}")
        if block not in ("plain", "residual"):
            raise ValueError(f"block must be 'plain' or 'residual'; got {block!r}")
        self.input_size = input_size
        self.delay = delay
        is_residual = block == "residual"
        self.encoder = nn.Linear(input_size, hidden_size) if is_residual else nn.Identity()
        size = hidden_size if is_residual else input_size
        self.layers: list[list[Layer]] = []  # The layers by depth and direction.
        blocks: list[Block] = []
        for _ in range(depth):
            layers = [make_layer(size, hidden_size) for _ in range(2 if bidirectional else 1)]
            layer_size = sum(layer.output_size for layer in layers)
            self.layers.append(layers)
            if is_residual:
                blocks.append(ResidualBlock(size, layer_size, norm, mixer, dropout))
            else:
                blocks.append(PlainBlock(dropout))
                size = layer_size
        self.cells = nn.ModuleList(layer for layers in self.layers for layer in layers)
        self.blocks: Sequence[Block] = nn.ModuleList(blocks)  # type: ignore[assignment]
        self.norm = make_norm(norm, size) if is_residual else nn.Identity()
        self.decoder = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> list[list[Any]]:
        """Return the states before the first step, by depth and direction. A layer without a step has ``()``."""
        return [
            [layer.initial_state(batch_size) if isinstance(layer, Cell) else () for layer in layers]
            for layers in self.layers
        ]

    def forward(self, inputs: Tensor, state: list[list[Any]] | None = None) -> tuple[Tensor, list[list[Any]]]:
        """Return the outputs and the states after the last step.

        A backward direction begins at the end of the inputs, and so does its state. A model with a delay also reads the
        zeros after the inputs. Its last states have therefore read the zeros, and no sequence can go on from them.

        Args:
            inputs: ``[batch, time, input_size]``.
            state: the states before the first step, by depth and direction; by default, the initial ones.

        Returns:
            The outputs ``[batch, time, output_size]``, and the states by depth and direction.
        """
        before = self.initial_state(len(inputs)) if state is None else state
        after = []
        features = self.encoder(pad(inputs, (0, 0, 0, self.delay)) if self.delay else inputs)
        for layers, block, states in zip(self.layers, self.blocks, before, strict=True):
            read = block.before(features)
            outputs, last = run_layer(layers[0], read, states[0])
            after.append([last])
            if len(layers) > 1:
                reversed_outputs, last = run_layer(layers[1], read.flip(1), states[1])
                outputs = torch.cat([outputs, reversed_outputs.flip(1)], dim=2)
                after[-1].append(last)
            features = block.after(features, outputs)
        return self.decode(features[:, self.delay :]), after

    def decode(self, features: Tensor) -> Tensor:
        """Return the outputs ``[..., output_size]`` for the features after the last block."""
        outputs: Tensor = self.decoder(self.norm(features))
        return outputs


def run_layer(layer: Layer, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Return the outputs of a layer and its last state, which is ``()`` for a layer without a step."""
    if isinstance(layer, Cell):
        outputs, last = layer(inputs, state)
        return outputs, last
    return layer(inputs), ()


def build_model(
    architecture: str,
    options: Mapping[str, Any],
    input_size: int,
    hidden_size: int,
    output_size: int,
    *,
    seed: int | None = None,
    **shape: Any,
) -> SequenceModel:
    """Return a new model with ``options`` of its layers, and with ``shape`` as further arguments of `SequenceModel`.

    With a ``seed``, the weights depend on the seed alone, and the global generators stay as they were.
    """
    make_layer = partial(architectures.get(architecture), **options)
    make = partial(SequenceModel, make_layer, input_size, hidden_size, output_size, **shape)
    if seed is None:
        return make()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed every accelerator.
        return make()


def model_of(config: ModelConfig, task: Task, seed: int | None = None) -> SequenceModel:
    """Return a new model of a configuration, with the inputs and outputs of a task; see `build_model`."""
    sizes = task.input_size, config.hidden_size, task.output_size
    return build_model(config.architecture, config.options, *sizes, seed=seed, **config.shape)
