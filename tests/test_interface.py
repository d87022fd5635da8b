"""``import memspan`` is the Python interface, whatever lies in the working folder, and what it would hide is named."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import memspan
import suite
import tasks as tasks_package
from suite import architectures as architectures_package
from suite.errors import InputError
from suite.experiment.experiment import Sweep
from suite.experiment.source_hash import definitions_of, source_hash
from suite.imports import search_path
from suite.imports.exports import ORIGINS
from suite.planning import sweep
from suite.registry import architectures, tasks
from tests.helpers import Notebook

ROOT = Path(__file__).parent.parent
PROMISED = (
    *(
        "run",
        "leaderboard",
        "load_model",
        "Cell",
        "Layer",
        "Task",
        "Batch",
        "DataSet",
        "Parts",
        "Regression",
        "one_hot",
    ),
    *("bias", "input_weight", "recurrent_weight", "gate_biases", "InputError", "__version__"),
)
AWKWARD = ("copy", "random", "json", "pickle", "socket", "numpy", "torch", "suite/__init__", "tasks/__init__")
"""Files that would hide a module of Python, of an installed package or of memspan."""
CELL = """
import torch
from torch import Tensor
from torch.nn.functional import linear

{imports}


class Echo(Cell):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W, self.b = input_weight(1, hidden_size, input_size), {bias}(1, hidden_size)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = 0.5 * state + torch.tanh(linear(x, self.W, self.b))
        return h, h
