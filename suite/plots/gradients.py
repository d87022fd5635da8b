"""Pictures of gradient flow: norms on a logarithmic scale against the steps they have travelled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from suite.plots.style import new_figure, styles_of, tidy

if TYPE_CHECKING:
    from torch import Tensor

    from suite.diagnostics.gradient_survey import SurveyRow

    # What measures runs imports Lightning, which takes seconds
    from suite.training.gradient_callback import GradientMeasurement

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LOSS = "#555555"
MOMENTS = {"start": (0.6, ":"), "half": (0.75, "--"), "end": (1.0, "-")}
"""Opacity and line of the three moments of a run."""


def survey_figure(rows: Sequence[SurveyRow]) -> Figure:
    """Every architecture on one plot, the best preserved first; bands are 95 % intervals of the mean over seeds.

    A gradient that is exactly 0 from some τ on drops to the bottom there.
    """
    figure = new_figure(7.5, 4.0)
    axes = figure.subplots()
    length = rows[0].length
    cut, styles = [], styles_of(row.label for row in rows)
    for row in sorted(rows, key=_preserved, reverse=True):
        mean, low, high = (end / math.log(10) for end in row.curve)
        style = styles[row.label]
        last = _last(mean)
        zero = last < length and np.isneginf(mean[last + 1])
        axes.plot(
            mean[: last + 1],
            color=style.color,
            linestyle=style.linestyle,
            marker=style.marker,
            markersize=4.5,
            markevery=max(1, length // 10),
            label=row.label if last == length else f"{row.label} ({'0' if zero else 'not finite'} from τ = {last + 1})",
        )
        band = slice(0, last + 1)
        axes.fill_between(np.arange(length + 1)[band], low[band], high[band], color=style.color, alpha=0.2, linewidth=0)
        if zero:
            cut.append((last, mean[last], style.color))
    tidy(axes, xlabel="τ, steps between the two states", ylabel="norm of ∂s(T) / ∂s(T − τ)", xlim=(0, length))
    _decades(axes, 6)
    bottom = axes.get_ylim()[0]
    for last, end, color in cut:
        axes.plot([last, last + 1], [end, bottom], color=color, linewidth=1)
    axes.set_ylim(bottom=bottom)
    seeds = f"mean of {rows[0].seeds} seeds and its 95 % interval" if rows[0].seeds > 1 else "one seed"
    axes.set_title(f"Gradient flow before training: {seeds}", fontsize="medium", loc="left")
    figure.legend(loc="outside right upper", frameon=False, fontsize="small")
    return figure


def draw_run(axes: Axes, measured: Mapping[str, GradientMeasurement], color: str) -> None:
    """The gradient from state to state at the three moments of one run, and in grey that of the loss at the last."""
    for moment, (step, flow) in measured.items():
        alpha, line = MOMENTS[moment]
        powers = _powers(flow.state)
        axes.plot(powers, linestyle=line, color=color, alpha=alpha, label=f"after {step:,} steps")
    loss = _powers(flow.loss)
    axes.plot(np.arange(1, len(loss) + 1), loss, color=LOSS, linewidth=1, label=f"of the loss, after {step:,}")
    axes.set(xlabel="τ, steps", ylabel="norm of ∂s(T) / ∂s(T − τ), ∂loss / ∂s(T − τ)")
    axes.yaxis.label.set_fontsize("small")
    _decades(axes, 4)  # ticks are most of what the drawing costs
    axes.xaxis.set_major_locator(MultipleLocator(max(1, round(len(powers) / 2))))
    axes.legend(frameon=False, fontsize="small")


def _powers(logarithms: Tensor) -> NDArray[np.float64]:
    """Powers of ten; what is not finite is not drawn."""
    powers = np.asarray(logarithms, dtype=np.float64) / math.log(10)
    powers[~np.isfinite(powers)] = math.nan
    return powers


def _preserved(row: SurveyRow) -> tuple[int, float]:
    """How far the gradient gets, then how much of it."""
    mean = row.curve[0]
    return _last(mean), float(mean[_last(mean)])


def _last(mean: NDArray[np.float64]) -> int:
    """The largest τ that can be drawn; τ = 0 always can, where the norm is 1."""
    return int(np.flatnonzero(np.isfinite(mean))[-1])


def _decades(axes: Axes, ticks: int) -> None:
    """Label an axis of decimal logarithms with powers of ten (a linear axis is drawn faster than a logarithmic one)."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=ticks, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda power, _: f"10{f'{power:.0f}'.translate(SUPERSCRIPTS)}"))
