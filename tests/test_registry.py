"""A folder is a registry: what is found, by which name, with which options, from which source."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from suite.architectures import Cell
from suite.architectures.gru import GRU
from suite.console.describe import describe, plain_text
from suite.console.listing import OTHER, everything, of_family
from suite.errors import InputError, unknown
from suite.experiment.loading import parse
from suite.experiment.names import check_family
from suite.leaderboards.columns import COST, MEMORY, OVERFITTING
from suite.options import option_types
from suite.planning.plan import studies
from suite.registry import Registry, architectures, tasks
from tasks import Task
from tasks.adding import Adding

CELL = '''"""{summary}"""

from torch import nn

from {package} import Cell


class {name}(Cell):
    def __init__(
        self, input_size: int, hidden_size: int, *, gain: float = 1.0, order: int = 1, fast: bool = False
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.map = nn.Linear(input_size, hidden_size)

    def initial_state(self, batch_size):
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x, state):
        return self.map(x), state
'''


class Folder:
    """A package of architectures on the path, whose files a test may add and change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.registry: Registry[Cell[Any]] = Registry("architecture", path.name, "Cell")

    def write(self, file: str, source: str) -> None:
        (self.path / file).write_text(source, encoding="utf-8")
        importlib.invalidate_caches()

    def write_cell(self, file: str, name: str, summary: str = "A cell.") -> None:
        self.write(file, CELL.format(summary=summary, package=self.path.name, name=name))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    path = tmp_path / "dropped_in"
    path.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    folder = Folder(path)
    folder.write("__init__.py", "from suite.architectures import Cell\n")
    yield folder
    for module in [name for name in sys.modules if name.split(".")[0] == path.name]:
        del sys.modules[module]


# discovery -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("registry", "base"), [(architectures, Cell), (tasks, Task)], ids=["architectures", "tasks"])
def test_every_file_without_an_underscore_is_a_name_with_a_class_and_a_summary(
    registry: Registry[Any], base: type
) -> None:
    files = {path.stem for path in registry.folder.glob("*.py")}
    assert set(registry.names()) == {name for name in files if not name.startswith("_")}
    assert registry.names() == sorted(registry.names())
    for name in registry.names():
        registry.check(name)
        assert issubclass(registry.get(name), base)
        assert registry.get(name).__module__ == f"{registry.package}.{name}"
        assert re.fullmatch(r"\S.{10,}\.", registry.summary(name))


def test_the_founding_cells_and_tasks_are_found() -> None:
    assert {"rnn", "lstm", "lstm_peephole", "lstm_coupled", "gru", "mlp"} <= set(architectures.names())
    assert {"adding", "copy_memory", "sequence_memory"} <= set(tasks.names())
    assert architectures.get("gru") is GRU
    assert tasks.get("adding") is Adding


def test_a_file_dropped_in_is_found_by_its_name(folder: Folder) -> None:
    assert folder.registry.names() == []
    folder.write_cell("echo.py", "Echo", summary="An echo.\n\nMore.")
    folder.write("_helpers.py", "")
    assert folder.registry.names() == ["echo"]
    assert folder.registry.summary("echo") == "An echo."
    assert "dropped_in.echo" not in sys.modules, "listing and summarising import nothing"
    assert folder.registry.get("echo").__name__ == "Echo"
    assert folder.registry.get("echo")(2, 3).initial_state(4).shape == (4, 3)


def test_what_a_class_states_is_read_without_importing_it(folder: Folder) -> None:
    folder.write(
        "echo.py",
        "from dropped_in import Cell\n\nclass _Base(Cell):\n    family = 'hidden'\n\nclass Help:\n    size = 1\n\n"
        "class Echo(_Base):\n    family = 'linear'\n    rate = 0.5\n",
    )
    assert folder.registry.stated("echo", "family") == "linear"
    assert folder.registry.stated("echo", "rate") == folder.registry.stated("echo", "nothing") == ""
    assert "dropped_in.echo" not in sys.modules


