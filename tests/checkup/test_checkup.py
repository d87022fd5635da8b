"""``memspan check`` finds every planted fault, names it, and shows it by the smallest input."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from suite.checkup import architecture_measures, subject
from suite.checkup.report import Report, Row
from suite.cli import app
from suite.errors import InputError
from suite.registry import architectures
from suite.templates.writing import TEMPLATES
from tests.contracts import cells, tasks, test_layers

LAST = "a cell can be copied and loaded"


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured, which takes seconds."""
    monkeypatch.setattr(architecture_measures, "MEASURES", {})


def checkup(cls: type, **options: Any) -> Report:
    return subject.checkup(f"{cls.__module__}:{cls.__name__}", options)


def failure(report: Report, said: str) -> Row:
    """The row of the failure that says this."""
    rows = [row for row in report.failed if any(text.partition(":")[2].startswith(said) for text in row.received)]
    assert rows, report.failed
    return rows[0]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("cls", [*cells.GOOD, *test_layers.GOOD])
def test_an_unusual_cell_or_layer_that_keeps_its_contract_passes(cls: type) -> None:
    report = checkup(cls)
    assert report.failed == []
    assert {row.state for row in report.rows} <= {"passed", "does not apply"}


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("name", architectures.names())
def test_every_architecture_passes_on_many_steps_and_after_some_training(name: str) -> None:
    assert subject.checkup(name, {}).failed == []


@pytest.mark.parametrize("cls", [*cells.BAD, *cells.SUBTLE, *test_layers.BAD])
def test_every_broken_cell_or_layer_is_named_with_the_rule_and_a_small_input(cls: Any) -> None:
    row = failure(checkup(cls), {**cells.BAD, **cells.SUBTLE, **test_layers.BAD}[cls])
    assert row.rule.endswith(".")
    assert row.smallest["hidden_size"] <= 4
    assert row.smallest["time"] <= 20


class OverTheBatch(cells.Plain):
    """Takes the batch for the time: each row goes on from the state of the row before it."""

    def step(self, x: Tensor, state: Any) -> Any:
        return super().step(x, torch.cat([state[:1], state[:-1]]))


class OwnStatistics(cells.Plain):
    """Scales each batch to a variance of 1, also in evaluation."""

    def step(self, x: Tensor, state: Any) -> Any:
        return super().step(x / (x.std(0, unbiased=False) + 1), state)


PLANTED = {
    "recurrence over the batch": (OverTheBatch, "rows are independent"),
    "state kept in an attribute": (cells.Hoarding, "a cell keeps nothing else"),
    "a look into the future": (cells.Prophet, "no output knows a later input"),
    "a state mutated in place": (cells.InPlace, "a cell keeps nothing else"),
    "batch statistics": (OwnStatistics, "rows are independent"),
    "a parameter without gradient": (cells.Unused, "gradients reach every parameter"),
    "another forward from the eleventh step on": (cells.Late, "forward is the scan of step"),
    "a generator of its own": (cells.OwnDraws, "training draws from the global generator"),
}
"""The faults that a checkup is promised to find, each with a cell that has it and the rule that names it."""


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("fault", PLANTED)
def test_every_planted_fault_is_found_by_the_rule_that_names_it(fault: str) -> None:
    cls, rule = PLANTED[fault]
    failed = {row.name: row for row in checkup(cls).failed}
    assert rule in failed
    assert f":{cls.__name__}" in failed[rule].received[0]
    assert failed[rule].smallest["time"] <= 20


def test_the_smallest_input_is_the_one_at_which_the_fault_begins() -> None:
    row = failure(checkup(cells.Late), cells.SUBTLE[cells.Late])
    assert row.smallest == {"time": 11, "batch": 1, "input_size": 1, "hidden_size": 1}
    assert row.figure.endswith(" of the largest number, first at step 11 of 20")
    row = failure(checkup(cells.Sociable), cells.BAD[cells.Sociable])
    assert row.smallest == {"time": 1, "batch": 2, "input_size": 1, "hidden_size": 1}
    row = failure(checkup(cells.Prophet), cells.BAD[cells.Prophet])
    assert row.smallest == {"time": 2, "batch": 1, "input_size": 1, "hidden_size": 1}


def test_what_rests_on_a_broken_rule_is_not_reached() -> None:
    states = {row.name: row.state for row in checkup(cells.Wide).rows}
    assert states["initial state has the batch first"] == "passed"
    assert states["step keeps its shapes"] == "failed"
    assert states[LAST] == states["time of a pass"] == "not reached"


class Refusing(cells.Plain):
    def __init__(self, input_size: int, hidden_size: int, *, heads: int = 2) -> None:
        if hidden_size % heads:
            raise ValueError(f"heads must divide hidden_size; got {heads} and {hidden_size}")
        if heads == 1:
            raise RuntimeError("no single head")
        super().__init__(input_size, hidden_size)


@pytest.mark.usefixtures("unmeasured")
def test_a_size_is_found_that_can_be_built_and_a_constructor_that_fails_is_told() -> None:
    assert checkup(Refusing, heads=6).failed == []
    (row,) = checkup(Refusing, heads=1).failed
    assert "Refusing.__init__ raised RuntimeError: no single head" in row.received[0]
    with pytest.raises(InputError, match="head"):
        checkup(Refusing, head=1)


