"""Functions of states, which are tensors or nested tuples of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def leaves(state: Any) -> list[Tensor]:
    """Return the tensors of a state, in order."""
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in leaves(part)]


def is_differentiable(leaf: Tensor) -> bool:
    """Tell whether a gradient can flow through a tensor: its numbers are real or complex, not whole."""
    return leaf.is_floating_point() or leaf.is_complex()


def map_state(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Return a state of the same structure, with ``function`` applied to each tensor."""
    if isinstance(state, Tensor):
        return function(state)
    parts = [map_state(function, part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
