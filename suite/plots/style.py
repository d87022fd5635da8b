"""One look for all pictures: colour-blind safe, an architecture always in the same colour, the same bytes again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VALIDATION, TEST = "#0072B2", "#D55E00", "#009E73"
"""Of the three splits (Okabe & Ito 2008)."""

PALETTE = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#DD7733", "#117766", "#882255", "#555555")
"""Paul Tol's bright scheme, extended; legible to colour-blind readers and on white and black paper."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)))

OWN: Mapping[str, tuple[int, int, int]] = {
    "mlp": (9, 0, 2),
    "rnn": (3, 1, 0),
    "rnn_stacked": (3, 2, 1),
    "rnn_bidirectional": (3, 3, 2),
    "irnn": (6, 4, 1),
    "lstm": (0, 0, 0),
    "lstm_cell": (4, 1, 1),
    "lstm_peephole": (5, 5, 0),
    "lstm_coupled": (2, 2, 0),
    "gru": (1, 3, 0),
}
"""Places in the three lists, for what everybody compares."""


class Style(NamedTuple):
    """How an architecture is drawn: colour, marker and dashes, so that colour is not needed to tell two apart."""

    color: str
    marker: str
    linestyle: Any


def style_of(label: str) -> Style:
    """The style of an architecture, by its label alone: the same in every picture."""
    digest = hashlib.sha256(label.encode()).digest()
    colour, marker, dash = OWN.get(label, (digest[0], digest[1], digest[2]))
    return Style(PALETTE[colour % len(PALETTE)], MARKERS[marker % len(MARKERS)], DASHES[dash % len(DASHES)])


def styles_of(labels: Iterable[str]) -> dict[str, Style]:
    """The styles of what one picture shows: no two alike, and no colour twice while there are enough.

    A label that has not one of ``OWN`` gives way to the others of its picture.
    """
    found: dict[str, Style] = {}
    for label in sorted(set(labels), key=lambda label: (label not in OWN, label)):
        wanted = style_of(label)
        start, taken = PALETTE.index(wanted.color), {style.color for style in found.values()}
        colours = [PALETTE[(start + i) % len(PALETTE)] for i in range(len(PALETTE))]
        colour = next((c for c in colours if c not in taken), wanted.color) if label not in OWN else wanted.color
        marks = {(style.marker, style.linestyle) for style in found.values() if style.color == colour}
        choices = [(marker, dash) for marker in (wanted.marker, *MARKERS) for dash in (wanted.linestyle, *DASHES)]
        marker, dash = next((choice for choice in choices if choice not in marks), choices[0])
        found[label] = Style(colour, marker, dash)
    return found


def new_figure(width: float = 7.5, height: float = 4.0, **options: Any) -> Figure:
    """An empty figure, in inches; constrained layout unless told otherwise."""
    from matplotlib.figure import Figure  # takes a second; the page only asks for colours

    return Figure(figsize=(width, height), dpi=110, **{"layout": "constrained", **options})


def tidy(axes: Axes, **labels: Any) -> None:
    """Labels, no frame where it says nothing, and a light grid."""
    axes.set(**labels)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path``.png and ``path``.svg, free of dates and random names; returns both paths."""
    import matplotlib

    path.parent.mkdir(parents=True, exist_ok=True)
    png, svg = path.with_name(f"{path.name}.png"), path.with_name(f"{path.name}.svg")
    figure.savefig(png, metadata={"Software": None})
    with matplotlib.rc_context({"svg.hashsalt": "memspan", "svg.fonttype": "none"}):
        figure.savefig(svg, metadata={"Date": None})
    return [png, svg]
