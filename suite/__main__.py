"""The command ``memspan`` by its former name, ``python -m suite``."""

from memspan.__main__ import main

if __name__ == "__main__":
    main()
