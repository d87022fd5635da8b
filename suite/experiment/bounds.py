"""The whole numbers of an experiment, each with a bound, so that what cannot be done is refused before it begins.

The bounds lie far beyond what anybody trains. They keep a slip of the finger from filling the memory of a machine.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

LARGEST_NUMBER = 2**53 - 1
"""The largest whole number that every reader of JSON keeps as it is. No number in a file is larger."""
MOST_RUNS = 50_000
"""The largest number of runs of one experiment; planning them takes some ten seconds."""
MOST_VALUES = 100
"""The largest number of values in a list of choices, of levels or of lengths."""
LARGEST_BATCH = 10**9
"""The largest number of inputs and targets that are drawn at a time; they fill four gigabytes."""
LARGEST_WIDTH = 10_000
"""The largest number of features per step."""
LARGEST_MODEL = 10**9
"""The largest number of parameters of a model; they fill four gigabytes."""

Count = Annotated[int, Field(ge=1, le=10**9)]
Natural = Annotated[int, Field(ge=0, le=10**9)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_NUMBER - 10**4)]  # The seeds of finalists follow it.
Runs = Annotated[int, Field(ge=1, le=10**4)]
"""A number of runs, such as seeds or trials."""
Trials = Annotated[int, Field(ge=0, le=10**4)]
Length = Annotated[int, Field(ge=1, le=10**6)]
"""A number of steps of a sequence."""
Lengths = Annotated[tuple[Length, ...], Field(strict=False, max_length=MOST_VALUES)]  # TOML gives a list.
Sequences = Annotated[int, Field(ge=1, le=10**7)]
"""A number of sequences."""
HiddenSize = Annotated[int, Field(ge=1, le=2**16)]
Depth = Annotated[int, Field(ge=1, le=100)]
Parameters = Annotated[int, Field(ge=1, le=LARGEST_MODEL)]
"""A number of parameters, or of numbers in a state."""
Delay = Annotated[int, Field(ge=0, le=10**6)]
Mixer = Annotated[float, Field(ge=0, le=100)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
