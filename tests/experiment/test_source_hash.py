"""A run is known by its source: what changes the fingerprint of a class, and what does not."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from suite.errors import InputError
from suite.experiment.source_hash import definitions_of, source_hash, source_of
from suite.registry import Registry, architectures, tasks

BASE = """
import torch
from torch import nn

from suite.architectures import Cell

SCALE = 2.0


def scaled(x):
    return SCALE * x


class Base(Cell):
    def initial_state(self, batch_size):
        return self.zeros(batch_size, self.hidden_size)
"""
CELL = """
from torch import tanh

from family import helpers
from family.base import Base, scaled


class Echo(Base):
    \"\"\"An echo.\"\"\"

    gain: float = 1.0

    def step(self, x, state):
        # h_t = tanh(h_{t-1})
        h = tanh(scaled(helpers.shifted(state)))
        return h, h
"""
HELPERS = """
def shifted(x):
    return x + 1


def unused(x):
    return x - 1
"""


@pytest.fixture
def hash_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The fingerprint of ``family.echo:Echo`` with some texts replaced in its files."""
    folder = tmp_path / "family"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    files = {"__init__": "", "base": BASE, "echo": CELL, "helpers": HELPERS}

    def forget() -> None:
        for module in [name for name in sys.modules if name.split(".")[0] == "family"]:
            del sys.modules[module]
        importlib.invalidate_caches()

    def found(file: str = "echo", old: str = "", new: str = "", **more: str) -> str:
        for name, text in {**files, **more}.items():
            assert name != file or old in text
            changed = text.replace(old, new) if name == file and old else text
            (folder / f"{name}.py").write_text(changed, encoding="utf-8")
        forget()
        for cached in folder.glob("__pycache__/*"):
            cached.unlink()
        return source_hash(architectures.get("family.echo:Echo"))

    yield found
    forget()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("echo", "# h_t = tanh(h_{t-1})", "# the new state, squashed"),
        ("echo", "An echo.", "An echo, described at length.\n\n    With its source.\n    "),
        ("echo", "gain: float = 1.0", 'gain: float = 1.0\n    """It does nothing."""'),
        ("echo", "def step(self, x, state):", "def step(\n        self,\n        x,\n        state,\n    ):"),
        ("echo", "(self, x, state):", "(self, x: object, state: object) -> tuple[object, object]:"),
        ("base", "SCALE = 2.0", "SCALE = 2.0\nOTHER = 3.0"),
        ("base", "import torch\n", "import torch\n\n\ndef nobody_uses_it():\n    return 1\n\n\n"),
        ("helpers", "return x - 1", "return x - 2"),
        ("helpers", "def shifted(x):", 'def shifted(x):\n    """One more."""'),
        ("base", "from torch import nn", "from torch import nn\nimport math"),
        ("echo", "\nclass", '\nif __name__ == "__main__":\n    print("a try")\n\n\nclass'),
    ],
)
def test_what_changes_no_result_changes_no_fingerprint(
    hash_of: Callable[..., str], file: str, old: str, new: str
) -> None:
    before = hash_of()
    assert re.fullmatch("[0-9a-f]{16}", before)
    assert hash_of(file, old, new) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("echo", "h = tanh(", "h = 2 * tanh("),
        ("echo", "return h, h", "return h, state"),
        ("echo", "gain: float = 1.0", "gain: float = 2.0"),
        ("echo", "from torch import tanh", "from torch import sin as tanh"),
        ("base", "self.hidden_size)", "self.hidden_size) + 1"),
        ("base", "return SCALE * x", "return SCALE + x"),
        ("base", "SCALE = 2.0", "SCALE = 3.0"),
        ("helpers", "return x + 1", "return x + 2"),
        ("echo", "\nclass", "\nBase.zeros = None\n\n\nclass"),
    ],
)
def test_what_changes_a_result_changes_the_fingerprint(
    hash_of: Callable[..., str], file: str, old: str, new: str
) -> None:
    assert hash_of(file, old, new) != hash_of()


def test_a_helper_may_move_to_another_file(hash_of: Callable[..., str]) -> None:
    before = hash_of()
    moved = HELPERS.replace("shifted", "elsewhere"), "def shifted(x):\n    return x + 1\n"
    text = CELL.replace("from family import helpers", "from family import others as helpers")
    assert hash_of(echo=text, helpers=moved[0], others=moved[1]) == before


def test_the_contract_is_part_of_every_fingerprint() -> None:
    found = definitions_of("adding", "gru")
    assert {"suite.architectures._base.Cell", "suite.architectures.gru.GRU"} <= set(found)
    assert {"tasks._base.Task", "tasks._base.Batch", "tasks.adding.Adding"} <= set(found)
    assert "suite.architectures._base.recurrent_weight" in found
    assert "suite.architectures._base.gate_biases" not in found, "the GRU has no forget gate"
    assert not [name for name in found if name.startswith("suite.kernels.")], "kernels calculate what the step says"


@pytest.mark.parametrize("registry", [architectures, tasks], ids=["architectures", "tasks"])
def test_no_two_names_share_a_fingerprint(registry: Registry[Any]) -> None:
    hashes = [source_hash(registry.get(name)) for name in registry.names()]
    assert len(set(hashes)) == len(hashes)


def test_the_fingerprint_is_the_same_by_either_name() -> None:
    assert source_of("adding", "gru") == source_of("tasks.adding:Adding", "suite.architectures.gru:GRU")


def test_a_class_without_a_file_is_refused_by_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typed_in", ModuleType("typed_in"))
    cls = type("Typed", (architectures.get("gru"),), {"__module__": "typed_in"})
    with pytest.raises(InputError, match=r"the source of module 'typed_in' cannot be read.* put the class into a file"):
        source_hash(cls)


def test_a_class_below_a_condition_for_scripts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of it would not be seen."""
    text = "from suite.architectures import Cell\nif __name__ != 'other':\n    class Echo(Cell):\n        pass\n"
    (tmp_path / "conditional.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    echo = importlib.import_module("conditional").Echo
    with pytest.raises(InputError, match=r"the definition of Echo is not found .* not below a condition on __name__"):
        source_hash(echo)
    monkeypatch.delitem(sys.modules, "conditional")
