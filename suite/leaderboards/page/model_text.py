"""The sizes and the form of the models of an experiment, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from suite.experiment.tables import Size

NORMS = {"rms": "an RMS norm", "layer": "a layer norm"}
UNLESS = "unless their row says otherwise"


def model_sentences(model: Size) -> str:
    """Return how large the models are and what they are built of, for models of the table ``[model]``."""
    return " ".join([*_size(model), *_form(model)])


def _size(model: Size) -> Iterator[str]:
    """Yield the sentence on the size; a search for the hidden size has none."""
    if model.parameters:
        yield f"Architectures have {model.parameters:,} parameters to 5 %, {UNLESS}."
    elif model.state:
        yield f"Architectures carry {model.state:,} numbers after a training sequence, to 5 %, {UNLESS}."
    elif model.hidden_size:
        yield f"Architectures have the hidden size {model.hidden_size:,}, {UNLESS}."


def _form(model: Size) -> Iterator[str]:
    directions = " in both directions" if model.bidirectional else ""
    if model.block == "plain":
        layers = "one layer" if model.depth == 1 else f"{model.depth} layers"
        yield f"A model is {layers}{directions} and a linear decoder."
    else:
        blocks = "one residual block" if model.depth == 1 else f"{model.depth} residual blocks"
        yield f"A model is a linear encoder, {blocks}, {NORMS[model.norm]} and a linear decoder."
        mixer = f", and then those of a mixer of {model.mixer:g} times the hidden size" if model.mixer else ""
        norm = f"{NORMS[model.norm]} precedes {'each' if model.mixer else 'it'}"
        yield f"A block adds to the features the outputs of a layer{directions}{mixer}; {norm}."
    if model.dropout:
        yield f"In training, {100 * model.dropout:g} % of the outputs of each layer are set to 0."
    if model.delay:
        yield f"A model answers each step after it has read {model.delay} more."
