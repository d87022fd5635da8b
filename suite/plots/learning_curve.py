"""The learning curve of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from suite.job import Job
from suite.plots.style import TRAIN, VALIDATION


def learning_curve(job: Job, curves: Sequence[tuple[int, Mapping[str, float]]]) -> Figure:
    """Loss and skill against optimiser steps."""
    figure = Figure(figsize=(7.5, 3.0), dpi=90)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.17, top=0.86, wspace=0.22)  # a solved layout costs 60 ms
    loss, skill = figure.subplots(1, 2)
    steps = [step for step, _ in curves]
    for axes, name, label, colour in (
        (loss, "train/loss", "training (mean since the last validation)", TRAIN),
        (loss, "validation/loss", "validation", VALIDATION),
        (skill, "validation/skill", "validation", VALIDATION),
    ):
        axes.plot(steps, [metrics.get(name, math.nan) for _, metrics in curves], ".-", color=colour, label=label)
    loss.set(xlabel="optimiser steps", ylabel="loss")
    skill.set(xlabel="optimiser steps", ylabel="validation skill", ylim=(-0.03, 1.03))
    loss.legend(frameon=False, fontsize="small")
    for axes in (loss, skill):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{job.variant} on {job.level}, {job.role} {job.number}", fontsize="medium")
    return figure
