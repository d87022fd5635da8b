"""One look for all pictures: colours are safe for the colour-blind, and the same data give the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VALIDATION = "#0072B2", "#D55E00"
"""The colours of two splits (Okabe & Ito 2008)."""

PALETTE = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#DD7733", "#117766", "#882255", "#555555")
"""Paul Tol's bright scheme, extended; legible to colour-blind readers, on white and on black paper."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)))

RESERVED: Mapping[str, tuple[int, int, int]] = {
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
"""The places in the three lists that belong to the architectures which everybody compares."""


class Style(NamedTuple):
    """The look of an architecture: marker and dashes tell two apart even without their colour."""

    color: str
    marker: str
    linestyle: Any


def style_of(label: str) -> Style:
    """Return the style of a label, which is the same in every picture."""
    digest = hashlib.sha256(label.encode()).digest()
    colour, marker, dash = RESERVED.get(label, (digest[0], digest[1], digest[2]))
    return Style(PALETTE[colour % len(PALETTE)], MARKERS[marker % len(MARKERS)], DASHES[dash % len(DASHES)])


def styles_of(labels: Iterable[str]) -> dict[str, Style]:
    """Return the styles of one picture: no two are alike, and no colour comes twice while enough are left.

    A label without a style in ``RESERVED`` gives way to the other labels of its picture.
    """
    styles: dict[str, Style] = {}
    for label in sorted(set(labels), key=lambda label: (label not in RESERVED, label)):
        preferred = style_of(label)
        start, taken = PALETTE.index(preferred.color), {style.color for style in styles.values()}
        colours = [PALETTE[(start + i) % len(PALETTE)] for i in range(len(PALETTE))]
        free = preferred.color if label in RESERVED else next((c for c in colours if c not in taken), preferred.color)
        marks = {(style.marker, style.linestyle) for style in styles.values() if style.color == free}
        choices = [(marker, dash) for marker in (preferred.marker, *MARKERS) for dash in (preferred.linestyle, *DASHES)]
        marker, dash = next((choice for choice in choices if choice not in marks), choices[0])
        styles[label] = Style(free, marker, dash)
    return styles


def new_figure(width: float = 7.5, height: float = 4.0, **options: Any) -> Figure:
    """Return an empty figure, whose size is in inches; its layout is constrained unless ``options`` say otherwise."""
    from matplotlib.figure import Figure  # takes a second; the page only asks for colours

    return Figure(figsize=(width, height), dpi=110, **{"layout": "constrained", **options})


def tidy(axes: Axes, **labels: Any) -> None:
    """Set labels and limits, and give the axes a light grid and no frame above and to the right."""
    axes.set(**labels)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path``.png and ``path``.svg without dates and random names, and return both paths."""
    import matplotlib

    path.parent.mkdir(parents=True, exist_ok=True)
    png, svg = path.with_name(f"{path.name}.png"), path.with_name(f"{path.name}.svg")
    figure.savefig(png, metadata={"Software": None})
    with matplotlib.rc_context({"svg.hashsalt": "memspan", "svg.fonttype": "none"}):
        figure.savefig(svg, metadata={"Date": None})
    return [png, svg]
