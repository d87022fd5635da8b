"""The cells that cuDNN has, computed by torch's own functions, which also accept CPU tensors.

cuDNN may use TF32 (``torch.backends.cudnn.allow_tf32``) and agrees with the definition to that precision.
"""

from __future__ import annotations

import torch
from torch import Tensor


def elman(inputs: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, nonlinearity: str) -> tuple[Tensor, Tensor]:
    """Do the same as ``suite.kernels.elman``."""
    function = torch.rnn_relu if nonlinearity == "relu" else torch.rnn_tanh
    # The flags mean: with biases, one layer, no dropout, training, one direction, batch first.
    outputs, h = function(inputs, h[None], (W, U, b, torch.zeros_like(b)), True, 1, 0.0, True, False, True)
    return outputs, h[0]


def lstm(
    inputs: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor, readout: str
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Do the same as ``suite.kernels.lstm``, for the hidden readout alone, because cuDNN does not return c_t."""
    weights = (W, U, b, torch.zeros_like(b))
    outputs, h, c = torch.lstm(inputs, (h[None], c[None]), weights, True, 1, 0.0, True, False, True)
    return outputs, (h[0], c[0])


def gru_after(inputs: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, b_h: Tensor) -> tuple[Tensor, Tensor]:
    """Do the same as ``suite.kernels.gru_after``."""
    inner = torch.cat([b_h.new_zeros(2 * len(b_h)), b_h])  # The other two biases beside U are redundant.
    outputs, h = torch.gru(inputs, h[None], (W, U, b, inner), True, 1, 0.0, True, False, True)
    return outputs, h[0]
