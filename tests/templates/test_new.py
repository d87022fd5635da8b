"""``memspan new`` writes files that work as they are, and neither replaces nor hides anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import suite
from suite.claims import claim
from suite.cli import app
from suite.contracts.look import cell_violations, task_violations
from suite.errors import InputError
from suite.experiment import loading
from suite.planning.plan import studies
from suite.templates.writing import TEMPLATES, TEMPLATES_OF, class_of, write

ROOT = Path(__file__).parents[2]
MODULES = ("cell", "layer", "task")
EXPERIMENT = """
model.hidden_size = 8
training = { steps = 4, validate_every = 2, validation_size = 8, test_size = 8 }
sweep.trials = 0
evaluation.seeds = 1
tasks.own = { task = "one_task:OneTask", length = 5 }
architectures.cell.architecture = "one_cell:OneCell"
architectures.layer.architecture = "one_layer:OneLayer"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which Python finds modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


def test_every_template_is_written_word_for_word_and_linted(folder: Path) -> None:
    for kind, template in TEMPLATES_OF.items():
        path, _ = write(kind, f"my_{kind}", folder)
        assert path.read_bytes() == (TEMPLATES / template.file).read_bytes()
    settings = ["--config", str(ROOT / "pyproject.toml"), "--config", "lint.isort.known-first-party = ['memspan']"]
    for command in (["check"], ["format", "--check"]):
        program = [sys.executable, "-m", "ruff", *command, *settings, str(folder)]
        done = subprocess.run(program, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_cell_a_layer_and_a_task_under_other_names_are_trained(folder: Path) -> None:
    for kind in MODULES:
        write(kind, f"one_{kind}", folder)
        assert "My" not in (folder / f"one_{kind}.py").read_text(encoding="utf-8")
    assert cell_violations("one_cell:OneCell", {"rate": 0.5}, 2, 4) == []
    assert cell_violations("one_layer:OneLayer", {"kernel": 3}, 2, 4) == []
    assert task_violations("one_task:OneTask", {"symbols": 3}, (5,)) == []
    (folder / "mine.toml").write_text(EXPERIMENT, encoding="utf-8")
    assert set(suite.run("mine.toml", store=folder / "store")["architecture"]) == {"cell", "layer"}


def test_the_experiment_and_the_claim_are_such(folder: Path) -> None:
    path, _ = write("experiment", "first", folder)
    experiment = loading.load(str(path))
    assert len(studies(experiment)) == 6
    rows = suite.run("first.toml", store=folder / "store", tasks="adding", trials=0, seeds=1, steps=50)
    assert set(rows["architecture"]) == {"gru", "rnn"}
    path, _ = write("claim", "remembers", folder)
    assert len(studies(claim.load(str(path)).experiment_with("small"))) == 4


def test_what_an_experiment_says_of_own_classes_is_right(folder: Path) -> None:
    for kind in MODULES:
        write(kind, f"my_{kind}", folder)
    path, _ = write("experiment", "mine", folder)
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE), encoding="utf-8")
    experiment = loading.load(str(path))
    assert experiment.architectures["mine"].architecture == "my_cell:MyCell"
    assert len(studies(experiment)) == 12


@pytest.mark.parametrize(("kind", "ending"), [("cell", "py"), ("experiment", "toml")])
def test_the_command_says_how_to_go_on(kind: str, ending: str, folder: Path) -> None:
    result = CliRunner().invoke(app, ["new", kind, "mine"])
    assert result.exit_code == 0
    assert (folder / f"mine.{ending}").exists()
    assert f"wrote mine.{ending}" in result.stderr
    assert ("memspan check mine:Mine" if kind == "cell" else "memspan run mine.toml") in result.stdout


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (
            "cel",
            "mine",
            "unknown kind of file 'cel'; available: cell, claim, experiment, layer, task (did you mean 'ce",
        ),
        ("cell", "mine.py", "and a letter first; got 'mine.py' (did you mean 'mine'?)"),
        ("cell", "../mine", "the name of a cell is that of a Python module: letters, digits and '_', and a letter"),
        ("cell", "class", "and a letter first; got 'class'"),
        ("cell", "_mine", "and a letter first; got '_mine' (did you mean 'mine'?)"),
        ("cell", "copy", "hides no other module; got 'copy', which is a module of Python (did you mean 'my_copy'?)"),
        ("task", "tasks", "hides no other module; got 'tasks', which is a package of memspan (did you mean 'my_tas"),
        ("layer", "numpy", "hides no other module; got 'numpy', which is found in "),
        (
            "task",
            "task",
            "got 'task', whose class would be 'Task', which the file needs for something else (did you me",
        ),
        ("layer", "layer", "got 'layer', whose class would be 'Layer', which the file needs for something else"),
        ("experiment", "quick", "got 'quick', which is an experiment of `memspan list` (did you mean 'my_quick'?)"),
        ("claim", "H2_depth", "got 'H2_depth', which is a claim of `memspan list`"),
        ("experiment", "mine.toml", "is given without its ending; got 'mine.toml' (did you mean 'mine'?)"),
        ("experiment", "a/b", "a name has letters, digits, "),
    ],
)
def test_a_kind_or_a_name_that_would_not_work_is_refused(kind: str, name: str, message: str, folder: Path) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        write(kind, name, folder)
    assert list(folder.iterdir()) == []


def test_nothing_is_replaced(folder: Path) -> None:
    (folder / "mine.py").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match=re.escape("a new file replaces none; got 'mine.py', which is there already")):
        write("cell", "mine", folder)
    assert (folder / "mine.py").read_text(encoding="utf-8") == "years of work"
    (folder / "other").mkdir()
    (folder / "other" / "__init__.py").touch()
    with pytest.raises(InputError, match="hides no other module; got 'other', which is found in"):
        write("cell", "other", folder)


def test_the_class_has_the_name_of_its_file() -> None:
    assert [class_of(name) for name in ("my_cell", "leaky", "two_LSTMs", "net2_3")] == [
        "MyCell",
        "Leaky",
        "TwoLSTMs",
        "Net23",
    ]
