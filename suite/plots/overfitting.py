"""Training, validation and test against the size of the training set: the architectures on one ladder."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from suite.plots.style import new_figure, styles_of, tidy

PANELS = (
    ("skill", {"--": "train_skill", ":": "validation_skill", "-": "test_skill"}),
    ("loss", {"--": "train_loss", ":": "validation_loss", "-": "test_loss"}),
    ("gap in skill, train − test", {"--": "final_gap_skill", "-": "gap_skill"}),
)
"""The label of each vertical axis, and the measure that each kind of line shows."""
APART = 1.05
"""The ratio by which the points of two architectures are moved apart."""
SPREAD = 1.5
"""The largest ratio over which the points of one size are spread."""
COLUMNS = 6
"""The number of names in a line of the legend."""


def overfitting_plot(ladder: str, curves: pd.DataFrame) -> Figure:
    """Draw skill, loss and gap with 95 % intervals against the number n of training sequences.

    Args:
        ladder: the label of the ladder.
        curves: the curves of this ladder, from ``suite.results.overfitting.curves``.
    """
    names = sorted(curves["architecture"].unique())
    figure = new_figure(10.0, max(3.9, 3.5 + 0.2 * math.ceil(len(names) / COLUMNS)))
    panels = figure.subplots(1, 3)
    for axes, (label, measures) in zip(panels, PANELS, strict=True):
        for linestyle, measure in measures.items():
            _draw_lines(axes, curves[curves["measure"] == measure], names, linestyle)
        tidy(axes, xscale="log", xlabel="training sequences n", ylabel=label)
        _set_ticks(axes, np.sort(curves["train_size"].unique()))
    panels[0].set_ylim(-0.03, 1.03)
    _scale_losses(panels[1], curves)
    kinds = {"-": "test", ":": "validation", "--": "train"}, {"-": "early-stopped", "--": "last step"}
    for axes, labels in zip((panels[0], panels[2]), kinds, strict=True):
        options: list[dict[str, Any]] = [{"linestyle": line, "label": label} for line, label in labels.items()]
        lines = [Line2D([], [], color="#555555", **line) for line in options]
        axes.legend(handles=lines, frameon=False, fontsize="small")
    handles = []
    styles = styles_of(names)
    for name in names:
        style = styles[name]
        handles.append(Line2D([], [], color=style.color, marker=style.marker, markersize=5, label=name))
    figure.legend(handles=handles, loc="outside lower center", ncols=COLUMNS, frameon=False, fontsize="small")
    figure.suptitle(
        f"{ladder}: finite training sets, at the best validation point", fontsize="medium", x=0.01, ha="left"
    )
    return figure


def _draw_lines(axes: Axes, curves: pd.DataFrame, names: list[str], linestyle: str) -> None:
    """Draw one line with intervals per architecture, a little apart; only continuous lines have markers."""
    styles, apart = styles_of(names), min(APART, SPREAD ** (1 / max(1, len(names) - 1)))
    for i, name in enumerate(names):
        style, curve = styles[name], curves[curves["architecture"] == name]
        n, mean = curve["train_size"] * apart ** (i - (len(names) - 1) / 2), curve["mean"]
        errors = np.clip(np.nan_to_num([mean - curve["low"], curve["high"] - mean]), 0, None)
        look: dict[str, Any] = {"marker": style.marker, "markersize": 4.5} if linestyle == "-" else {"alpha": 0.7}
        axes.errorbar(n, mean, errors, color=style.color, linestyle=linestyle, linewidth=1.2, elinewidth=0.8, **look)


def _scale_losses(axes: Axes, curves: pd.DataFrame) -> None:
    """Make the axis logarithmic where losses span more than a decade, from half of the smallest mean on."""
    means = curves[curves["measure"].isin(PANELS[1][1].values())]["mean"]
    if means.min() > 0 and means.max() / means.min() > 10:
        axes.set(yscale="log", ylim=(means.min() / 2, means.max() * 1.5))
    else:
        axes.set_ylim(bottom=0)


def _set_ticks(axes: Axes, sizes: np.ndarray) -> None:
    """Put one tick at each training-set size."""
    axes.xaxis.set_major_locator(FixedLocator(sizes.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{size:g}" for size in sizes], fontsize="small", rotation=45 if len(sizes) > 5 else 0)
