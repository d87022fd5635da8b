"""States of any structure: their tensors, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def leaves(state: Any) -> list[Tensor]:
    """The tensors of a state, in order."""
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in leaves(part)]


def differentiable(leaf: Tensor) -> bool:
    return leaf.is_floating_point() or leaf.is_complex()


def mapped(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """A state of the same structure, with ``function`` of each tensor."""
    if isinstance(state, Tensor):
        return function(state)
    parts = [mapped(function, part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
