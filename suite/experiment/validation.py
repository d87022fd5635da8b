"""Checks whose messages name the place in the user's file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from suite.errors import InputError, first_problem, unknown
from suite.experiment.search_space import Range

UNION_MEMBER = re.compile(r"(Range|constrained-\w+|(tuple|function-\w+)\[.*)$")
"""Pydantic's names for the members of a union, which no user has ever seen."""


def validate(schema: Any, data: Mapping[str, Any], where: str) -> Any:
    """Return the model that a schema makes of some data.

    Args:
        schema: a pydantic model.
        data: the values of its fields.
        where: the place of the data, for messages.

    Raises:
        InputError: if the data break a rule of the schema; it names the first one.
    """
    try:
        return schema(**data)
    except ValidationError as error:
        problem = first_problem(error)
        path = [part for part in problem.path if not UNION_MEMBER.match(part)]
        if problem.is_unknown_key:
            table = f"[{'.'.join(path[:-1])}]" if path[:-1] else "the file"
            raise unknown("key", path[-1], _keys_at(schema, path[:-1]), of=f"{table} of {where}") from error
        raise InputError(f"{where}: {'.'.join(path)}: {problem.message}") from error


def _keys_at(schema: Any, path: list[str]) -> Iterable[str]:
    """Return the keys that a schema accepts at a path."""
    for part in path:
        field = schema.model_fields.get(part)
        if field is None:  # The part is a label, or a dimension of the search space, and names the table below.
            continue
        annotation = field.annotation
        arguments = getattr(annotation, "__args__", ())
        schema = arguments[-1] if arguments else annotation
        if not hasattr(schema, "model_fields"):
            schema = Range
    return list(schema.model_fields)


def check_distinct(values: Sequence[Any], what: str) -> None:
    """Check that a list has values and that each of them stands there once.

    Raises:
        InputError: if it is empty or has a value twice.
    """
    if not values or len(set(map(repr, values))) < len(values):
        raise InputError(f"{what}: a list must have values, each once; got {list(values)}")


@contextmanager
def errors_at(where: str) -> Iterator[None]:
    """Put the place in the user's file before the message of any ``InputError`` that is raised in this context."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
