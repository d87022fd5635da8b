"""Skill against delay: the architectures on one ladder, with the fitted curves and their horizons."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from suite.plots.style import new_figure, styles_of, tidy
from suite.results.horizon import HOW, Fit
from suite.results.wording import horizon_text

APART = 0.012
"""The share of the axis by which the points of two architectures are moved apart."""
SPREAD = 0.12
"""The largest share of the axis over which the points of one delay are spread."""


def horizon_plot(ladder: str, kind: str, curves: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """Draw points with 95 % intervals and fitted curves; the legend gives d₅₀, the longest horizon first.

    Args:
        ladder: the label of the ladder.
        kind: one of ``horizon.HOW``.
        curves: the points of this ladder, from ``suite.results.horizon.curves``.
        fits: the horizons of this ladder, from ``suite.results.horizon.horizons``.
    """
    figure = new_figure(8.0, max(3.9, 0.8 + 0.21 * len(fits)))  # The legend has a line for each.
    axes = figure.subplots()
    delays = np.sort(curves["delay"].unique())
    span = np.log(delays[-1] / delays[0])
    fine = np.geomspace(delays[0], delays[-1], 300)
    ordered = fits.sort_values(["d50", "d90", "architecture"], ascending=[False, False, True])
    middle, styles = (len(ordered) - 1) / 2, styles_of(ordered["architecture"])
    apart = min(APART, SPREAD / max(1, len(ordered) - 1))
    for i, (_, row) in enumerate(ordered.iterrows()):
        style = styles[row["architecture"]]
        points = curves[curves["architecture"] == row["architecture"]]
        skill = points["skill"]
        axes.errorbar(
            points["delay"] * np.exp(span * apart * (i - middle)),
            skill,
            np.clip(np.nan_to_num([skill - points["low"], points["high"] - skill]), 0, None),
            color=style.color,
            marker=style.marker,
            markersize=5,
            linestyle="none",
            elinewidth=1,
            label=f"{row['architecture']}   {horizon_text(row)}",
        )
        if row["seeds"]:
            fit = Fit(*(np.array([row[name]]) for name in ("curve_d50", "slope", "lapse")))
            axes.plot(fine, fit.at(fine)[0], color=style.color, linestyle=style.linestyle, linewidth=1.3)
    tidy(axes, xscale="log", xlabel="delay (steps)", ylabel="skill", ylim=(-0.03, 1.03))
    margin = span * max(0.05, 0.02 + apart * middle)
    axes.set_xlim(delays[0] * np.exp(-margin), delays[-1] * np.exp(margin))
    shown = delays if len(delays) <= 10 else delays[np.unique(np.geomspace(1, len(delays), 8).astype(int) - 1)]
    axes.xaxis.set_major_locator(FixedLocator(shown.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([f"{delay:g}" for delay in shown])
    axes.set_title(f"{ladder}, {HOW[kind]}", loc="left", fontsize="medium")
    legend = figure.legend(
        loc="outside right upper", frameon=False, fontsize="small", title="d₅₀ [95 %] (steps)", title_fontsize="small"
    )
    legend.set_alignment("left")
    return figure
