"""The options of a class: those parameters of its constructor that an experiment file can set.

A parameter whose default is a plain value is an option. One with another default, such as a function, is none: the
constructor keeps its default, which is part of the hashed source.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from suite.errors import InputError, first_problem, nearest, reason_of, unknown

PLAIN = "a number, a text, true, false, or a list or table of these"


@cache
def option_types(cls: Callable[..., Any]) -> Mapping[str, tuple[Any, Any]]:
    """Return the type and the default of each option of a class, by name. A missing annotation is that of the default.

    Raises:
        InputError: if an annotation cannot be evaluated, or a parameter lacks the default that it needs.
    """
    defaults = _defaults(cls)
    found = {}
    for name, parameter in _parameters(cls).items():
        is_keyword = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if name not in defaults and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise InputError(f"{_place(cls)}: every option needs a default; parameter {name!r} has none")
        if is_keyword and _is_plain(defaults[name]):
            default = defaults[name]
            guessed = type(default) if default is not None else Any
            found[name] = guessed if parameter.annotation is parameter.empty else parameter.annotation, default
    return found


def check_option(cls: Callable[..., Any], option: str, value: Any, owner: str) -> Any:
    """Return a value for an option of a class, as the type of the option. A whole number may become a real one.

    Args:
        cls: the class.
        option: the name of the option.
        value: the value that was given.
        owner: what has the option, for messages.

    Raises:
        InputError: if the value is not of the type, or no value in a file could be.
    """
    try:
        return _adapter(cls, option).validate_python(value)
    except ValidationError as error:
        problem = first_problem(error)
        raise InputError(f"{'.'.join([option, *problem.path])} of {owner}: {problem.message}") from error
    except PydanticUserError as error:
        raise InputError(
            f"{option} of {owner} cannot be set, because its type is {option_types(cls)[option][0]}; "
            f"an option holds {PLAIN}"
        ) from error


@cache
def _adapter(cls: Callable[..., Any], option: str) -> TypeAdapter[Any]:
    return TypeAdapter(option_types(cls)[option][0], config=ConfigDict(strict=True, allow_inf_nan=False))


def option_of_text(pair: str, label: str) -> tuple[str, Any]:
    """Return ``gain=1.5`` as ("gain", 1.5); a value that is not a number, true or false is text.

    Args:
        pair: the text.
        label: what the option is given for, for the message.

    Raises:
        InputError: if the text is no such pair.
    """
    key, equals, text = pair.partition("=")
    if not (key and equals and text):
        raise InputError(f"{label!r}: an option is key=value; got {pair!r}")
    if "=" in text:
        raise InputError(f"{label!r}: options are separated by spaces, as in 'rate=0.5 depth=2'; got {pair!r}")
    try:
        return key, json.loads(text)
    except json.JSONDecodeError:
        return key, text


def not_an_option(cls: Callable[..., Any], option: str, owner: str, settings: Iterable[str] = ()) -> InputError:
    """Return the error for a setting that is no option of a class.

    Args:
        cls: the class.
        option: the name that was received.
        owner: what has the options, for the message.
        settings: what the same table accepts beside options.
    """
    parameter, default = _parameters(cls).get(option), _defaults(cls).get(option)
    if parameter is None or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        options, beside = option_types(cls), sorted(settings)
        other = f"one of the settings {', '.join(beside)}" if beside else ""
        return unknown("option", option, options, of=owner, other=other, likely=nearest(option, [*options, *beside]))
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return InputError(f"{option} of {owner} cannot be set, because the constructor takes it by position only")
    return InputError(f"{option} of {owner} cannot be set, because its default is {default!r}; an option holds {PLAIN}")


def same(one: Any, other: Any) -> bool:
    """Tell whether two values of an option are the same. A list of a file is the same as a tuple."""
    return bool(_listed(one) == _listed(other))


def _parameters(cls: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a constructor by name, without the two sizes that every layer is given."""
    try:
        parameters = _signature(cls).parameters
    except Exception as error:  # An annotation is any expression, and may raise anything.
        missing = getattr(error, "name", None)
        texts = {name: str(p.annotation) for name, p in inspect.signature(cls).parameters.items()}
        names = [repr(name) for name, text in texts.items() if missing and missing in text] or map(repr, texts)
        raise InputError(
            f"{_place(cls)}: the annotation of {' or '.join(names)} cannot be evaluated once the module is imported: "
            f"{reason_of(error)}"
        ) from error
    by_position = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = by_position[:2] if _is_layer(cls) else []
    return {name: parameter for name, parameter in parameters.items() if name not in given}


def _signature(cls: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a constructor with its annotations evaluated.

    The constructor that a dataclass is given repeats the annotations of its base classes, whose names are known in the
    modules of the base classes alone.
    """
    if not (isinstance(cls, type) and is_dataclass(cls) and "__init__" in vars(cls)):
        return inspect.signature(cls, eval_str=True)
    made, types = inspect.signature(cls), get_type_hints(cls, include_extras=True)
    return made.replace(
        parameters=[p.replace(annotation=types.get(n, p.annotation)) for n, p in made.parameters.items()]
    )


def _is_layer(cls: Callable[..., Any]) -> bool:
    from suite.architectures import Layer  # It takes a second to import, and whoever has one has imported it.

    return isinstance(cls, type) and issubclass(cls, Layer)


def _defaults(cls: Callable[..., Any]) -> dict[str, Any]:
    """Return the default of each parameter that has one. The factory of a field of a dataclass is called."""
    defaults = {name: p.default for name, p in inspect.signature(cls).parameters.items() if p.default is not p.empty}
    if isinstance(cls, type) and is_dataclass(cls):
        made = {field.name: field.default_factory for field in fields(cls) if field.default_factory is not MISSING}
        defaults |= {name: made[name]() for name in defaults.keys() & made.keys()}
    return defaults


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _listed(value: Any) -> Any:
    return [_listed(part) for part in value] if isinstance(value, list | tuple) else value


def _place(cls: Callable[..., Any]) -> str:
    return f"{cls.__module__}:{getattr(cls, '__qualname__', cls)}"
