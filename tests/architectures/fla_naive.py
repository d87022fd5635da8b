"""The reference loops of flash-linear-attention, which are plain torch."""

from __future__ import annotations

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest


def naive(operation: str) -> ModuleType:
    """The module of naive forms of an operation, such as ``gla``. The test is skipped if there is none.

    The file is run by itself, because the package around it imports Triton.
    """
    package = find_spec("fla")
    if package is None or not package.submodule_search_locations:
        pytest.skip("fla-core is not installed")
    path = Path(package.submodule_search_locations[0]) / "ops" / operation / "naive.py"
    spec = spec_from_file_location(f"fla_naive_{operation}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