@pytest.mark.parametrize("name", architectures.names())
def test_the_family_of_an_architecture_stands_in_its_own_file(name: str) -> None:
    family = architectures.get(name).family
    assert check_family(family) == (architectures.stated(name, "family") or OTHER)
    assert describe(name)["family"] == family
    assert name in of_family(family)["architectures"]


@pytest.mark.parametrize("family", ["", "a" * 31, "two\nlines", "<b>", 3, None, property(lambda self: "x")])
def test_a_family_that_no_table_can_show_is_refused_before_any_run(
    family: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GRU, "family", family)
    tables = {"tasks": {"adding": {"length": 8}}, "architectures": {"gru": {"hidden_size": 4}}}
    message = r"architecture 'gru': a family is a word or two, of at most 30 letters, .*; got"
    with pytest.raises(InputError, match=message):
        studies(parse(tables, "x"))


def test_an_unknown_family_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match=r"unknown family 'gate'; available: .* \(did you mean 'gated'\?\)"):
        of_family("gate")
    several = of_family("simple, attention")
    assert {"rnn", "attention"} <= set(several["architectures"])
    assert list(several["families"].values()) == sorted(several["families"].values())
    assert set(several["families"].values()) == {"simple", "attention"}
    assert set(everything()["families"]) == set(everything()["architectures"]) == set(architectures.names())


def test_private_and_imported_classes_do_not_count(folder: Folder) -> None:
    folder.write_cell("echo.py", "Echo")
    folder.write(
        "late.py",
        "from dropped_in.echo import Echo\n\nclass _Base(Echo): ...\n\nclass Late(_Base): ...\n\nclass Other: ...",
    )
    assert folder.registry.get("late").__name__ == "Late"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from dropped_in import Cell\n\nclass Two(Cell): ...\n\nclass One(Cell): ...\n", "One, Two"),
        ("class Other: ...\n", "none"),
    ],
)
def test_a_file_must_hold_one_public_class(folder: Folder, source: str, found: str) -> None:
    folder.write("pair.py", source)
    message = f"dropped_in/pair.py must hold one public subclass of Cell; found: {found}"
    with pytest.raises(InputError, match=re.escape(message)):
        folder.registry.get("pair")


def test_a_file_that_cannot_be_imported_says_why(folder: Folder) -> None:
    folder.write("broken.py", "import no_such_package\n")
    with pytest.raises(InputError, match="cannot import architecture 'broken': No module named 'no_such_package'"):
        folder.registry.get("broken")


# names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [tasks.check, tasks.get], ids=["check", "get"])
def test_an_unknown_name_is_answered_with_the_available_and_the_nearest(ask: Callable[[str], Any]) -> None:
    with pytest.raises(InputError) as caught:
        ask("coppy_memory")
    message = str(caught.value)
    assert message.startswith("unknown task 'coppy_memory'; available: adding, associative_recall, copy_memory, ")
    assert "package.module:Class" in message
    assert message.endswith("(did you mean 'copy_memory'?)")


def test_of_very_many_names_the_nearest_ones_are_listed() -> None:
    rows = [f"{cell} on adding length={length}" for cell in ("gru", "lstm", "rnn") for length in range(10, 200)]
    message = str(unknown("row", "lstm on ading length=50", rows))
    assert message.startswith("unknown row 'lstm on ading length=50'; available: lstm on adding length=50, lstm on ")
    assert message.endswith(", and 564 more (did you mean 'lstm on adding length=50'?)")
    assert all(name in str(unknown("row", "gru", rows[:40])) for name in rows[:40])


@pytest.mark.parametrize("name", ["", "_base", "__init__", "zzzzzz", "../rnn", ":RNN", "rnn:", "..suite:RNN", "a:b:c"])
def test_what_is_neither_a_file_nor_a_qualified_class_is_unknown(name: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"unknown architecture {name!r}; available: ")):
        architectures.get(name)


def test_a_class_of_another_package_is_found_by_its_qualified_name(folder: Folder) -> None:
    folder.write_cell("mine.py", "Mine")
    architectures.check("dropped_in.mine:Mine")
    assert "dropped_in.mine" not in sys.modules, "checking a name imports nothing"
    assert architectures.get("dropped_in.mine:Mine").__name__ == "Mine"
    assert architectures.options("dropped_in.mine:Mine", {})["gain"] == 1.0