class Long(cells.Plain):
    """Works on short sequences alone."""

    def forward(self, inputs: Tensor, state: Any = None) -> Any:
        if inputs.shape[1] > 90:
            raise MemoryError("too long")
        return super().forward(inputs, state)


def test_what_fails_at_the_size_of_a_measurement_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architecture_measures, "MEASURES", {"speed": architecture_measures.speed})
    (row,) = checkup(Long).failed
    assert (row.name, row.state) == ("speed", "failed")
    assert "raised MemoryError: too long (line " in row.received[0]


def test_what_is_measured_of_cells_whose_measures_are_known() -> None:
    measures = architecture_measures
    assert "hidden size 30: 4,951 parameters; a state of 60 numbers after 100 steps, the same" in measures.size(
        "lstm", {}
    )
    assert "more with each step" in measures.size("attention", {})
    assert "a state of" in measures.size("tcn", {}), "no size has 5,000 parameters to 5 %"
    layer = f"{test_layers.__name__}:WrappedGRU"
    assert "its state is not stated, because a layer has no step" in measures.size(layer, {})
    assert "lag 8, before" in measures.reach("suite.templates.my_layer:MyLayer", {"kernel": 8})
    torch.manual_seed(0)
    assert "over all 199 lags" in measures.reach("suite.templates.my_cell:MyCell", {"rate": 0.005})


def test_an_architecture_is_about_as_fast_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architecture_measures, "SECONDS", 0.5)
    found = re.match(r"([\d.]+) × that of lstm and ([\d.]+) × that of gru \(", architecture_measures.speed("lstm", {}))
    assert found
    assert 0.4 < float(found[1]) < 2.5


# tasks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", tasks.GOOD)
def test_an_unusual_task_that_keeps_its_contract_passes(cls: type) -> None:
    report = checkup(cls)
    assert report.failed == []
    assert report.rows[-1].state == "measured"
    assert "× a GRU's training step" in report.rows[-1].figure


@pytest.mark.parametrize("cls", tasks.BAD)
def test_every_broken_task_is_named_with_the_rule(cls: Any) -> None:
    said = tasks.BAD[cls].partition("(64, 5, ")[0].partition("(2, 5, ")[0].partition("(5)")[0]
    row = failure(checkup(cls), said)
    assert row.rule.endswith(".")
    assert row.smallest["length"] <= 61


class Unmasked(tasks.Bits):
    """Scores every step."""

    def score(self, outputs: Tensor, batch: Any) -> float:
        return super().score(outputs, batch._replace(mask=torch.ones_like(batch.mask)))


class Same(tasks.Bits):
    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Any:
        return super().sample(batch_size, length, torch.Generator().manual_seed(0))


class LateTask(tasks.Bits):
    """Has classes that it does not have from length 13 on."""

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Any:
        batch = super().sample(batch_size, length, generator)
        return batch._replace(targets=batch.targets + 2 * (length >= 13))


def test_faults_that_a_short_look_does_not_see_are_found() -> None:
    assert "Unmasked.score changes with the outputs" in checkup(Unmasked).failed[0].received[0]
    assert "Same.sample gave the same inputs from three seeds" in checkup(Same).failed[0].received[0]
    assert checkup(LateTask).failed[0].smallest == {"length": 13, "batch": 1}


# the command ----------------------------------------------------------------------------------------------------------


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["check", *arguments], standalone_mode=False)


@pytest.mark.usefixtures("unmeasured")
def test_every_template_is_checked_by_the_command() -> None:
    for path in TEMPLATES.glob("my_*.py"):
        name = "".join(part.capitalize() for part in path.stem.split("_"))
        result = invoke(f"suite.templates.{path.stem}:{name}")
        assert result.return_value == 0, result.stdout
        assert "rules that apply are kept." in result.stdout


@pytest.mark.usefixtures("unmeasured")
def test_options_are_given_as_text_and_the_report_is_printed_as_json() -> None:
    result = invoke("lstm", "--options", "without=forget forget_bias=1", "--json")
    report = json.loads(result.stdout)
    assert (report["kind"], report["passed"], result.return_value) == ("cell", True, 0)
    assert report["options"]["without"] == "forget"
    result = invoke("tests.contracts.cells:Late")
    assert result.return_value == 1
    said = " ".join(result.stdout.split())
    assert "rule forward gives what step gives, one step after the other." in said
    assert "shown by time 11, batch 1, input_size 1, hidden_size 1" in said
    assert "2 rules broken" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lstmm",), r"unknown architecture or task 'lstmm'; .*did you mean 'lstm'"),
        (("no_module:Cell",), "cannot import class 'no_module:Cell': No module named 'no_module'"),
        (("tests.contracts.cells:Missing",), "unknown Cell or Layer in tests.contracts.cells 'Missing'"),
        (("lstm", "--options", "forget_bias"), "'lstm': an option is key=value; got 'forget_bias'"),
        (("lstm", "--options", "forget=1"), "unknown option 'forget' of architecture 'lstm'"),
        (("adding", "--options", "mark=1"), "unknown option 'mark' of task 'adding'"),
    ],
)
def test_what_cannot_be_checked_has_one_message(arguments: tuple[str, ...], message: str) -> None:
    result = invoke(*arguments)
    assert isinstance(result.exception, InputError)
    assert re.search(message, str(result.exception))
