"""One thread per test process, seeded global generators, and property tests that find the same thing every time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("memspan", deadline=None, derandomize=True, database=None, max_examples=20)
settings.load_profile("memspan")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