def test_a_private_class_can_be_asked_for_by_its_qualified_name(folder: Folder) -> None:
    folder.write_cell("mine.py", "_Mine")
    assert architectures.get("dropped_in.mine:_Mine").__name__ == "_Mine"


def test_a_qualified_name_that_leads_nowhere_says_so(folder: Folder) -> None:
    folder.write_cell("mine.py", "Mine")
    with pytest.raises(
        InputError, match=r"cannot import architecture 'nowhere\.at_all:Mine': No module named 'nowhere'"
    ):
        architectures.get("nowhere.at_all:Mine")
    nearest = r"unknown Cell or Layer in dropped_in\.mine 'Mime'; available: Mine \(did you mean 'Mine'\?\)"
    with pytest.raises(InputError, match=nearest):
        architectures.get("dropped_in.mine:Mime")
    with pytest.raises(InputError, match=r"^task 'dropped_in\.mine:Mine': Mine is not a subclass of Task$"):
        tasks.get("dropped_in.mine:Mine")
    folder.write(
        "net.py", "from torch import nn\nfrom suite.architectures.gru import GRU\nclass Net(nn.Module): ...\nlag = 3"
    )
    for name, found in {
        "Net": "Net is not a subclass of Cell or Layer",
        "lag": "lag is not a subclass of Cell or Layer",
        "GRU": "GRU comes from another module; name it 'suite.architectures.gru:GRU'",
    }.items():
        with pytest.raises(InputError, match=rf"^architecture 'dropped_in\.net:{name}': {re.escape(found)}$"):
            architectures.get(f"dropped_in.net:{name}")


@pytest.mark.parametrize(
    "name",
    [
        "my_cell",
        "my_cell.py",
        "my_cell.py:Leaky",
        "my_cell.Leaky",
        "my_cel:Leaky",
        "./my_cell.py:Leaky",
        "cells/my_cell.py:Leaky",
        "cells.my_cell.Leaky",
    ],
)
def test_a_class_in_another_form_or_beside_a_typo_is_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_cell.py").write_text("import torch\n\nclass Leaky: ...\n", encoding="utf-8")
    meant = "cells.my_cell:Leaky" if "cells" in name else "my_cell:Leaky"
    with pytest.raises(InputError, match=rf"\(did you mean '{re.escape(meant)}'\?\)$"):
        architectures.get(name)


# options -------------------------------------------------------------------------------------------------------------


def test_the_options_are_the_parameters_with_a_default() -> None:
    assert option_types(architectures.get("gru")) == {
        "reset": (Literal["before", "after", "none"], "before"),
        "chrono": (int, 0),
        "init": (Literal["uniform", "orthogonal"], "uniform"),
        "gain": (float, 1.0),
        "layer_norm": (bool, False),
    }
    assert option_types(Adding) == {"marks": (Literal["halves", "anywhere"], "halves")}


@pytest.mark.parametrize("registry", [architectures, tasks], ids=["architectures", "tasks"])
def test_the_defaults_of_every_class_pass_their_own_check(registry: Registry[Any]) -> None:
    for name in registry.names():
        defaults = {key: default for key, (_, default) in option_types(registry.get(name)).items()}
        assert registry.options(name, {}) == defaults
        assert registry.options(name, defaults) == defaults


def test_given_options_take_the_place_of_defaults() -> None:
    assert tasks.options("sequence_memory", {"lag": 9}) == {"mode": "n_back", "lag": 9, "symbols": 4}


