"""Functions of states, which are tensors or nested tuples of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from suite.errors import InputError


def leaves(state: Any) -> list[Tensor]:
    """Return the tensors of a state, in order.

    Raises:
        InputError: if it holds anything else.
    """
    if isinstance(state, Tensor):
        return [state]
    _check_nesting(state)
    return [leaf for part in state for leaf in leaves(part)]


def is_differentiable(leaf: Tensor) -> bool:
    """Tell whether a gradient can flow through a tensor: its numbers are real or complex, not whole."""
    return leaf.is_floating_point() or leaf.is_complex()


def as_real(tensor: Tensor) -> Tensor:
    """Return a tensor of real numbers, in which each complex number has become two."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def number_count(tensor: Tensor) -> int:
    """Return how many numbers a tensor holds. A complex number counts as two."""
    return tensor.numel() * (2 if tensor.is_complex() else 1)


def grows(initial: Any) -> bool:
    """Tell from an initial state whether it may grow with the steps: a tensor of it is ``[batch, 0, ...]``."""
    return any(leaf.dim() > 1 and leaf.shape[1] == 0 for leaf in leaves(initial))


def map_state(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Return a state of the same structure, with ``function`` applied to each tensor.

    Raises:
        InputError: if the state holds anything but tensors.
    """
    if isinstance(state, Tensor):
        return function(state)
    _check_nesting(state)
    parts = [map_state(function, part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)


def in_double(state: Any) -> Any:
    """Return a state in double precision. Whole numbers stay as they are."""

    def convert(leaf: Tensor) -> Tensor:
        return leaf.to(torch.complex128) if leaf.is_complex() else leaf.double() if is_differentiable(leaf) else leaf

    return map_state(convert, state)


def _check_nesting(state: Any) -> None:
    if not isinstance(state, tuple | list):
        raise InputError(f"a state must be a tensor or nested tuples of tensors; got {type(state).__name__}")
