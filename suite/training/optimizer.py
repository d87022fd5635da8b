"""The optimiser of a run, which is torch's own on a vector of parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from suite.experiment.run_config import Training
from suite.training.flat_parameters import FlatParameters

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": partial(Adam, fused=True),
    "adamw": partial(AdamW, fused=True),
    "rmsprop": partial(RMSprop, foreach=True),  # It has no fused form.
    "sgd": partial(SGD, fused=True),
}
"""The optimisers by name, each in its fastest form.

Adam, RMSprop and SGD add the weight decay to the gradient, after clipping. AdamW shrinks the weights beside it."""


def make_optimizer(parameters: FlatParameters, training: Training) -> Optimizer:
    """Return the optimiser of these settings, with the learning rate that they have before warm-up and schedule."""
    options = {"alpha": training.alpha} if training.optimizer == "rmsprop" else {}
    groups = parameters.groups(training.weight_decay)
    return OPTIMIZERS[training.optimizer](groups, lr=training.learning_rate, **options)
