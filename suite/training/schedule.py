"""The learning rate of each step: it rises during the warm-up, and then stays or falls until the end of the run."""

from __future__ import annotations

import math

from suite.experiment.run_config import Training


def learning_rate(step: int, training: Training) -> float:
    """Return the learning rate of an optimiser step.

    It depends on nothing but its arguments, so a run that is interrupted goes on with the same rates. A schedule ends
    with the last of all steps, also if the run stops earlier.

    Args:
        step: the number of steps before it, so 0 for the first one.
        training: the settings of the run.

    Source: Goyal et al. 2017, section 2.2, for the warm-up; Loshchilov & Hutter 2017, section 3, for the cosine.
    """
    eta, warmup = training.learning_rate, training.warmup
    if step < warmup:
        # η_t = η (t + 1) / w
        return eta * ((step + 1) / warmup)
    # p = (t − w) / (T − w)
    p = (step - warmup) / (training.steps - warmup)
    if training.schedule == "cosine":
        # η_t = η ½ (1 + cos π p)
        return eta * (0.5 * (1 + math.cos(math.pi * p)))
    if training.schedule == "linear":
        # η_t = η (1 − p)
        return eta * (1 - p)
    return eta
