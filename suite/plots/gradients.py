"""Pictures of gradient flow: norms on a logarithmic scale against the number of steps between two states."""

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

    # Importing this module imports Lightning, which takes seconds.
    from suite.training.gradient_callback import GradientMeasurement

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LOSS = "#555555"
MOMENTS = {"start": (0.6, ":"), "half": (0.75, "--"), "end": (1.0, "-")}
"""The opacity and the line of the three moments of a run."""


def survey_figure(rows: Sequence[SurveyRow]) -> Figure:
    """Draw every architecture on one plot, the one whose gradient lasts best first.

    Bands are 95 % intervals of the mean over seeds. A gradient that is exactly 0 from some τ on drops to the bottom.
    """
    figure = new_figure(7.5, 4.0)
    axes = figure.subplots()
    length = rows[0].length
    cut, styles = [], styles_of(row.label for row in rows)
    for row in sorted(rows, key=_reach, reverse=True):
        mean, low, high = (end / math.log(10) for end in row.curve)
        style = styles[row.label]
        last = _last_finite(mean)
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
    tidy(axes, xlabel="τ (steps between the two states)", ylabel="norm of ∂s(T) / ∂s(T − τ)", xlim=(0, length))
    _decades(axes, 6)
    bottom = axes.get_ylim()[0]
    for last, end, color in cut:
        axes.plot([last, last + 1], [end, bottom], color=color, linewidth=1)
    axes.set_ylim(bottom=bottom)
    seeds = f"mean over {rows[0].seeds} seeds, 95 % intervals" if rows[0].seeds > 1 else "one seed"
    axes.set_title(f"Gradient flow before training\n{seeds}", fontsize="medium", loc="left")
    figure.legend(loc="outside right upper", frameon=False, fontsize="small")
    return figure


def draw_run(axes: Axes, measurements: Mapping[str, GradientMeasurement], color: str) -> None:
    """Draw one run: its gradient at each moment, and in grey the other ones at the last moment.

    The coloured gradient is the one from state to state, and the one from output to input where a model has no state of
    constant size.
    """
    for moment, (step, flow) in measurements.items():
        alpha, line = MOMENTS[moment]
        powers = _powers(flow.input if flow.state is None else flow.state)
        label = f"of the {'output' if flow.state is None else 'state'}, after {step:,} steps"
        axes.plot(powers, linestyle=line, color=color, alpha=alpha, label=label)
    quotients = "∂y(T) / ∂x(T − τ)"
    if flow.state is not None and flow.loss is not None:
        loss, of_input = _powers(flow.loss), _powers(flow.input)
        axes.plot(
            np.arange(1, len(loss) + 1), loss, color=LOSS, linewidth=1, label=f"of the loss, after {step:,} steps"
        )
        axes.plot(of_input, color=LOSS, linewidth=1, linestyle=":", label=f"of the output, after {step:,} steps")
        quotients = f"∂s(T) / ∂s(T − τ), ∂loss / ∂s(T − τ), {quotients}"
    axes.set(xlabel="τ (steps)", ylabel=f"norm of {quotients}")
    axes.yaxis.label.set_fontsize("small")
    _decades(axes, 4)  # ticks are most of what the drawing costs
    axes.xaxis.set_major_locator(MultipleLocator(max(1, round(len(powers) / 2))))
    axes.legend(frameon=False, fontsize="small")


def _powers(logarithms: Tensor) -> NDArray[np.float64]:
    """Return decimal logarithms, NaN where they are not finite, which leaves a gap in the drawing."""
    powers = np.asarray(logarithms, dtype=np.float64) / math.log(10)
    powers[~np.isfinite(powers)] = math.nan
    return powers


def _reach(row: SurveyRow) -> tuple[int, float]:
    """Return the largest τ that the gradient reaches, and its logarithm there."""
    mean = row.curve[0]
    return _last_finite(mean), float(mean[_last_finite(mean)])


def _last_finite(mean: NDArray[np.float64]) -> int:
    """Return the largest τ that can be drawn; τ = 0 always can, because the norm is 1 there."""
    return int(np.flatnonzero(np.isfinite(mean))[-1])


def _decades(axes: Axes, ticks: int) -> None:
    """Label an axis of decimal logarithms with powers of ten (a linear axis is drawn faster than a logarithmic one)."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=ticks, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda power, _: f"10{f'{power:.0f}'.translate(SUPERSCRIPTS)}"))
