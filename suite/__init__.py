"""The rooms of memspan. What users need of them is exported by ``memspan``, and found here under the same names."""

from __future__ import annotations

import memspan


def __getattr__(name: str) -> object:
    if name in memspan.__all__:
        return getattr(memspan, name)
    raise AttributeError(f"module 'suite' has no attribute {name!r}")
