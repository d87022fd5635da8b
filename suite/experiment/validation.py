"""Data against a schema: the first thing that is wrong is one message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from suite.errors import InputError, unknown
from suite.experiment.search_space import Range

UNION_MEMBER = r"(Range|constrained-\w+|(tuple|function-\w+)\[.*)$"


def parsed(schema: Any, data: Mapping[str, Any], where: str) -> Any:
    """``data`` as ``schema``; the first thing that is wrong is one ``InputError``."""
    try:
        return schema(**data)
    except ValidationError as error:
        first = max(error.errors(), key=lambda found: len(found["loc"]))  # of a union, the member that fits best
        # Pydantic names the members of a union in the path; the user has never seen them.
        path = [str(part) for part in first["loc"] if not re.match(UNION_MEMBER, str(part))]
        if first["type"] == "extra_forbidden":
            inner = _schema_at(schema, path[:-1])
            place = f"[{'.'.join(path[:-1])}]" if path[:-1] else "the file"
            raise unknown("key", path[-1], inner, of=f"{place} of {where}") from error
        message = first["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
        message = message[0].lower() + message[1:]
        given = f"; got {first['input']!r}" if first["type"] not in ("missing", "value_error") else ""
        raise InputError(f"{where}: {'.'.join(path)}: {message}{given}") from error


def _schema_at(schema: Any, path: list[str]) -> Iterable[str]:
    """The keys that are accepted at ``path``."""
    for part in path:
        field = schema.model_fields.get(part)
        if field is None:  # a label or a name of the space: the table below it
            continue
        annotation = field.annotation
        arguments = getattr(annotation, "__args__", ())
        schema = arguments[-1] if arguments else annotation
        if not hasattr(schema, "model_fields"):
            schema = Range
    return list(schema.model_fields)
