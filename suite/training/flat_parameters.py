"""The parameters of a model as one vector, which makes clipping and an optimiser step single operations."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from suite.model.weight_decay import by_weight_decay


class FlatParameters:
    """All trainable parameters of a model in one vector, ``values``, with their gradients in ``gradient``.

    The parameters of the model and their gradients become views of the two vectors. Autograd adds to the gradients in
    place, and an update of ``values`` is an update of the model. An optimiser that treats every number alike (SGD,
    RMSprop, Adam, AdamW) gives the same result as with separate parameters. A parameter without a gradient has the
    gradient 0. Parameters without weight decay stand behind the others, so that each kind is one piece of the vector.

    All parameters must have one type, which planning checks. The model must be on its device already. Frozen parameters
    stay where they are.
    """

    def __init__(self, model: nn.Module) -> None:
        kinds = by_weight_decay(model)
        parameters = [parameter for kind in kinds for parameter in kind]
        sizes = [parameter.numel() for parameter in parameters]
        self.kind_sizes = [sum(parameter.numel() for parameter in kind) for kind in kinds]
        """The number of values with weight decay, and of those without."""
        self.values = torch.cat([parameter.detach().flatten() for parameter in parameters])
        self.gradient = torch.zeros_like(self.values)
        values, gradients = torch.split(self.values, sizes), torch.split(self.gradient, sizes)
        for parameter, value, gradient in zip(parameters, values, gradients, strict=True):
            parameter.data, parameter.grad = value.view_as(parameter), gradient.view_as(parameter)

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups of parameters for an optimiser: one, or two if only a part of the vector decays.

        Each group has one parameter, which is a view of ``values``, with its gradient in a view of ``gradient``.
        """
        sizes = self.kind_sizes if weight_decay > 0 else [len(self.values), 0]
        groups: list[dict[str, Any]] = []
        pieces = zip(torch.split(self.values, sizes), torch.split(self.gradient, sizes), strict=True)
        for (values, gradient), decay in zip(pieces, (weight_decay, 0.0), strict=True):
            if len(values):
                parameter = nn.Parameter(values)
                parameter.grad = gradient
                groups.append({"params": [parameter], "weight_decay": decay})
        return groups

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
