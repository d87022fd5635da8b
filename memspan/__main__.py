"""``python -m memspan`` is the command ``memspan``."""

from __future__ import annotations

from memspan import _search_path


def main() -> None:
    """Run the command. Modules of one's own are found in the working folder, which is searched last."""
    _search_path.search_last()
    from suite.cli import main as command

    command()


if __name__ == "__main__":
    main()
