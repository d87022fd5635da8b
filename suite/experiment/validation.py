"""Checks whose messages name the place in the user's file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

from pydantic import ValidationError

from suite.errors import InputError, first_problem, shortened, unknown
from suite.experiment.plain_data import place

UNION_MEMBER = re.compile(r"(range|choices|constrained-\w+|bool|int|float|str|\[key\]|(tuple|function-\w+)\[.*)$")
"""Pydantic's names for the members of a union and for the keys of a table, which no user has ever seen."""


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
        path = [place((part,)) for part in problem.path if not UNION_MEMBER.match(part)]
        if problem.is_unknown_key:
            table = f"[{'.'.join(path[:-1])}]" if path[:-1] else "the file"
            raise unknown("key", path[-1], _keys_at(schema, path[:-1]), of=f"{table} of {where}") from error
        raise InputError(": ".join(filter(None, (where, ".".join(path), problem.message)))) from error


def _keys_at(schema: Any, path: list[str]) -> Iterable[str]:
    """Return the keys that a file can have at a path. The name of an experiment or a claim is that of its file."""
    for part in path:  # Otherwise the part is a label, a dimension or a place, and names the table below.
        if part in schema.model_fields:
            schema = _model_in(schema.model_fields[part].annotation)
    return [key for key in schema.model_fields if path or key != "name"]


def _model_in(annotation: Any) -> Any:
    """Return the model in an annotation such as ``dict[str, Model]``, and None if there is none."""
    if hasattr(annotation, "model_fields"):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def check_distinct(values: Sequence[Any], what: str) -> None:
    """Check that a list has values and that each of them stands there once.

    Raises:
        InputError: if it is empty or has a value twice.
    """
    if not values or len(set(map(repr, values))) < len(values):
        raise InputError(f"{what}: a list must have values, each once; got {shortened(list(values))}")


@contextmanager
def errors_at(where: str) -> Iterator[None]:
    """Put the place in the user's file before the message of any ``InputError`` that is raised in this context."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def check_free(options: Iterable[str], taken: Collection[str], where: str) -> None:
    """Check that no option of a class has the name of a setting, so that every setting has a name of its own.

    Args:
        options: the names of the options.
        taken: the names of the settings.
        where: the place at which both could be given.

    Raises:
        InputError: if an option has the name of a setting.
    """
    both = sorted(set(options) & set(taken))
    if both:
        raise InputError(
            f"{where}: an option must not have the name of a setting, and {both[0]!r} is one; rename it in the "
            f"constructor (the settings are {', '.join(sorted(taken))})"
        )
