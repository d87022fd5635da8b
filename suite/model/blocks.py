"""The blocks of which a model is built: what happens to the features before and after the layer of a block.

Both maps work on the features of single steps, ``[..., features]``, so they serve whole sequences and steps alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import gelu

from suite import kernels

EPSILON = 1e-5
"""The number that is added to a mean square before a norm divides by its root, as in torch's ``LayerNorm``."""


class Block(nn.Module, ABC):
    """What happens to the features before and after a layer."""

    @abstractmethod
    def before(self, x: Tensor) -> Tensor:
        """Return what the layer reads."""

    @abstractmethod
    def after(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the features after the block, from those before it, ``x``, and the outputs of the layer, ``y``."""


class PlainBlock(Block):
    """The layer alone, which is the form of the founding lesson: x ← layer(x).

    Dropout applies to the outputs of the layer and never within its recurrence (Zaremba, Sutskever & Vinyals 2014).

    Args:
        dropout: the share of the features that are set to 0 in training.
    """

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = _dropout(dropout)

    def before(self, x: Tensor) -> Tensor:
        return x

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        outputs: Tensor = self.dropout(y)
        return outputs


class ResidualBlock(Block):
    """A layer in a pre-norm residual block, which is the form in which today's architectures are used::

        x ← x + P layer(norm(x))
        x ← x + W₂ φ(W₁ norm(x))      with a mixer, where φ is GELU

    P maps the outputs of the layer (of both directions, if there are two) to the features. The mixer is the
    feed-forward part of a transformer. Dropout applies to what is added. All maps have biases, and the initial values
    are torch's own.

    Args:
        size: the number of features, which is the hidden size of the model.
        layer_size: the number of outputs of the layer.
        norm: ``"rms"`` (Zhang & Sennrich 2019) or ``"layer"`` (Ba, Kiros & Hinton 2016).
        mixer: the width of the mixer as a multiple of ``size``; 0 leaves it out.
        dropout: the share of the features that are set to 0 in training.

    Source: Xiong et al. 2020 (pre-norm); Gu & Dao 2023 and Beck et al. 2024 use the same form around other layers.

    Raises:
        ValueError: if the width of the mixer is rounded to 0.
    """

    def __init__(self, size: int, layer_size: int, norm: Literal["rms", "layer"], mixer: float, dropout: float) -> None:
        super().__init__()
        self.norm = make_norm(norm, size)
        self.project = nn.Linear(layer_size, size)
        self.dropout = _dropout(dropout)
        self.width = round(mixer * size)
        if mixer and not self.width:
            raise ValueError(
                f"a mixer must have a width of at least 1; mixer = {mixer:g} of hidden_size {size} gives 0 "
                "(mixer = 0 leaves it out)"
            )
        if self.width:
            self.mixer_norm = make_norm(norm, size)
            self.widen, self.narrow = nn.Linear(size, self.width), nn.Linear(self.width, size)

    def before(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(x)
        return normed

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        # x ← x + P layer(norm(x))
        x = x + self.dropout(self.project(y))
        # x ← x + W₂ φ(W₁ norm(x))
        return x + self.dropout(self.narrow(gelu(self.widen(self.mixer_norm(x))))) if self.width else x


class RMSNorm(nn.RMSNorm):
    """PyTorch's RMS norm, with a fused kernel for sequences on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        kernel = kernels.find("rms_norm", x, self.weight)
        if kernel is None:
            return super().forward(x)
        outputs: Tensor = kernel(x, self.weight, self.eps)
        return outputs


def make_norm(kind: Literal["rms", "layer"], size: int) -> nn.Module:
    """Return a norm over the features of each step, whose gains no weight decay pulls to 0.

    Raises:
        ValueError: if there is no norm of this kind.
    """
    if kind == "rms":
        norm: nn.Module = RMSNorm(size, eps=EPSILON)
        norm.without_weight_decay = ("weight",)  # type: ignore[assignment]
    elif kind == "layer":
        norm = nn.LayerNorm(size, eps=EPSILON)
        norm.without_weight_decay = ("weight", "bias")  # type: ignore[assignment]
    else:
        raise ValueError(f"norm must be 'rms' or 'layer'; got {kind!r}")
    return norm


def _dropout(share: float) -> nn.Module:
    return nn.Dropout(share) if share else nn.Identity()
