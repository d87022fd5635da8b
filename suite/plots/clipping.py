"""Heat maps over clip threshold × learning rate, a row per depth and a column per measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from suite.plots.style import new_figure
from suite.results.wording import number
from suite.statistics.bootstrap import OVERALL

MEASURES = (
    ("diverged", "diverged", "Reds"),
    ("clip_fraction", "steps clipped", "Purples"),
    ("skill", "validation skill", "viridis"),
    ("steps", "steps to solve", "viridis_r"),
)
"""Column, label, colours: dark is bad in the first two, bright is good in the last two."""


def clipping_plot(architecture: str, cells: pd.DataFrame) -> Figure:
    """Means of the trials in each cell, with their number; cells without trials stay blank.

    Args:
        architecture: its label.
        cells: of this architecture, from ``suite.results.clipping.cells``.
    """
    scope = OVERALL if OVERALL in set(cells["task"]) else cells["task"].iloc[0]
    shown = cells[cells["task"] == scope]
    depths = sorted(shown["depth_low"].unique())
    clips, rates = _places(shown, "clip"), _places(shown, "learning_rate")
    figure = new_figure(10.0, 1.1 + (0.5 + 0.22 * len(clips)) * len(depths))
    panels = figure.subplots(len(depths), len(MEASURES), squeeze=False, sharex=True, sharey=True)
    for column, (measure, label, colours) in enumerate(MEASURES):
        top = float(shown[measure].max()) if measure == "steps" else 1.0
        for depth, axes in zip(depths, panels[:, column], strict=True):
            here = shown[shown["depth_low"] == depth]
            image = _draw(axes, here, measure, colours, top, clips, rates)
        panels[0, column].set_title(label, fontsize="small")
        bar = figure.colorbar(image, ax=panels[:, column].tolist(), location="bottom", shrink=0.9, aspect=25, pad=0.02)
        bar.ax.tick_params(labelsize="x-small")
    for depth, axes in zip(depths, panels[:, 0], strict=True):
        axes.set_ylabel(f"depth {depth:g}\nclip at", fontsize="small")
    for axes in panels[-1]:
        axes.set_xlabel("learning rate", fontsize="small")
    where = "all tasks" if scope == OVERALL else scope
    title = f"{architecture}, {where}: means of trials, their number in each cell"
    figure.suptitle(title, fontsize="medium", x=0.01, ha="left")
    return figure


def _places(cells: pd.DataFrame, axis: str) -> list[tuple[float, float]]:
    """Both ends of each bin, ascending."""
    ends = zip(cells[f"{axis}_low"], cells[f"{axis}_high"], strict=True)
    return sorted({(float(low), float(high)) for low, high in ends})


def _draw(
    axes: Axes,
    cells: pd.DataFrame,
    measure: str,
    colours: str,
    top: float,
    clips: list[tuple[float, float]],
    rates: list[tuple[float, float]],
) -> AxesImage:
    grid = np.full((len(clips), len(rates)), np.nan)
    for _, cell in cells.iterrows():
        y = clips.index((cell["clip_low"], cell["clip_high"]))
        x = rates.index((cell["learning_rate_low"], cell["learning_rate_high"]))
        grid[y, x] = cell[measure]
        axes.text(
            x, y, f"{cell['trials']}", ha="center", va="center", fontsize=7, color=_ink(cell[measure] / top, colours)
        )
    image = axes.imshow(grid, vmin=0, vmax=top, cmap=colours, origin="lower", aspect="auto")
    axes.set_xticks(range(len(rates)), [_label(*ends) for ends in rates], fontsize=6.5)
    axes.set_yticks(range(len(clips)), [_label(*ends) for ends in clips], fontsize=6.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image


def _ink(share: float, colours: str) -> str:
    """Black on light, white on dark."""
    import matplotlib

    red, green, blue, _ = matplotlib.colormaps[colours](0.0 if np.isnan(share) else share)
    return "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"


def _label(low: float, high: float) -> str:
    return number(low) if low == high else f"{number(low)}–\n{number(high)}"
