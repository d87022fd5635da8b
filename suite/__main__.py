"""``python -m suite`` is ``memspan`` by its former name."""

from memspan.__main__ import main

if __name__ == "__main__":
    main()
