"""Heat maps over clip threshold × learning rate, with one row per depth and one column per measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from suite.plots.style import new_figure
from suite.results.wording import setting_text
from suite.statistics.table import OVERALL

MEASURES = (
    ("diverged", "share of trials that diverged", "Reds"),
    ("clip_fraction", "share of steps clipped", "Purples"),
    ("skill", "validation skill", "viridis"),
    ("steps", "steps to solve", "viridis_r"),
)
"""Column, label, colours. Dark is bad in the first two, and bright is good in the last two."""


def clipping_plot(architecture: str, cells: pd.DataFrame) -> Figure:
    """Draw the means of the trials in each cell, with their number; a cell without trials stays blank.

    Args:
        architecture: the label of the architecture.
        cells: its cells, from ``suite.results.clipping.cells``.
    """
    scope = OVERALL if OVERALL in set(cells["task"]) else cells["task"].iloc[0]
    shown = cells[cells["task"] == scope]
    depths = sorted(shown["depth_low"].unique())
    clips, rates = _bins(shown, "clip"), _bins(shown, "learning_rate")
    figure = new_figure(10.0, 1.1 + (0.5 + 0.22 * len(clips)) * len(depths))
    panels = figure.subplots(len(depths), len(MEASURES), squeeze=False, sharex=True, sharey=True)
    for column, (measure, label, colours) in enumerate(MEASURES):
        top = float(shown[measure].max()) if measure == "steps" else 1.0
        for depth, axes in zip(depths, panels[:, column], strict=True):
            cells_of_depth = shown[shown["depth_low"] == depth]
            image = _draw_map(axes, cells_of_depth, measure, colours, top, clips, rates)
        panels[0, column].set_title(label, fontsize="small")
        bar = figure.colorbar(image, ax=panels[:, column].tolist(), location="bottom", shrink=0.9, aspect=25, pad=0.02)
        bar.ax.tick_params(labelsize="x-small")
    for depth, axes in zip(depths, panels[:, 0], strict=True):
        axes.set_ylabel(f"depth {depth:g}\nclip threshold", fontsize="small")
    for axes in panels[-1]:
        axes.set_xlabel("learning rate", fontsize="small")
    tasks = "all tasks" if scope == OVERALL else scope
    title = f"{architecture} on {tasks}: the mean over the trials of each cell, and their number"
    figure.suptitle(title, fontsize="medium", x=0.01, ha="left")
    return figure


def _bins(cells: pd.DataFrame, axis: str) -> list[tuple[float, float]]:
    """Return both ends of each bin, ascending."""
    ends = zip(cells[f"{axis}_low"], cells[f"{axis}_high"], strict=True)
    return sorted({(float(low), float(high)) for low, high in ends})


def _draw_map(
    axes: Axes,
    cells: pd.DataFrame,
    measure: str,
    colours: str,
    top: float,
    clips: list[tuple[float, float]],
    rates: list[tuple[float, float]],
) -> AxesImage:
    """Draw one measure at one depth; ``top`` is the upper end of its colours."""
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
    """Return black for a light background, and white for a dark one."""
    import matplotlib

    red, green, blue, _ = matplotlib.colormaps[colours](0.0 if np.isnan(share) else share)
    return "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"


def _label(low: float, high: float) -> str:
    return setting_text(low) if low == high else f"{setting_text(low)}–\n{setting_text(high)}"
