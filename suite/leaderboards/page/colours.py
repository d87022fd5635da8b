"""Colours and markers of the page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

PAPER = {"light": "#fcfcfa", "dark": "#141517"}
"""The grounds of both themes, as in `page.css`."""
CONTRAST = {"light": 3.2, "dark": 4.5}
"""The contrast of what is drawn to its ground. WCAG 1.4.11 asks for 3, and thin lines on a dark ground want more."""
MARKERS: dict[str, list[tuple[float, float]]] = {
    "o": [],  # a circle is no polygon
    "s": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "^": [(0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
    "v": [(0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
    "D": [(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)],
    "P": [
        *[(-0.4, -1.15), (0.4, -1.15), (0.4, -0.4), (1.15, -0.4), (1.15, 0.4), (0.4, 0.4)],
        *[(0.4, 1.15), (-0.4, 1.15), (-0.4, 0.4), (-1.15, 0.4), (-1.15, -0.4), (-0.4, -0.4)],
    ],
    "X": [
        *[(0, -0.57), (0.53, -1.1), (1.1, -0.53), (0.57, 0), (1.1, 0.53), (0.53, 1.1)],
        *[(0, 0.57), (-0.53, 1.1), (-1.1, 0.53), (-0.57, 0), (-1.1, -0.53), (-0.53, -1.1)],
    ],
    "*": [
        *[(0, -1.4), (0.33, -0.45), (1.33, -0.43), (0.53, 0.17), (0.82, 1.13)],
        *[(0, 0.55), (-0.82, 1.13), (-0.53, 0.17), (-1.33, -0.43), (-0.33, -0.45)],
    ],
}
"""The outlines of markers the size of a circle of radius 1, for swatches and plots alike."""


def colour_rules(architectures: Sequence[Mapping[str, Any]]) -> Markup:
    """Return a custom property for each architecture: its colour, as dark or as light as its ground asks for."""
    rules = []
    for i, each in enumerate(architectures):
        color = each["color"] if re.fullmatch("#[0-9a-fA-F]{6}", each["color"]) else "#777777"
        rules.append(f"--a{i}: light-dark({legible(color, 'light')}, {legible(color, 'dark')});")
    return Markup(":root { " + " ".join(rules) + " }")


def legible(color: str, theme: str) -> str:
    """Return the colour, moved away from the ground of a theme until the contrast suffices."""
    ground = PAPER[theme]
    target = 0 if luminance(ground) > 0.5 else 255
    start = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    for step in range(21):
        moved = "#" + "".join(f"{round(c + (target - c) * step / 20):02x}" for c in start)
        light, dark = sorted((luminance(moved), luminance(ground)), reverse=True)
        if (light + 0.05) / (dark + 0.05) >= CONTRAST[theme]:
            return moved
    return moved


def luminance(color: str) -> float:
    """Return the relative luminance, as WCAG defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def outline(marker: str, radius: float = 4.0) -> str:
    """Return the path of a marker around (0, 0)."""
    points = MARKERS.get(marker, [])
    if not points:
        return f"M{-radius},0a{radius},{radius} 0 1,0 {2 * radius},0a{radius},{radius} 0 1,0 {-2 * radius},0z"
    return "M" + "L".join(f"{x * radius:.2f},{y * radius:.2f}" for x, y in points) + "z"
