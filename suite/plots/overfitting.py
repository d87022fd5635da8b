"""Train, validation and test against the size of the training set, every architecture of one ladder."""

from __future__ import annotations

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
"""Label of an axis, and what it shows in which line."""
APART = 1.05
"""Ratio of the places of two neighbours on the axis."""


def overfitting_plot(ladder: str, curves: pd.DataFrame) -> Figure:
    """Skill, loss and gap with 95 % intervals against n.

    Args:
        ladder: its label.
        curves: of this ladder, from ``suite.results.overfitting.curves``.
    """
    figure = new_figure(10.0, 3.9)
    panels = figure.subplots(1, 3)
    names = sorted(curves["architecture"].unique())
    for axes, (label, measures) in zip(panels, PANELS, strict=True):
        for linestyle, measure in measures.items():
            _draw(axes, curves[curves["measure"] == measure], names, linestyle)
        tidy(axes, xscale="log", xlabel="training sequences n", ylabel=label)
        _ticks(axes, np.sort(curves["train_size"].unique()))
    panels[0].set_ylim(-0.03, 1.03)
    _losses(panels[1], curves)
    kinds = {"-": "test", ":": "validation", "--": "train"}, {"-": "early-stopped", "--": "last step"}
    for axes, labels in zip((panels[0], panels[2]), kinds, strict=True):
        options: list[dict[str, Any]] = [{"linestyle": line, "label": label} for line, label in labels.items()]
        lines = [Line2D([], [], color="#555555", **one) for one in options]
        axes.legend(handles=lines, frameon=False, fontsize="small")
    handles = []
    styles = styles_of(names)
    for name in names:
        style = styles[name]
        handles.append(Line2D([], [], color=style.color, marker=style.marker, markersize=5, label=name))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize="small")
    figure.suptitle(
        f"{ladder}: finite training sets, at the best validation point", fontsize="medium", x=0.01, ha="left"
    )
    return figure


def _draw(axes: Axes, curves: pd.DataFrame, names: list[str], linestyle: str) -> None:
    """One line with intervals per architecture, a little apart; markers on the continuous ones alone."""
    styles = styles_of(names)
    for i, name in enumerate(names):
        style, here = styles[name], curves[curves["architecture"] == name]
        n, mean = here["train_size"] * APART ** (i - (len(names) - 1) / 2), here["mean"]
        errors = np.clip(np.nan_to_num([mean - here["low"], here["high"] - mean]), 0, None)
        look: dict[str, Any] = {"marker": style.marker, "markersize": 4.5} if linestyle == "-" else {"alpha": 0.7}
        axes.errorbar(n, mean, errors, color=style.color, linestyle=linestyle, linewidth=1.2, elinewidth=0.8, **look)


def _losses(axes: Axes, curves: pd.DataFrame) -> None:
    """Logarithmic where losses span more than a decade; never below the smallest mean by more than a factor of two."""
    means = curves[curves["measure"].isin(PANELS[1][1].values())]["mean"]
    if means.min() > 0 and means.max() / means.min() > 10:
        axes.set(yscale="log", ylim=(means.min() / 2, means.max() * 1.5))
    else:
        axes.set_ylim(bottom=0)


def _ticks(axes: Axes, sizes: np.ndarray) -> None:
    axes.xaxis.set_major_locator(FixedLocator(sizes.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{size:g}" for size in sizes], fontsize="small", rotation=45 if len(sizes) > 5 else 0)
