"""The picture of a claim: the effects behind its verdict."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.claims.verdict import CONTRADICTS, SIGN, SUPPORTS, UNINFORMATIVE, UNRESOLVED, ClaimVerdict
from suite.plots.style import new_figure, tidy

LOOK = {
    SUPPORTS: ("#228833", "o"),
    CONTRADICTS: ("#DD5533", "s"),
    UNRESOLVED: ("#888888", "D"),
    UNINFORMATIVE: ("#BBBBBB", "x"),
}
"""The colour and the marker of each answer."""


def claim_figure(verdict: ClaimVerdict) -> Figure:
    """Draw one row per comparison and level: the difference with its 95 % interval, coloured by what it says.

    Differences within the grey band are too small to matter. Each measure has a panel of its own, and comparisons that
    do not state the claim stand in parentheses.
    """
    measures = list(dict.fromkeys(verdict.rows["measure"]))
    heights = [int((verdict.rows["measure"] == measure).sum()) for measure in measures]
    figure = new_figure(8.0, 1.3 + 0.24 * sum(heights) + 0.55 * len(measures))
    panels = figure.subplots(len(measures), 1, squeeze=False, height_ratios=[h + 0.8 for h in heights])[:, 0]
    log = verdict.claim.scale == "log"
    for axes, measure in zip(panels, measures, strict=True):
        rows = verdict.rows[verdict.rows["measure"] == measure]
        margin = float(rows["margin"].max())
        axes.axvspan(-margin, margin, color="#000000", alpha=0.08, linewidth=0)
        axes.axvline(0, color="#444444", linewidth=0.8)
        numbers = rows[["difference", "low", "high"]].abs().to_numpy(dtype=float)
        reach = 1.08 * max(margin, numbers[np.isfinite(numbers)].max(initial=0.0))
        for place, (_, row) in enumerate(rows.iterrows()):
            colour, marker = LOOK[row["says"]]
            low, high = np.clip([row["low"], row["high"]], -2 * reach, 2 * reach)  # It may be infinite.
            axes.plot([low, high], [place, place], color=colour, linewidth=1.8, solid_capstyle="round")
            axes.plot(row["difference"], place, marker, color=colour, markersize=5.5)
        axes.set_xlim(-reach, reach)
        names = [f"{r['first']} {SIGN[r['direction']]} {r['second']}, {r['task']}" for _, r in rows.iterrows()]
        names = [name if role == "statement" else f"({name})" for name, role in zip(names, rows["role"], strict=True)]
        axes.set_yticks(range(len(rows)), names, fontsize="small")
        axes.set_ylim(len(rows) - 0.4, -0.6)
        tidy(axes, xlabel=f"{'ln ' if log else ''}{measure.replace('_', ' ')}, first minus second")
        axes.grid(visible=False, axis="y")
    handles = [Line2D([], [], color=c, marker=m, markersize=5.5, label=says) for says, (c, m) in LOOK.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    title = f"{verdict.claim.name}: {verdict.verdict} ({verdict.seeds} seeds, 95 % intervals)"
    figure.suptitle(title, fontsize="medium")
    return figure
