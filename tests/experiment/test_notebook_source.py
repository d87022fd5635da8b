"""A class of a notebook becomes a module of its own, with what it uses and nothing else."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from suite.errors import InputError
from suite.experiment.notebook_source import is_of_notebook, module_of
from tests.helpers import Notebook

HELPERS = """
import math
import torch.nn.functional as F
from torch import Tensor, float32 as number, nn
RATE, LIMIT, TABLE = 0.5, math.inf, {"a": [1, 2.5]}
DTYPE = number
unused = object()
x = object()

def squash(v):
    return F.tanh(v) * RATE

def ping(n):
    return n and pong(n - 1)

def pong(n):
    return n and ping(n - 1)
"""
CELL = """
class Base(nn.Module):
    pass

class Mine(Base):
    '''Words.'''

    def step(self, x: Tensor, *, table=TABLE) -> Tensor:
        return squash(x.to(DTYPE)) + ping(2)
"""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    with Notebook(monkeypatch) as made:
        made.run(HELPERS)
        made.run(CELL)
        yield made


def imported(text: str) -> dict[str, Any]:
    """The names that a module of this text has."""
    module = ModuleType("written")
    exec(text, vars(module))
    return vars(module)


def test_the_module_has_all_that_the_class_uses_and_nothing_else(notebook: Notebook) -> None:
    name, text = module_of("Mine")
    assert re.fullmatch(r"notebook_[0-9a-f]{16}", name)
    names = {key for key in imported(text) if not key.startswith("__")} - {"annotations"}
    assert names == {"F", "Tensor", "nn", "number", "RATE", "TABLE", "DTYPE", "squash", "ping", "pong", "Base", "Mine"}
    assert "from torch import float32 as number" in text.splitlines()
    assert "Words." in text


@pytest.mark.parametrize(
    "cell", ["RATE = 0.25", "def squash(v):\n    return v", "DTYPE = Tensor", CELL.replace("2)", "3)")]
)
def test_an_edited_class_or_helper_is_another_module(notebook: Notebook, cell: str) -> None:
    before = module_of("Mine")[0]
    notebook.run(cell)
    assert module_of("Mine")[0] != before


@pytest.mark.parametrize("cell", ["RATE = 0.25", "def squash(v):\n    return v", CELL.replace("2)", "3)")])
def test_a_cell_that_is_executed_again_gives_the_old_module(notebook: Notebook, cell: str) -> None:
    before = module_of("Mine")[0]
    notebook.run(cell)
    notebook.run(HELPERS)
    notebook.run(CELL)
    assert module_of("Mine")[0] == before


def test_comments_docstrings_and_what_is_not_used_change_nothing(notebook: Notebook) -> None:
    before = module_of("Mine")[0]
    notebook.run("unused = 3\nx = 4\nprint")
    notebook.run(CELL.replace("Words.", "Other words.").replace("return", "# a comment\n        return"))
    assert module_of("Mine")[0] == before


def test_a_cell_that_failed_does_not_count(notebook: Notebook) -> None:
    before = module_of("Mine")[0]
    with pytest.raises(NameError):
        notebook.run(CELL.replace("2)", "3)").replace("class Mine(Base)", "class Mine(Base, missing)"))
    assert module_of("Mine")[0] == before


def test_what_has_no_source_is_named(notebook: Notebook) -> None:
    vars(notebook.module)["found"] = object()
    notebook.run(CELL.replace("ping(2)", "found"))
    with pytest.raises(InputError, match="the definition of 'found', which Mine uses, is not found"):
        module_of("Mine")


def test_a_script_has_a_file_and_is_no_notebook(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_of_notebook("__main__:Mine")
    assert not is_of_notebook("my_cell:Mine")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)
    assert not is_of_notebook("__main__:Mine")
    assert any(name.startswith("<cell") for name in linecache.cache)
