"""``import suite`` and ``import tasks`` find the packages of memspan, whatever lies before them on the path.

This file imports only what Python has loaded by itself, because it runs before anything else is safe to import.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder that holds ``memspan``, and beside it `OWN`."""
OWN = ("suite", "tasks")
"""Packages of memspan whose names are common enough to lie in a user's folder too."""


class _OwnPackages:
    """Finds `OWN` beside memspan, whatever stands before it on ``sys.path``."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [HOME], target) if name in OWN else None


def own_packages() -> None:
    """Make every later ``import suite`` and ``import tasks`` of this process find memspan's.

    Raises:
        ImportError: if another package of that name has been imported before.
    """
    for name in OWN:
        places = _places(sys.modules[name]) if name in sys.modules else []
        if places and os.path.realpath(os.path.join(HOME, name)) not in places:
            raise ImportError(
                f"memspan has a package {name!r} of its own, but another one has been imported before, from "
                f"{places[0]}; rename that one",
                name=name,
            )
    sys.meta_path.insert(0, _OwnPackages)


def call(function: Callable[..., object], *arguments: Any) -> object:
    """Call ``function`` in a process that has just been started, and has loaded memspan to find this one."""
    return function(*arguments)


def _places(module: ModuleType) -> list[str]:
    """The folders of a package, or the file of a module; empty for what is built into Python."""
    file = getattr(module, "__file__", None)
    return [os.path.realpath(place) for place in getattr(module, "__path__", [file] if file else [])]
