"""Copies of modules."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def copy_of(module: Module) -> Module:
    """Return a copy of a module with parameters of its own.

    Some modules keep a tensor that was calculated from their parameters, such as ``torch.nn.utils.weight_norm`` does,
    and ``copy.deepcopy`` refuses it. The copy gets the numbers of such a tensor, without its history.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(module, memo)