"""
EXPERIMENT = """
model.hidden_size = 4
training = { steps = 4, validate_every = 2, validation_size = 8, test_size = 8 }
sweep.trials = 0
evaluation.seeds = 2
tasks.adding.length = 8
architectures.echo.architecture = "my_cell:Echo"
"""
SCRIPT = """
if __name__ == "__main__":
    import memspan

    print(len(memspan.run("mine.toml", workers=2)))
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def wrong(*names: str) -> dict[str, str]:
    """Modules that end whatever imports them."""
    return {name: f"raise SystemExit('the wrong {name}')" for name in names}


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=240
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an experiment and the cell that it names."""
    write(tmp_path, {"my_cell": CELL.format(imports="from memspan import Cell, bias, input_weight", bias="bias")})
    (tmp_path / "mine.toml").write_text(EXPERIMENT, encoding="utf-8")
    return tmp_path


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder that is searched last, as in a command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    search_path.search_last()
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


# what is exported ----------------------------------------------------------------------------------------------------


def test_everything_that_a_user_needs_is_exported() -> None:
    assert set(memspan.__all__) == set(PROMISED) <= set(dir(memspan))
    for name, module in ORIGINS.items():
        assert getattr(memspan, name) is getattr(importlib.import_module(module), name)
    assert memspan.Cell is architectures_package.Cell
    assert memspan.Task is tasks_package.Task
    assert memspan.InputError is InputError
    assert memspan.__version__ == version("memspan")
    with pytest.raises(AttributeError, match="'memspan' has no attribute 'lode_model'"):
        memspan.lode_model  # type: ignore[attr-defined]  # noqa: B018


def test_the_former_name_gives_the_same_objects() -> None:
    for name in memspan.__all__:
        assert getattr(suite, name) is getattr(memspan, name)
    assert importlib.import_module("suite.model_file")._load_pyfunc


def test_import_and_help_wait_for_no_library(tmp_path: Path) -> None:
    program = "import memspan, sys; print({'torch', 'numpy', 'pandas', 'pydantic', 'typer', 'typing'} & {*sys.modules})"
    assert python("-c", program, cwd=tmp_path).stdout == "set()\n"
    shown = python("-X", "importtime", "-m", "memspan", "--help", cwd=tmp_path)
    assert "memspan run quick" in shown.stdout
    assert not re.findall(r"\| +(torch|numpy|pandas|mlflow|optuna|lightning)$", shown.stderr, re.MULTILINE)


def test_the_distribution_has_every_package_its_types_and_the_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == ["memspan", "suite", "tasks", "experiments"]
    assert all((ROOT / name / "py.typed").exists() for name in packages if name != "experiments")
    module, _, function = project["project"]["scripts"]["memspan"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


# nothing is hidden by the working folder -----------------------------------------------------------------------------


def test_a_command_and_its_workers_import_nothing_from_the_working_folder_but_what_is_named(folder: Path) -> None:
    write(folder, wrong(*AWKWARD))
    ran = python("-m", "memspan", "run", "mine.toml", "--workers", "2", cwd=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "echo" in ran.stdout
    assert "the wrong" not in ran.stdout + ran.stderr


def test_the_installed_command_imports_nothing_else_either(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(folder, wrong(*AWKWARD))
    script = tmp_path_factory.mktemp("bin") / "memspan"
    script.write_text("from memspan.__main__ import main\nmain()\n", encoding="utf-8")
    ran = python(str(script), "run", "mine.toml", "--dry-run", cwd=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "echo" in ran.stdout


def test_a_script_and_its_workers_find_the_packages_of_memspan(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Python searches the folder of a script first, and the working folder not at all."""
    home = tmp_path_factory.mktemp("home")
    write(home, {"script": SCRIPT, **wrong("suite/__init__", "tasks/__init__")})
    (folder / "my_cell.py").rename(home / "my_cell.py")
    write(folder, wrong(*AWKWARD))
    ran = python(str(home / "script.py"), cwd=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout == "1\n"
    assert ran.stderr == ""


def test_a_script_that_calls_run_outside_of_its_guard_ends_with_one_message(folder: Path) -> None:
    write(folder, {"script": "import memspan\nmemspan.run('mine.toml', workers=2)"})
    ran = python("script.py", cwd=folder)
    assert ran.returncode == 1
    assert ran.stderr.count("Traceback") == 1, ran.stderr
    assert ran.stderr.splitlines()[-1] == (
        'suite.errors.InputError: a script must call memspan.run below `if __name__ == "__main__":` to have more than '
        "one worker, because each worker imports the script first; this one calls it outside"
    )


def test_a_class_of_a_notebook_is_refused_in_one_message(working: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module ``__main__`` of a notebook has no file."""
    notebook = ModuleType("__main__")
    cell = CELL.format(imports="from memspan import Cell, bias, input_weight", bias="bias")
    exec(cell, vars(notebook))
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    (working / "mine.toml").write_text(EXPERIMENT.replace("my_cell", "__main__"), encoding="utf-8")
    with pytest.raises(
        InputError, match=r"the source of module '__main__' cannot be read: .*put the class into a file"
    ):
        memspan.run("mine.toml")


def test_a_class_of_a_notebook_is_known_there_alone() -> None:
    with pytest.raises(
        InputError, match=r"architecture '__main__:Echo': the program that runs defines no Cell or Layer"
    ):
        architectures.get("__main__:Echo")


def test_a_class_of_a_notebook_runs_and_an_edited_one_is_another(
    working: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (working / "mine.toml").write_text(EXPERIMENT.replace("my_cell", "__main__"), encoding="utf-8")
    cell = CELL.format(imports="from memspan import Cell, bias, input_weight", bias="bias")
    path = [*sys.path]
    with Notebook(monkeypatch) as notebook:
        notebook.run(cell)
        with pytest.raises(InputError, match="nothing to rank"):
            memspan.leaderboard("mine.toml")
        rows = memspan.run("mine.toml")
        assert "echo" in set(rows["architecture"])
        (file,) = (working / "mlruns" / "notebook").glob("notebook_*.py")
        assert "class Echo(Cell):" in file.read_text(encoding="utf-8")
        pd.testing.assert_frame_equal(memspan.leaderboard("mine.toml"), rows)

        notebook.run(cell.replace("torch.tanh", "torch.sin"))
        with pytest.raises(InputError, match=r"nothing to rank .* other settings or sources"):
            memspan.leaderboard("mine.toml")
        notebook.run(cell)
        pd.testing.assert_frame_equal(memspan.leaderboard("mine.toml"), rows)
    monkeypatch.setattr(sys, "path", path)


def test_without_an_installation_the_folder_of_memspan_stands_before_another_memspan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"other/memspan/__init__": ""})
    other, here = str(tmp_path / "other"), str(tmp_path)
    monkeypatch.setattr(search_path, "HOME", here)
    monkeypatch.chdir(here)
    for before, after in {
        ("", "/lib", "/site"): ["/lib", "/site", here],
        (".", "/lib", other, "/site"): ["/lib", here, other, "/site"],
        ("/lib", here): ["/lib", here],
    }.items():
        monkeypatch.setattr(sys, "path", [*before])
        search_path.search_last()
        assert sys.path == after
        search_path.search_last()
        assert sys.path == after, "a second time changes nothing"


# what would be hidden is named ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name", "owner", "kind"),
    [
        ("copy", "copy:Mine", "a module of Python", "file copy.py"),
        ("time", "time:Mine", "a module of Python", "file time.py"),
        ("email/mine", "email.mine:Mine", "a module of Python", "folder email/"),
        ("tasks/mine", "tasks.mine:Mine", "a package of memspan", "folder tasks/"),
        ("tasks/other", "tasks.mine:Mine", "a package of memspan", "folder tasks/"),
        ("tasks/adding", "tasks.adding:Adding", "a package of memspan", "folder tasks/"),
        ("tasks", "tasks:Mine", "a package of memspan", "file tasks.py"),
        ("suite/architectures/gru", "suite.architectures.gru:GRU", "a package of memspan", "folder suite/"),
        ("numpy", "numpy:Mine", r"found in .*site-packages", "file numpy.py"),
        ("numpy", "numpy.mine:Mine", r"found in .*site-packages", "file numpy.py"),
    ],
)
def test_a_hidden_module_is_named_when_it_is_asked_for(
    working: Path, file: str, name: str, owner: str, kind: str
) -> None:
    write(working, {file: "class Mine: ..."})
    top = re.split("[.:]", name)[0]
    reason = f"'{top}' is {owner}, so the {kind} in the working folder is not imported; rename it"
    registry: Any = architectures if "suite" in name else tasks
    with pytest.raises(InputError, match=rf"^cannot import {registry.kind} '{re.escape(name)}': {reason}$"):
        registry.get(name)


def test_a_hidden_sampler_is_named(working: Path) -> None:
    write(working, {"copy": "class Mine: ..."})
    with pytest.raises(
        InputError, match=r"cannot import sampler 'copy:Mine': 'copy' is a module of Python, so the file"
    ):
        sweep.check(Sweep(sampler="copy:Mine"))


def test_what_is_not_asked_for_and_what_is_not_hidden_is_not_named(working: Path) -> None:
    write(working, {"tasks/adding": "class Adding: ...", "suite/architectures/gru": "class GRU: ..."})
    assert tasks.get("adding").__module__ == "tasks.adding"
    assert architectures.get("gru").__module__ == "suite.architectures.gru"
    assert architectures.get("suite.architectures.lstm:LSTM")
    with pytest.raises(InputError, match=r"unknown Cell or Layer in collections 'Mine'; available: none"):
        architectures.get("collections:Mine")


@pytest.mark.parametrize(
    "copies", [(), ("memspan/memspan/__init__",), ("memspan/__init__", "memspan/_own_packages")], ids=len
)
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "from memspan import Cell, input_weights",
            r"cannot import name 'input_weights' from 'memspan' \(did you mean 'input_weight'\?\)",
        ),
        ("from memspan import Cell, qqq", "cannot import name 'qqq' from 'memspan'"),
        ("from memspan.models import foo", r"No module named 'memspan\.models'"),
        ("from numpy import arrange", r"cannot import name 'arrange' from 'numpy' \(did you mean 'arange'\?\)"),
    ],
)
def test_what_memspan_lacks_is_named_beside_the_command_and_beside_a_copy_of_memspan(
    working: Path, monkeypatch: pytest.MonkeyPatch, copies: tuple[str, ...], line: str, reason: str
) -> None:
    """Python searches the folder of the command first, where ``memspan`` is a program and no module."""
    (working / "bin").mkdir()
    for program in ("memspan", "numpy"):
        (working / "bin" / program).write_text("", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(working / "bin"), *sys.path])
    write(working, {"my_typo": line, **dict.fromkeys(copies, "")})
    with pytest.raises(InputError, match=f"^cannot import architecture 'my_typo:Mine': {reason}$"):
        architectures.get("my_typo:Mine")


def test_a_file_of_ones_own_that_is_called_memspan_is_named(working: Path) -> None:
    write(working, {"memspan": "class Mine: ...", "my_typo": "from memspan import Mine"})
    reason = (
        "'memspan' is a package of memspan, so the file memspan.py in the working folder is not imported; rename it"
    )
    for name in ("my_typo:Mine", "memspan:Mine"):
        with pytest.raises(InputError, match=f"^cannot import architecture '{name}': {reason}$"):
            architectures.get(name)


def test_a_hidden_module_ends_a_command_with_one_message(folder: Path) -> None:
    write(folder, {"copy": ""})
    (folder / "mine.toml").write_text(EXPERIMENT.replace("my_cell", "copy"), encoding="utf-8")
    ran = python("-m", "memspan", "run", "mine.toml", "--dry-run", cwd=folder)
    assert ran.returncode == 2
    assert ran.stderr == (
        "memspan: [architectures.echo]: cannot import architecture 'copy:Echo': 'copy' is a module of Python, so the "
        "file copy.py in the working folder is not imported; rename it\n"
    )


def test_a_script_that_imports_a_hidden_package_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"tasks/__init__": "", "tasks/mine": "", "after": "import memspan\nimport tasks.mine"})
    write(tmp_path, {"before": "import tasks.mine\nimport memspan"})
    after = python("after.py", cwd=tmp_path).stderr.splitlines()[-1]
    assert after == (
        "ModuleNotFoundError: 'tasks' is a package of memspan, so the folder tasks/ in the working folder is not "
        "imported; rename it"
    )
    before = python("before.py", cwd=tmp_path).stderr.splitlines()[-1]
    assert before == (
        "ImportError: memspan has a package 'tasks' of its own, but another one has been imported before, from "
        f"{tmp_path / 'tasks'}; rename that one"
    )


# what a module of one's own raises -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("ends_python", "raise SystemExit(3)", "SystemExit: 3"),
        ("lacks_a_file", "open('weights.txt')", r"FileNotFoundError: .*'weights\.txt'"),
        ("divides", "1 / 0", "ZeroDivisionError: division by zero"),
        ("misspelt", "class", r"SyntaxError: invalid syntax \(misspelt\.py, line 1\)"),
        ("needs_more", "import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("asserts", "assert False", "AssertionError"),
        ("skips", "import pytest; pytest.skip('not here', allow_module_level=True)", "Skipped: not here"),
        ("in_lines", "raise OSError('one\\ntwo')", "OSError: one two"),
    ],
)
def test_whatever_importing_a_module_of_one_s_own_raises_is_one_message(
    working: Path, name: str, text: str, reason: str
) -> None:
    write(working, {name: text})
    with pytest.raises(InputError, match=rf"^cannot import task '{name}:Mine': {reason}$"):
        tasks.get(f"{name}:Mine")


# the source of a cell of one's own -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("imports", "bias", "equal"),
    [
        ("from memspan import Cell, bias, input_weight", "bias", True),
        ("from suite import Cell, bias, input_weight", "bias", True),
        ("from memspan import *", "bias", True),
        ("import memspan\nfrom memspan import Cell, input_weight", "memspan.bias", False),
        ("import memspan as m\nfrom memspan import Cell, input_weight", "m.bias", False),
    ],
)
def test_a_name_of_memspan_counts_with_the_definition_behind_it(
    working: Path, imports: str, bias: str, equal: bool
) -> None:
    """The fingerprint is that of the cell which imports the helpers from where they are defined."""
    direct_imports = "from suite.architectures._base import Cell, bias, input_weight"
    write(working, {"by_memspan": CELL.format(imports=imports, bias=bias)})
    write(working, {"directly": CELL.format(imports=direct_imports, bias="bias")})
    importlib.invalidate_caches()
    by_memspan, directly = (
        {name: text for name, text in definitions_of("adding", cell).items() if name.startswith("suite.")}
        for cell in ("by_memspan:Echo", "directly:Echo")
    )
    assert by_memspan == directly
    assert "suite.architectures._base.bias" in by_memspan
    hashes = [source_hash(architectures.get(cell)) for cell in ("by_memspan:Echo", "directly:Echo")]
    assert (hashes[0] == hashes[1]) is equal, "memspan.bias is another text than bias"


def test_a_name_that_a_module_hands_on_counts_too(working: Path) -> None:
    write(
        working,
        {
            "kit/__init__": "from kit._halves import half",
            "kit/_halves": "def half(x): return x / 2",
            "kit/cell": CELL.format(
                imports="from memspan import Cell, input_weight\nfrom kit import half", bias="half"
            ),
        },
    )
    assert "kit._halves.half" in definitions_of("adding", "kit.cell:Echo")
