"""The compilation of the kernels, and the cache of their machine code. Import this late, because it imports Numba."""

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

# Contractions and reassociations make the loops vectorise. The flags that assume that there is no NaN and no infinity
# are left out, because a diverged run must look diverged.
OPTIONS = {"fastmath": {"contract", "reassoc", "arcp", "nsz", "afn"}, "error_model": "numpy", "nogil": True}

_in_use: list[Any] = []  # Results of ``compiled_once``, kept so that their code stays in place.


def compiled(function: Callable[..., Any]) -> Callable[..., None]:
    """Compile a function of tensors followed by whole numbers at once, or load it from disk.

    All compiling happens when a module is imported, and none in the first step of a training. The function receives the
    addresses of the tensors, because much of the code that Numba compiles for arrays only manages the arrays.
    """
    made = compiled_for(function, [types.int64] * function.__code__.co_argcount)

    @wraps(function)
    def call(*arguments: Tensor | int) -> None:
        made(*(_address(argument) if isinstance(argument, Tensor) else argument for argument in arguments))

    return call


def compiled_for(function: Callable[..., Any], arguments: list[types.Type]) -> Callable[..., None]:
    """Compile a function whose arguments have the given types."""
    made: Callable[..., None] = _kept(
        lambda cache: njit(types.void(*arguments), cache=cache, no_cfunc_wrapper=True, **OPTIONS)(function)
    )
    return made


def compiled_once(function: Callable[..., Any]) -> types.ExternalFunction:
    """Compile a function once, for others to jump to, where Numba would compile it again in each of them."""
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
    """Return the result of ``build``, which keeps its code on disk where this is possible."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_CACHE) if _CACHE else before
    try:
        return build(_CACHE is not None)
    except OSError:  # The disk is full, or the folder is gone: compile without keeping the code.
        return build(False)
    finally:
        numba.config.CACHE_DIR = before


def _cache_folder() -> Path | None:
    """The first folder for machine code that can be written, or None.

    The last part of its name is a hash of everything that the code depends on. Numba itself only compares the date of
    one file, and would run an old product inside a new kernel.
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
