"""The look of pictures: each architecture has its style, and the same data give the same bytes."""

from __future__ import annotations

from pathlib import Path

from suite.plots.style import MARKERS, PALETTE, RESERVED, new_figure, save, style_of, styles_of


def test_an_architecture_looks_the_same_whatever_is_beside_it() -> None:
    alone = {label: style_of(label) for label in RESERVED}
    assert {label: styles_of([*RESERVED, "mine", "yours"])[label] for label in RESERVED} == alone


def test_no_two_look_alike_in_one_picture() -> None:
    few = [f"arm {i}" for i in range(len(PALETTE))]
    assert len({style.color for style in styles_of(few).values()}) == len(few)
    many = [*RESERVED, *(f"arm {i}" for i in range(5 * len(MARKERS)))]
    found = styles_of(many)
    assert sorted(found) == sorted(many)
    assert len({(s.color, s.marker, str(s.linestyle)) for s in found.values()}) == len(many)


def test_the_same_figure_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        figure = new_figure()
        figure.subplots().plot([1, 2, 3], label="a")
        save(figure, tmp_path / name)
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()
