"""The tables of a leaderboard in LaTeX, for the package booktabs."""

from __future__ import annotations

from suite.leaderboards.leaderboard import Leaderboard
from suite.leaderboards.text.render import COLUMNS, LEFT, LEGEND, cells, columns_of

SPECIAL = {
    "\\": r"\textbackslash{}",
    "–": "--",
    "≥": r"$\geq$",
    "<": r"$<$",
    ">": r"$>$",
    "~": r"$\sim$",
    "^": r"\textasciicircum{}",
    **{one: f"\\{one}" for one in "&%$#_{}"},
}


def escape(text: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(SPECIAL.get(one, one) for one in text)


def latex(board: Leaderboard) -> str:
    """One table per scope, with a caption."""
    lines = ["% Needs \\usepackage{booktabs}.", ""]
    for scope in board.scopes:
        names = columns_of(board, scope)
        lines += [r"\begin{table}", r"\centering", rf"\caption{{{escape(board.experiment)}: {escape(scope)}.}}"]
        lines += [rf"\begin{{tabular}}{{{''.join('l' if name in LEFT else 'r' for name in names)}}}", r"\toprule"]
        lines += [" & ".join(escape(COLUMNS[name]) for name in names) + r" \\", r"\midrule"]
        for _, row in board.rows[board.rows["task"] == scope].iterrows():
            text = cells(row)
            lines += [" & ".join(escape(text[name]) for name in names) + r" \\"]
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    lines += [f"% {line}" for line in [*LEGEND.split("\n"), *board.notes]]
    return "\n".join(lines) + "\n"
