"""The speed of every architecture at equal parameters, beside our LSTM and what a user would install instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from suite import kernels
from suite.architectures import Cell, Layer
from suite.model.sequence_model import SequenceModel
from suite.model.sizing import Budget, match_hidden_size
from suite.numerics import numerics
from suite.timing.cell_speed import Timed, forms, medians, training_step
from suite.timing.peers import peer_of

TIME, BATCH, INPUT_SIZE, PARAMETERS = 128, 32, 64, 20_000
TOLERANCE = 0.2
"""The share of the parameters by which a layer may differ, because its heads must divide its size."""


def equal_parameters_table(
    repetitions: int = 21,
    peers: bool = False,
    on_form: Callable[[str, int, int], None] = lambda form, place, forms: None,
) -> list[dict[str, Any]]:
    """Return one row per form of an architecture, with about 20,000 parameters, on one thread.

    A row has the form, its hidden size, parameters and path, and the medians of a pass forward and backward of our
    layer, ``ours_ms``, and of the peer's, ``peer_ms``. ``to_lstm`` and ``to_peer`` divide our time by that of our LSTM
    and by that of the peer. ``block_to_lstm`` compares models with a residual block, which have 20,000 parameters as a
    whole. All that is divided takes turns, so that a busy moment hits it alike.

    Args:
        repetitions: the number of repetitions, of which a form, the LSTM and the peer have equally many.
        peers: whether the layers of other packages are measured too.
        on_form: receives the name of each form before it is measured, its place from 0 on, and the number of forms.

    Raises:
        InputError: if ``peers`` is set and a package is not installed.
    """
    makers = dict(forms())
    sizes = {form: _hidden_size(make, "plain") for form, make in makers.items()}
    layers = {form: make(INPUT_SIZE, sizes[form]) for form, make in makers.items()}
    beside = {form: peer_of(form, layers[form], INPUT_SIZE, sizes[form]) if peers else None for form in layers}
    inputs = torch.randn(BATCH, TIME, INPUT_SIZE)
    lstm, lstm_block = layers["lstm hidden"], _in_a_block(makers["lstm hidden"])
    rows = []
    with numerics():
        kernels.warm_up()
        for place, (form, layer) in enumerate(layers.items()):
            on_form(form, place, len(layers))
            block, peer = _in_a_block(makers[form]), beside[form]
            timed: dict[str, tuple[nn.Module, Callable[[Tensor], Any]]] = {
                "lstm": (lstm, lstm), "ours": (layer, layer),
                "lstm block": (lstm_block, lstm_block), "block": (block, block),
            }  # fmt: skip
            if peer is not None:
                timed["peer"] = peer.module, peer.forward
            functions: dict[tuple[str, str], Timed] = {
                (kind, ""): training_step(module, forward, inputs) for kind, (module, forward) in timed.items()
            }
            times = {kind: milliseconds for (kind, _), milliseconds in medians(functions, repetitions).items()}
            rows.append(
                {
                    "form": form,
                    "family": layer.family,
                    "hidden": sizes[form],
                    "parameters": sum(p.numel() for p in layer.parameters() if p.requires_grad),
                    "path": kernels.path(layer) if isinstance(layer, Cell) else None,
                    "to_lstm": times["ours"] / times["lstm"],
                    "block_to_lstm": times["block"] / times["lstm block"],
                    "to_peer": times["ours"] / times["peer"] if peer is not None else None,
                    "peer": peer.package if peer is not None else None,
                    "ours_ms": times["ours"],
                    "peer_ms": times.get("peer"),
                }
            )
    return rows


def _in_a_block(make: Callable[[int, int], Layer]) -> SequenceModel:
    """Return a model with a residual block and about 20,000 parameters."""
    return SequenceModel(make, INPUT_SIZE, _hidden_size(make, "residual"), 1, block="residual")


def _hidden_size(make: Callable[[int, int], Layer], block: Literal["plain", "residual"]) -> int:
    """Return the hidden size with which a model with one output has about 20,000 parameters."""

    def model(hidden_size: int) -> SequenceModel:
        return SequenceModel(make, INPUT_SIZE, hidden_size, 1, block=block)

    return match_hidden_size(Budget("parameters", PARAMETERS), model, TOLERANCE)
