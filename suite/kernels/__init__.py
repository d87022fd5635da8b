"""The recurrences of ``suite.architectures`` in a fused form, which is never the definition but tested against it.

On a CPU, Numba compiles each recurrence into one loop over time (``elman.py``, ``lstm.py``, …). On a GPU, the standard
cells are cuDNN's (``cudnn.py``), and linear recurrences have a parallel form of a few large operations. Where none of
these applies, the definition runs. ``MEMSPAN_KERNELS=0`` switches all of them off, and ``MEMSPAN_KERNELS=parallel``
prefers the parallel forms on every device. Second derivatives need ``0``, because the kernels only have first ones.

Importing this package imports neither a kernel nor Numba. ``find`` imports them on first use.
"""

from __future__ import annotations

import os
import pkgutil
import sys
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from suite.kernels._scan import diagonal_scan

__all__ = ["available", "diagonal_definition", "diagonal_recurrence", "find", "parallel", "path", "warm_up"]

Path = Literal["fused", "cudnn", "parallel", "definition"]
_taken: list[Path] = []  # The last choice of ``find`` or ``parallel``, for ``path``.
_warned: list[str] = []


def find(
    name: str,
    inputs: Tensor,
    *others: Tensor,
    cudnn: bool = False,
    dtypes: tuple[torch.dtype, ...] = (torch.float32,),
) -> Callable[..., Any] | None:
    """Return the kernel called ``name`` for ``inputs`` ``[batch, time, …]``, or None if the definition has to run.

    ``others`` are the states and weights that the kernel will receive. ``dtypes`` are the types that the fused kernel
    accepts, and ``cudnn`` says that cuDNN also has this form of the cell.
    """
    _taken[:] = ["definition"]
    tensors = (inputs, *others)
    devices = {tensor.device.type for tensor in tensors}
    if (
        os.environ.get("MEMSPAN_KERNELS") in ("0", "parallel")
        or inputs.dim() != 3
        or not inputs.numel()
        or not _plain(tensors)
    ):
        return None
    if cudnn and devices == {"cuda"} and torch.backends.cudnn.is_available():  # type: ignore[no-untyped-call]
        _taken[:] = ["cudnn"]
        return _load("cudnn", name)
    if devices == {"cpu"} and {tensor.dtype for tensor in tensors} <= set(dtypes) and available(name):
        _taken[:] = ["fused"]
        return _load(name, name)
    return None


def parallel(inputs: Tensor) -> bool:
    """Tell whether a linear recurrence should take its parallel form, after `find` has found no kernel.

    It should on a GPU, where a loop over time is slow, and with ``MEMSPAN_KERNELS=parallel`` on every device.
    """
    asked = os.environ.get("MEMSPAN_KERNELS")
    wanted = inputs.numel() > 0 and (asked == "parallel" or (asked != "0" and inputs.device.type == "cuda"))
    if wanted:
        _taken[:] = ["parallel"]
    return wanted


def path(cell: Any) -> Path:
    """Find out by one step of ``cell`` which path it takes on the device where its parameters are now."""
    _taken.clear()
    with torch.no_grad():
        cell(cell.zeros(1, 1, cell.input_size))
    return _taken[0] if _taken else "definition"


def warm_up() -> bool:
    """Compile every kernel, or load it from disk, so that no run pays for it. Return True if all can be used."""
    found = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    names = [name for name in found if name != "cudnn"]
    if sys.platform == "linux" and available("_product"):
        _compile_side_by_side(names)
    usable = [available(name) for name in names]  # Try all of them, also after a failure.
    return all(usable)


def _compile_side_by_side(names: list[str]) -> None:
    """Compile kernels on all cores, for the cache on disk. An error in a child occurs again, and is reported, later.

    The children are forked, so they start with Numba imported and the shared product compiled. They do not use torch.
    """
    count = len(os.sched_getaffinity(0))
    children = []
    for share in (names[first::count] for first in range(1, count)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # It warns of forking beside threads.
            child = os.fork()
        if child == 0:
            try:
                for name in share:
                    import_module(f"{__name__}.{name}")
            finally:
                os._exit(0)
        children.append(child)
    for name in names[::count]:
        available(name)
    for child in children:
        os.waitpid(child, 0)


@cache
def available(name: str) -> bool:
    """Compile the fused kernel ``name``, or load it from disk. Return False, after one warning, if that fails."""
    try:
        import_module(f"{__name__}.{name}")
    except Exception as error:  # Whatever the reason is, the definition can still run.
        _warn(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        return False
    return True


def _warn(reason: str) -> None:
    """Warn once that the definition, which is slower, runs in place of the kernels."""
    if not _warned:
        _warned.append(reason)
        warnings.warn(f"no fused kernels, the slower definition runs: {reason}", RuntimeWarning, stacklevel=2)


def _load(module: str, name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module(f"{__name__}.{module}"), name)
    return function


def _plain(tensors: tuple[Tensor, ...]) -> bool:
    """Return True for ordinary tensors in an ordinary call, which nothing traces, maps or transforms."""
    return not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or torch.is_autocast_enabled("cpu")
        or torch.is_autocast_enabled("cuda")
    ) and all(type(tensor) in (Tensor, nn.Parameter) and tensor.layout == torch.strided for tensor in tensors)


def diagonal_recurrence(a: Tensor, b: Tensor, h: Tensor | None = None) -> Tensor:
    """Return the states of h_t = a_t ⊙ h_{t−1} + b_t, real or complex: ``[batch, time, units]``.

    ``h`` is the state before the first step, ``[batch, units]``, and None means zeros. ``a`` and ``b`` are broadcast
    together, so a constant ``a`` may be ``[units]``.
    """
    dtype = torch.promote_types(a.dtype, b.dtype)
    a, b = torch.broadcast_tensors(a.to(dtype), b.to(dtype))  # type: ignore[no-untyped-call]
    h = b.new_zeros(len(b), b.shape[2]) if h is None else h.to(dtype)
    kernel = find("diagonal", b, a, h, dtypes=(torch.float32, torch.complex64))
    if kernel is not None:
        states: Tensor = kernel(a, b, h)
        return states
    if parallel(b):
        return diagonal_scan(a, b, h)
    return diagonal_definition(a, b, h)


def diagonal_definition(a: Tensor, b: Tensor, h: Tensor | None = None) -> Tensor:
    """The definition of ``diagonal_recurrence``, step by step. Here ``a`` must have the shape of ``b``."""
    h = torch.zeros_like(b[:, 0]) if h is None else h
    states = []
    for a_t, b_t in zip(a.unbind(1), b.unbind(1), strict=True):
        # h_t = a_t ⊙ h_{t−1} + b_t
        h = a_t * h + b_t
        states.append(h)
    return torch.stack(states, dim=1)
