"""The working folder is searched last, and what that hides is named.

This file imports only what Python has loaded by itself when it runs ``python -m memspan``. Until the working folder
stands last, anything else could be a file that lies there.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder that holds the packages of memspan."""


class _HiddenModules:
    """Is asked last. It finds nothing, and says so by name where a package of memspan hides a user's folder."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        reason = hidden(name) if _is_of_memspan(name.partition(".")[0]) else ""
        if reason:
            raise ModuleNotFoundError(reason, name=name)
        return None


def name_what_is_hidden() -> None:
    """Make every later ``import`` of this process that fails for a hidden module say so."""
    if _HiddenModules not in sys.meta_path:
        sys.meta_path.append(_HiddenModules)


def search_last(folder: str = "") -> None:
    """Search a folder, or else the working folder, after all others."""
    try:
        folder = folder or os.getcwd()
    except OSError:  # it has been removed
        return
    others = [entry for entry in sys.path if os.path.realpath(entry) != os.path.realpath(folder)]
    if HOME not in others:  # memspan itself lies there, and must not give way to another memspan
        rivals = (os.path.isfile(os.path.join(entry, "memspan", "__init__.py")) for entry in others)
        others.insert(next((place for place, is_rival in enumerate(rivals) if is_rival), len(others)), HOME)
    sys.path[:] = others if folder in others else [*others, folder]


def call(function: Callable[..., object], *arguments: Any) -> object:
    """Call ``function`` in a process that has just been started."""
    return function(*arguments)


first_call = call
"""What a new process is given to call. memspan puts a function of its own here: whoever unpickles that one has loaded
memspan, so that the ``suite`` of what follows is memspan's own."""


def call_pickled(pickled: bytes, folder: str, *arguments: Any) -> object:
    """Call a function in a process that was started with ``folder`` before all others on its path."""
    search_last(folder)
    import pickle

    function: Callable[..., object] = pickle.loads(pickled)
    return function(*arguments)


def hidden(module: str, *, exactly: bool = False) -> str:
    """Say which file or folder of the user is not imported, because a module found before it has the same name.

    Args:
        module: the name of a module, of which at least the first part has been imported.
        exactly: count only a file of the working folder that would be this very module; otherwise the first part of
            the name decides. For ``memspan``, only such a file ever counts, because what lies in a folder of that name
            is mostly memspan.

    Returns:
        One sentence, empty if nothing is hidden.
    """
    top, *inner = module.split(".")
    if top not in sys.modules:
        return ""
    exactly = exactly or top == "memspan"
    working, searched = os.path.realpath(""), [os.path.realpath(entry) for entry in sys.path]
    folders = {working} if exactly else dict.fromkeys((working, searched[0]))
    for folder in (folder for folder in folders if folder in searched):
        place = os.path.join(folder, top, *(inner if exactly else ()))
        # A program without an ending, such as the command itself in the folder of commands, is no module.
        for path in (f"{place}.py", os.path.join(place, "__init__.py" if exactly else "")):
            of_top = path if path == os.path.join(folder, f"{top}.py") else os.path.join(folder, top)
            is_memspan = os.path.exists(os.path.join(of_top, "_own_packages.py"))
            if os.path.exists(path) and not is_memspan and os.path.realpath(of_top) not in _places(sys.modules[top]):
                kind = f"folder {top}/" if os.path.isdir(of_top) else f"file {top}.py"
                where = "the working folder" if folder == working else folder
                return f"{top!r} is {_owner(top)}, so the {kind} in {where} is not imported; rename it"
    return ""


def _owner(top: str) -> str:
    if _is_of_memspan(top):
        return "a package of memspan"
    if top in sys.stdlib_module_names:
        return "a module of Python"
    return f"found in {os.path.dirname(_places(sys.modules[top])[0])}"


def _is_of_memspan(top: str) -> bool:
    """Tell whether a package that has been imported is one of memspan's."""
    places = _places(sys.modules[top]) if top in sys.modules else []
    return bool(places) and os.path.dirname(places[0]) == os.path.realpath(HOME) and os.path.isdir(places[0])


def _places(module: ModuleType) -> list[str]:
    """The folders of a package, or the file of a module; empty for what is built into Python."""
    file = getattr(module, "__file__", None)
    return [os.path.realpath(place) for place in getattr(module, "__path__", [file] if file else [])]
