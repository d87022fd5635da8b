"""The length of the sequences of a task: a number, or a range from which each batch draws its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from suite.experiment.bounds import MOST_VALUES, Length


class LengthRange(BaseModel):
    """The lengths from ``low`` to ``high``, both of which may be drawn. As text it is ``3 … 40``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    low: Length
    high: Length

    @model_validator(mode="after")
    def _ordered(self) -> LengthRange:
        if not self.low < self.high:
            raise ValueError(f"low must be below high; got low = {self.low}, high = {self.high}")
        return self

    def __str__(self) -> str:
        return f"{self.low} … {self.high}"


def _form(value: Any) -> str:
    """Return the tag of what a value is meant to be, so that a message speaks of that alone."""
    if isinstance(value, Mapping | LengthRange):
        return "range"
    return "choices" if isinstance(value, list | tuple) else "int"


Number = Annotated[Length, Tag("int")]
Drawn = Annotated[LengthRange, Tag("range")]
Ladder = Annotated[tuple[Length, ...], Field(strict=False, min_length=1, max_length=MOST_VALUES), Tag("choices")]
TrainingLength = Annotated[Number | Drawn, Discriminator(lambda value: _form(value).replace("choices", "int"))]
"""The length of training sequences: a number, or a range."""
TableLength = Annotated[Number | Drawn | Ladder, Discriminator(_form)]
"""The same, or a list of numbers, each of which makes a level."""


def shortest_of(length: int | LengthRange) -> int:
    """Return the smallest length that may be drawn."""
    return length.low if isinstance(length, LengthRange) else length


def longest_of(length: int | LengthRange) -> int:
    """Return the largest length that may be drawn."""
    return length.high if isinstance(length, LengthRange) else length