def test_an_int_is_accepted_for_a_float_and_becomes_one(folder: Folder) -> None:
    folder.write_cell("echo.py", "Echo")
    options = folder.registry.options("echo", {"gain": 2})
    assert options == {"gain": 2.0, "order": 1, "fast": False}
    assert type(options["gain"]) is float


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"order": True}, "order of architecture 'echo': input should be a valid integer; got True"),
        ({"order": 2.0}, "order of architecture 'echo': input should be a valid integer; got 2.0"),
        ({"order": "2"}, "order of architecture 'echo': input should be a valid integer; got '2'"),
        ({"gain": True}, "gain of architecture 'echo': input should be a valid number; got True"),
        ({"gain": "1.0"}, "gain of architecture 'echo': input should be a valid number; got '1.0'"),
        ({"gain": float("nan")}, "gain of architecture 'echo': input should be a finite number; got nan"),
        ({"gain": None}, "gain of architecture 'echo': input should be a valid number; got None"),
        ({"fast": 1}, "fast of architecture 'echo': input should be a valid boolean; got 1"),
        ({"gian": 1}, "available: fast, gain, order (did you mean 'gain'?)"),
        ({"hidden_size": 3}, "unknown option 'hidden_size' of architecture 'echo'; available: fast, gain, order"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused_with_the_rule(folder: Folder, given: dict[str, Any], message: str) -> None:
    folder.write_cell("echo.py", "Echo")
    with pytest.raises(InputError, match=re.escape(message) + "$"):
        folder.registry.options("echo", given)


def test_a_wrong_choice_is_refused_with_the_accepted_ones() -> None:
    with pytest.raises(
        InputError, match="reset of architecture 'gru': input should be 'before', 'after' or 'none'; got 'befor'"
    ):
        architectures.options("gru", {"reset": "befor"})


# descriptions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registry", [architectures, tasks], ids=["architectures", "tasks"])
def test_each_is_described_with_all_its_options(registry: Any) -> None:
    for name in registry.names():
        description = describe(name)
        assert set(description["options"]) == set(registry.options(name, {}))
        assert all(option in description["text"] for option in description["options"])
        assert plain_text(registry.get(name).__doc__.split("\n")[0]) in description["text"]
        assert not re.search("``|::$", description["text"], re.MULTILINE)


def test_experiments_claims_and_classes_of_others_are_described() -> None:
    assert "[tasks.adding]" in describe("quick")["text"]
    assert describe("H7_peepholes")["kind"] == "claim"
    assert describe("tasks.adding:Adding")["kind"] == "task"
    assert describe("gru")["options"]["reset"] == {"type": "'before' | 'after' | 'none'", "default": "before"}
    with pytest.raises(InputError, match="did you mean 'quick'"):
        describe("quik")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("lstm_cell",), "lstm_cell in quick: lstm readout=cell"),
        (("lstm_cell", "quick"), "lstm_cell in quick: lstm readout=cell"),
        (("gru", "quick"), "gru in quick: gru"),
        (("sequence_memory", "quick"), "sequence_memory in quick: sequence_memory length=40 test_lengths=[80] lag=16"),
        (("tanh_half", "H4_jacobians"), "tanh_half in H4_jacobians: rnn init=orthogonal gain=0.5"),
        (("irnn_sgd_clipped",), "irnn_sgd_clipped in H5_clipping: rnn "),
    ],
)
def test_a_label_of_an_experiment_or_a_claim_is_described_by_its_table(arguments: tuple[str, ...], line: str) -> None:
    description = describe(*arguments)
    assert description["kind"] == "label"
    assert description["text"].startswith(line)


def test_a_label_of_ones_own_file_is_described_without_importing_its_class(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    tables = '[tasks.adding]\nlength = 20\n[architectures.leaky]\narchitecture = "nowhere:Leaky"\nrate = 0.5\n'
    path.write_text(tables, encoding="utf-8")
    text = describe("leaky", str(path))["text"]
    assert f"leaky in {path}: nowhere:Leaky rate=0.5" in text
    assert "`memspan list nowhere:Leaky`" in text
    with pytest.raises(InputError, match=r"unknown label 'leeky'.*did you mean 'leaky'"):
        describe("leeky", str(path))


def test_every_column_of_the_tables_is_explained_by_its_label() -> None:
    every_column = describe("columns")["text"]
    for column in (*MEMORY, *COST, *OVERFITTING):
        if column.key != "architecture":
            assert describe(column.label)["text"].startswith(f"{column.label}: ")
            assert f"{column.label}: " in every_column
