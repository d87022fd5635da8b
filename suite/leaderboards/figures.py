"""The pictures of a leaderboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from suite.leaderboards.leaderboard import Leaderboard
from suite.results.wording import horizon_figure, stem

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(board: Leaderboard) -> Iterator[tuple[str, Figure]]:
    """Yield the stem of each picture's file and the picture. A leaderboard without ladders and sweeps has none."""
    if len(board.horizon_curves):
        from suite.plots.horizon import horizon_plot

        for (kind, ladder), curves in board.horizon_curves.groupby(["kind", "ladder"], sort=False):
            fits = board.horizons[(board.horizons["kind"] == kind) & (board.horizons["ladder"] == ladder)]
            yield horizon_figure(str(kind), str(ladder)), horizon_plot(str(ladder), str(kind), curves, fits)
    if len(board.overfitting_curves):
        from suite.plots.overfitting import overfitting_plot

        for ladder, curves in board.overfitting_curves.groupby("ladder", sort=False):
            yield stem("overfitting", str(ladder)), overfitting_plot(str(ladder), curves)
    if board.clipping is not None:
        from suite.plots.clipping import clipping_plot

        for architecture, cells in board.clipping.cells.groupby("architecture"):
            yield stem("clipping", str(architecture)), clipping_plot(str(architecture), cells)
