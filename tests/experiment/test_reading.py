"""An experiment or a claim of anybody is planned, or refused with one message before anything is allocated."""

from __future__ import annotations

import contextlib
import copy
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.claims import claim as claims
from suite.errors import InputError
from suite.experiment.loading import load, parse
from suite.experiment.names import DEVICES, LONGEST_NAME, OVERALL, check_label, check_name
from suite.planning.plan import studies
from suite.statistics.table import OVERALL as SCOPE
from tests.mutations import CLAIM, EXPERIMENT, READERS, memspan, mutated, nested, sandbox, toml_text


def changed(path: str, value: Any, base: dict[str, Any] = EXPERIMENT) -> dict[str, Any]:
    """Tables with one entry replaced; the path is separated by slashes."""
    tables = copy.deepcopy(base)
    *above, last = path.split("/")
    table = tables
    for name in above:
        table = table.setdefault(name, {})
    table[last] = value
    return tables


def test_the_file_that_is_mutated_is_valid() -> None:
    assert len(studies(parse(EXPERIMENT, "x"))) == 18
    claims.parse(CLAIM, "x")


@pytest.mark.parametrize("name", [OVERALL, "Overall"])
def test_no_task_is_called_like_the_mean_over_all_tasks(name: str) -> None:
    assert SCOPE == OVERALL
    with pytest.raises(InputError, match="stands for the mean over all tasks"):
        parse(changed(f"tasks/{name}", {"task": "adding", "length": 8}), "x")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("evaluation/seeds", 10**9, "less than or equal to 10000; got 1000000000"),
        ("evaluation/seeds", [2**63 - 1], "evaluation.seeds.0: input should be less than"),
        ("sweep/trials", 10**4, "an experiment has at most 50,000 runs; got 180,126"),
        ("sweep/seed", 2**63 - 1, "sweep.seed: input should be less than"),
        ("tasks/memory/lag", list(range(1, 2000)), "an experiment has at most 50,000 runs"),
        ("tasks/adding/length", 10**9, "tasks.adding.length: input should be less than"),
        ("tasks/adding/test_lengths", list(range(8, 200)), "tasks.adding.test_lengths: a list should have at most 100"),
        ("tasks/sizes/train_size", 10**7, ""),
        ("tasks/sizes/length", 10**6, "all sequences that are drawn at a time have at most 1,000,000,000"),
        ("tasks/memory/symbols", 10**6, "the inputs of a task have at most 10,000 features; got 1,000,000"),
        ("training/batch_size", 10**12, "training.batch_size: input should be less than"),
        ("architectures/mlp/depth", 10**6, "less than or equal to 100; got 1000000"),
        ("architectures/wide/hidden_size", 10**6, "less than or equal to 65536"),
        ("model/parameters", 10**12, "model.parameters: input should be less than"),
        ("sweep/space/delay/high", 10**7, "delay: input should be less than or equal to 1000000"),
        ("sweep/space/optimizer", {"low": -1.0, "high": 1.0}, "a range is for numbers, and the default of optimizer"),
        ("sweep/space/learning_rate", {"low": -1.0, "high": 1.0}, "learning_rate: input should be greater than 0"),
        ("sweep/space/learning_rate", {"low": -1e308, "high": 1e308}, "a range must have a finite width"),
        ("sweep/space/learning_rate/high", math.inf, "finite number; got inf"),
        ("sweep/space/optimizer", ["adam", "adam"], "a list of choices has each of them once"),
        ("sweep/space/optimizer", list(range(1000)), "should have at most 100 items"),
        ("sweep/space/optimizer", [], "should have at least 1 item"),
        ("sweep/sampler", ".x:Y", "unknown sampler '.x:Y'; available: gp, random, sobol, tpe, or package.module:Class"),
        ("sweep/sampler", "optuna.samplers:GridSampler", "must be made without arguments"),
        ("sweep/sampler", "optuna.samplers:BaseSampler", "must be made without arguments"),
        ("sweep/pruner", "optuna.pruners:PatientPruner", "must be made without arguments"),
        ("architectures/mlp/architecture", ".x:Y", "unknown architecture '.x:Y'"),
    ],
)
def test_what_cannot_be_planned_is_refused(path: str, value: Any, message: str) -> None:
    tables = changed(path, value)
    if not message:
        assert studies(parse(tables, "x"))
        return
    with pytest.raises(InputError) as refused:
        studies(parse(tables, "x"))
    assert message in str(refused.value)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = " + "[" * 900 + "]" * 900, "lists"),
        ("x = " + "[" * 50 + "]" * 50, "at most 20 lists and tables can stand inside each other"),
        (f"x = {10**400}", "a whole number lies between"),
        (f"x = {2**63 - 1}", "a whole number lies between"),
        ("x = 1" + "0" * 5000, "is not valid TOML"),
        ("x = nan", "a number must be one; got nan"),
        ("x = 2026-01-01", "got 2026-01-01"),
        ('x = "\\u0000"', "a text has no control characters"),
        ("x = 1\n" * 300_000, "too large"),
        ('name = "y"', "remove the key 'name'"),
    ],
)
def test_a_file_holds_plain_values(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load(tmp_path / "x.toml")


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.toml").mkdir()
    with pytest.raises(InputError, match="it is not a file"):
        load(tmp_path / "x.toml")
    with pytest.raises(InputError, match="cannot read experiment"):
        load("a\0b.toml")


ELSEWHERE = [
    *("", ".", "..", "../../x", "/x", "a/b", "a\\b", "a\0b", "a\nb", "-x", ".x", "x.", "x ", "a:b", "a*b"),
    *("con", "NUL", "nul.txt", "Com1", "x" * (LONGEST_NAME + 1), "é" * 51),
]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    with pytest.raises(InputError):
        parse(EXPERIMENT, name)
    with pytest.raises(InputError):
        claims.parse(CLAIM, name)
    with pytest.raises(InputError):
        claims.parse({**CLAIM, "budget": {name: {"seeds": 3}}}, "x")
    for part, table in {"tasks": {"task": "adding", "length": 8}, "architectures": {"architecture": "rnn"}}.items():
        if name != "-x":  # It is a label, although no name.
            with pytest.raises(InputError):
                parse({**EXPERIMENT, part: {name: table}}, "x")


@given(st.text(max_size=20))
def test_a_name_that_is_accepted_is_a_file_of_its_folder(name: str) -> None:
    for check in (check_name, check_label):
        with contextlib.suppress(ValueError):
            check(name)
            assert (Path("/store") / name).parent == Path("/store")
            assert Path(name).name == name
            assert name.split(".")[0].lower() not in DEVICES


@pytest.mark.parametrize("reader", ["experiments", "claims"])
def test_a_mutated_file_is_planned_or_refused_with_one_message(reader: str) -> None:
    @given(st.integers(0, 2**32))
    def hold(seed: int) -> None:
        with sandbox() as folder:
            READERS[reader](folder, random.Random(seed))

    hold()


def test_mutations_change_something() -> None:
    texts = {toml_text(mutated(EXPERIMENT, random.Random(seed), toml=True)) for seed in range(50)}
    assert len(texts) > 40
    assert nested(2) == [[1]]


def test_a_list_of_experiments_says_which_file_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "broken.toml").write_text("title = 3\nx = [", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert "broken.toml is not valid TOML" in memspan("list", "--json").output
