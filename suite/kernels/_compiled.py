"""How the kernels are compiled and where the machine code is kept. Imports Numba: nothing here is loaded before use."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import cfunc, njit, types
from torch import Tensor

# Contractions and reassociations make the loops vectorise. The flags that assume there is no NaN and no infinity are
# left out, for a diverged run must look diverged.
OPTIONS = {"fastmath": {"contract", "reassoc", "arcp", "nsz", "afn"}, "error_model": "numpy", "nogil": True}

_in_use: list[Any] = []  # what ``compiled_once`` made: its code must stay where it is


def compiled(function: Callable[..., Any]) -> Callable[..., None]:
    """Compile a function of tensors, then whole numbers, now, or load it from disk. It gets the tensors' addresses.

    All compiling is done when a module is imported, and none in the first step of a training. Addresses, because
    much of what Numba compiles for a function of arrays is what it does about arrays.
    """
    made = compiled_for(function, [types.int64] * function.__code__.co_argcount)

    @wraps(function)
    def call(*arguments: Tensor | int) -> None:
        made(*(_address(argument) if isinstance(argument, Tensor) else argument for argument in arguments))

    return call


def compiled_for(function: Callable[..., Any], arguments: list[types.Type]) -> Callable[..., None]:
    """Compile a function of other types of arguments."""
    made: Callable[..., None] = _kept(
        lambda cache: njit(types.void(*arguments), cache=cache, no_cfunc_wrapper=True, **OPTIONS)(function)
    )
    return made


def compiled_once(function: Callable[..., Any]) -> types.ExternalFunction:
    """Compile a function for others to call: they jump to it, where Numba would compile it again in each of them."""
    signature = types.void(*[types.int64] * function.__code__.co_argcount)
    made = _kept(lambda cache: cfunc(signature, cache=cache, **OPTIONS)(function))
    symbol = f"memspan.{function.__name__}"
    llvm.add_symbol(symbol, made.address)
    _in_use.append(made)
    return types.ExternalFunction(symbol, signature)


def _address(tensor: Tensor) -> int:
    if not tensor.is_contiguous():
        raise RuntimeError("a kernel takes contiguous tensors only")
    return tensor.data_ptr()


def _kept(build: Callable[[bool], Any]) -> Any:
    """What ``build`` compiles, with or without keeping it on disk."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_CACHE) if _CACHE else before
    try:
        return build(_CACHE is not None)
    except OSError:  # the disk is full, or the folder has gone: compile, and keep nothing
        return build(False)
    finally:
        numba.config.CACHE_DIR = before


def _cache_folder() -> Path | None:
    """A folder to keep machine code in: the first that can be written, or none.

    The last part of its name is a hash of all that the code depends on. Numba itself compares one file's date only, and
    would run an old product inside a new kernel.
    """
    depends = hashlib.sha256(f"{numba.__version__} {llvm.get_host_cpu_name()}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        depends.update(path.read_bytes())
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    bases = [
        Path(__file__).parent / "__pycache__",
        Path(home) / "memspan",
        Path(tempfile.gettempdir()) / f"memspan-{os.getuid() if hasattr(os, 'getuid') else 0}",
    ]
    if os.environ.get("NUMBA_CACHE_DIR"):
        bases.insert(0, Path(os.environ["NUMBA_CACHE_DIR"]))
    for base in bases:
        folder = base / f"kernels-{depends.hexdigest()[:12]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


_CACHE = _cache_folder()
