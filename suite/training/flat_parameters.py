"""The parameters of a model as one vector, which makes clipping and an optimiser step single operations."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FlatParameters:
    """All trainable parameters of a model in one vector, ``values``, with their gradients in ``values.grad``.

    The parameters of the model and their gradients become views of the two vectors. Autograd adds to the gradients in
    place, and an update of ``values`` is an update of the model. An optimiser that treats every number alike (SGD,
    RMSprop, Adam) gives the same result as with separate parameters. A parameter without a gradient has the gradient 0.

    All parameters must have one type, which planning checks. The model must be on its device already.
    """

    def __init__(self, model: nn.Module) -> None:
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        sizes = [parameter.numel() for parameter in parameters]
        self.values = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
        self.gradient = torch.zeros_like(self.values)
        self.values.grad = self.gradient
        values, gradients = torch.split(self.values.detach(), sizes), torch.split(self.gradient, sizes)
        for parameter, value, gradient in zip(parameters, values, gradients, strict=True):
            parameter.data, parameter.grad = value.view_as(parameter), gradient.view_as(parameter)

    def clear_gradient(self) -> None:
        """Set the gradient to 0, in place."""
        self.gradient.zero_()

    def clip_gradient(self, threshold: float) -> Tensor:
        """Scale the gradient to the norm ``threshold`` if its norm is larger, and return the norm before (a scalar).

        Source: Pascanu, Mikolov & Bengio 2013, §3.2.
        """
        norm: Tensor = torch.linalg.vector_norm(self.gradient)
        if threshold < math.inf:
            self.gradient.mul_((threshold / (norm + 1e-6)).clamp(max=1.0))
        return norm
