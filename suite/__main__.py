"""``python -m suite`` is ``memspan``."""

from suite.cli import main

if __name__ == "__main__":
    main()
