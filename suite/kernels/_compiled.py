"""How the kernels are compiled and where the machine code is kept. Imports Numba: nothing here is loaded before use."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import njit

# Contractions and reassociations make the loops vectorise. The flags that assume there is no NaN and no infinity are
# left out, for a diverged run must look diverged.
FASTMATH = {"contract", "reassoc", "arcp", "nsz", "afn"}


def compiled(arrays: int, sizes: int, dtypes: tuple[str, ...] = ("float32",)) -> Callable[..., Callable[..., None]]:
    """Compile a function of flat arrays, then whole numbers, now, or load it from disk.

    Explicit types: all compiling is done when a module is imported, and none in the first step of a training. Flat
    arrays, for views of them in inner loops double the time of compiling.
    """
    signatures = [f"void({', '.join([f'{dtype}[::1]'] * arrays + ['int64'] * sizes)})" for dtype in dtypes]

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        def build(cache: bool) -> Callable[..., None]:
            options = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}
            dispatcher: Callable[..., None] = njit(signatures, cache=cache, **options)(function)
            return dispatcher

        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(_CACHE) if _CACHE else before
        try:
            return build(cache=_CACHE is not None)
        except OSError:  # the disk is full, or the folder has gone: compile, and keep nothing
            return build(cache=False)
        finally:
            numba.config.CACHE_DIR = before

    return decorate


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
