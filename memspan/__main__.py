"""``python -m memspan`` is the command ``memspan``."""

from __future__ import annotations

import memspan  # noqa: F401  This must come first, so that `suite` is that of memspan.
from suite.imports.search_path import search_last


def main() -> None:
    """Run the command. It finds the user's own modules in the working folder, which Python searches last."""
    search_last()
    from suite.cli import main as command

    command()


if __name__ == "__main__":
    main()
