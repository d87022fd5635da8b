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

from suite.plots.style import Style, new_figure, styles_of, tidy

if TYPE_CHECKING:
    from torch import Tensor

    from suite.diagnostics.survey_row import SurveyRow, Through

    # Importing this module imports Lightning, which takes seconds.
    from suite.training.gradient_callback import GradientMeasurement

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LOSS = "#555555"
QUOTIENTS: dict[Through, tuple[str, str]] = {
    "state": ("through the state", "∂s(T) / ∂s(T − τ)"),
    "input": ("from output to input", "∂y(T) / ∂x(T − τ)"),
}
"""What each gradient of a survey is, in words and as a quotient."""
MOMENTS = {"start": (0.6, ":"), "half": (0.75, "--"), "end": (1.0, "-")}
"""The opacity and the line of the three moments of a run."""


def survey_figure(rows: Sequence[SurveyRow]) -> Figure:
    """Draw the gradient through the state above the one from output to input, as far as ``rows`` have them.

    Each plot has every architecture of which that gradient was measured, the one whose gradient lasts best first. Bands
    are 95 % intervals of the mean over seeds. A gradient that is exactly 0 from some τ on drops to the bottom.
    """
    kinds = [through for through in QUOTIENTS if any(row.through == through for row in rows)]
    styles, longest = styles_of(row.label for row in rows), max(row.last for row in rows)
    height = max(3.4, 0.5 + 0.19 * len(styles))  # The legend has a line for each.
    figure = new_figure(7.5, 0.6 + height * len(kinds))
    for axes, through in zip(figure.subplots(len(kinds), squeeze=False)[:, 0], kinds, strict=True):
        _draw_survey(axes, [row for row in rows if row.through == through], styles, longest)
    seeds = f"mean over {rows[0].seeds} seeds, 95 % intervals" if rows[0].seeds > 1 else "one seed"
    figure.suptitle(f"Gradient flow before training\n{seeds}", fontsize="medium", x=0.01, ha="left")
    return figure


def _draw_survey(axes: Axes, rows: Sequence[SurveyRow], styles: Mapping[str, Style], longest: int) -> None:
    cut = []
    for row in sorted(rows, key=_reach, reverse=True):
        mean, low, high = (end / math.log(10) for end in row.curve)
        style = styles[row.label]
        last = _last_finite(mean)
        zero = last < row.last and np.isneginf(mean[last + 1])
        end = f" ({'0' if zero else 'not finite'} from τ = {last + 1})" if last < row.last else ""
        axes.plot(
            mean[: last + 1],
            color=style.color,
            linestyle=style.linestyle,
            marker=style.marker,
            markersize=4.5,
            markevery=max(1, longest // 10),
            label=row.label + end,
        )
        band = slice(0, last + 1)
        lags = np.arange(last + 1)
        axes.fill_between(lags, low[band], high[band], color=style.color, alpha=0.2, linewidth=0)
        if zero:
            cut.append((last, mean[last], style.color))
    title, quotient = QUOTIENTS[rows[0].through]
    tidy(axes, xlabel="τ (steps)", ylabel=f"norm of {quotient}", xlim=(0, longest))
    _decades(axes, 6)
    bottom = axes.get_ylim()[0]
    for last, end, color in cut:
        axes.plot([last, last + 1], [end, bottom], color=color, linewidth=1)
    axes.set_ylim(bottom=bottom)
    axes.set_title(title, fontsize="medium", loc="left")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")


def draw_run(axes: Axes, measurements: Mapping[str, GradientMeasurement], color: str) -> None:
    """Draw one run: its gradient at each moment in colour, and in grey the other ones at the last moment.

    The coloured gradient is the one through the state, or the one from output to input if a model has no state of
    constant size.
    """
    for moment, (step, flow) in measurements.items():
        alpha, line = MOMENTS[moment]
        powers = _powers(flow.input if flow.state is None else flow.state)
        title, _ = QUOTIENTS["input" if flow.state is None else "state"]
        axes.plot(powers, linestyle=line, color=color, alpha=alpha, label=f"{title}, after {step:,} steps")
    if flow.state is not None and flow.loss is not None:
        loss, of_input = _powers(flow.loss), _powers(flow.input)
        axes.plot(
            np.arange(1, len(loss) + 1), loss, color=LOSS, linewidth=1, label=f"of the loss, after {step:,} steps"
        )
        title, _ = QUOTIENTS["input"]
        axes.plot(of_input, color=LOSS, linewidth=1, linestyle=":", label=f"{title}, after {step:,} steps")
    axes.set(xlabel="τ (steps)", ylabel="norm of the gradient")
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
    """Return the largest τ that can be drawn, and 0 if none can."""
    return int(np.flatnonzero(np.isfinite(mean))[-1]) if np.isfinite(mean).any() else 0


def _decades(axes: Axes, ticks: int) -> None:
    """Label an axis of decimal logarithms with powers of ten (a linear axis is drawn faster than a logarithmic one)."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=ticks, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda power, _: f"10{f'{power:.0f}'.translate(SUPERSCRIPTS)}"))
