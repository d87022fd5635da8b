"""The learning curve of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from suite.planning.job import Job
from suite.plots.gradients import draw_run
from suite.plots.style import TRAIN, VALIDATION, style_of

if TYPE_CHECKING:
    from suite.training.gradient_callback import GradientMeasurement


def learning_curve(
    job: Job,
    curves: Sequence[tuple[int, Mapping[str, float]]],
    measurements: Mapping[str, GradientMeasurement] | None = None,
) -> Figure:
    """Draw loss and skill against optimiser steps, and the gradient through time if there are ``measurements`` of it.

    Args:
        job: the run.
        curves: the metrics of each validation by step.
        measurements: the gradient flow by moment.
    """
    panels = 3 if measurements else 2
    figure = Figure(figsize=(3.75 * panels, 3.0), dpi=90)
    # A constrained layout would cost 60 ms.
    figure.subplots_adjust(left=0.19 / panels, right=0.985, bottom=0.17, top=0.86, wspace=0.25)
    loss, skill, *flow = figure.subplots(1, panels)
    steps = [step for step, _ in curves]
    for axes, name, label, colour in (
        (loss, "train/loss", "training (mean since the last validation)", TRAIN),
        (loss, "validation/loss", "validation", VALIDATION),
        (skill, "validation/skill", "validation", VALIDATION),
    ):
        axes.plot(steps, [metrics.get(name, math.nan) for _, metrics in curves], ".-", color=colour, label=label)
    loss.set(xlabel="optimiser steps", ylabel="loss")
    skill.set(xlabel="optimiser steps", ylabel="validation skill", ylim=(-0.03, 1.03))
    loss.legend(frameon=False, fontsize="small", loc="upper right")
    if measurements:
        draw_run(flow[0], measurements, style_of(job.variant).color)
    for axes in (loss, skill):
        axes.locator_params(nbins=4)  # A tick costs a millisecond, and each run draws its curve.
    for axes in (loss, skill, *flow):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{job.variant} on {job.level}, {job.role} {job.number}", fontsize="medium")
    return figure
