"""The rankings of a leaderboard in LaTeX, for the package booktabs."""

from __future__ import annotations

from suite.leaderboards.columns import BEYOND, MEMORY, cell_text, terms, variant_terms
from suite.leaderboards.leaderboard import Leaderboard
from suite.leaderboards.tables import records
from suite.leaderboards.text.sections import beyond_sections, rankings

SPECIAL = {
    "\\": r"\textbackslash{}",
    "–": "--",
    "≥": r"$\geq$",
    "<": r"$<$",
    ">": r"$>$",
    "~": r"$\sim$",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def escape(text: str) -> str:
    """Return text that LaTeX shows as it is."""
    return "".join(SPECIAL.get(character, character) for character in text)


def latex(board: Leaderboard) -> str:
    """Return one table for each scope, with a caption; legend and notes follow as comments."""
    lines = ["% Needs \\usepackage{booktabs}.", ""]
    for section in (*rankings(board), *beyond_sections(board)):
        alignment = "".join("l" if column.left else "r" for column in section.columns)
        lines += [r"\begin{table}", r"\centering", rf"\caption{{{escape(f'{board.experiment}: {section.title}')}.}}"]
        lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule"]
        lines += [" & ".join(escape(column.heading) for column in section.columns) + r" \\", r"\midrule"]
        for row in section.rows:
            lines += [" & ".join(escape(cell_text(row, column)) for column in section.columns) + r" \\"]
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    columns = dict.fromkeys((*MEMORY, *BEYOND) if len(board.beyond) else MEMORY)
    words = [*terms(columns), *variant_terms(records(board.rows), board.variants)]
    lines += [f"% {label}: {text}" for label, text in words]
    return "\n".join([*lines, *(f"% {note}" for note in board.notes)]) + "\n"
