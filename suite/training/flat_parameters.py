"""A model's parameters as one vector, so that clipping and the optimiser are one operation each."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FlatParameters:
    """``values``: all trainable parameters of a model in one vector, ``values.grad`` their gradients.

    The model's own parameters and gradients become views of the two: autograd adds to them in place, and an update of
    the vector is an update of the model. An optimiser that treats every number alike (SGD, RMSprop, Adam) gives what
    it gives for the parameters one by one; one that gets no gradient has a gradient of 0. Make it after the model is on
    its device.

    They must all have one type; planning refuses others.
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
        self.gradient.zero_()

    def clip_gradient(self, threshold: float) -> Tensor:
        """Scale the gradient to the norm ``threshold`` if it is longer; returns its norm before (a scalar).

        Source: Pascanu, Mikolov & Bengio 2013, §3.2.
        """
        norm: Tensor = torch.linalg.vector_norm(self.gradient)
        if threshold < math.inf:
            self.gradient.mul_((threshold / (norm + 1e-6)).clamp(max=1.0))
        return norm
