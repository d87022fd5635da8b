"""``python -m memspan`` is the command ``memspan``."""

from __future__ import annotations

import memspan  # noqa: F401  first, so that `suite` is its own
from suite.imports.search_path import search_last


def main() -> None:
    """Run the command. Modules of one's own are found in the working folder, which is searched last."""
    search_last()
    from suite.cli import main as command

    command()


if __name__ == "__main__":
    main()
