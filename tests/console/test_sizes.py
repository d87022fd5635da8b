"""The sizes that were solved for stand in one line for each architecture, before the first run."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from suite.console.sizes import show_sizes
from suite.experiment.loading import load, parse
from suite.model.sequence_model import build_model
from suite.model.sizing import parameter_count
from suite.planning.plan import Plan, studies
from suite.registry import make_task
from tests.commands import memspan
from tests.running.test_run import TINY

TABLES: dict[str, Any] = {
    "tasks": {"adding": {"length": 20}, "copy_memory": {"length": 5}},
    "architectures": {
        "lstm": {},
        "given": {"architecture": "lstm", "hidden_size": 7},
        "cache": {"architecture": "tests.contracts.cells:Growing"},
        "transformer": {"architecture": "tests.contracts.test_layers:Transformer"},
    },
    "model": {"parameters": 12000},
}


def plan_of(tables: dict[str, Any]) -> Plan:
    experiment = parse(tables, "mine")
    return Plan(experiment, studies(experiment), {})


def shown(plan: Plan, width: int = 80) -> list[str]:
    file = io.StringIO()
    show_sizes(plan, Console(file=file, width=width))
    return file.getvalue().splitlines()


def line_of(label: str, lines: list[str]) -> str:
    (line,) = [line for line in lines if line.split()[:1] == [label]]
    return " ".join(line.split()[1:])


def test_each_architecture_has_a_line_with_ranges_over_the_tasks() -> None:
    lines = shown(plan_of(TABLES))
    assert lines[0] == "sizes, for 12,000 parameters, to 5 %"
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    counts = []
    for name, size in (("adding", 53), ("copy_memory", 49)):
        task = make_task(name, {})
        counts.append(parameter_count(build_model("lstm", {}, task.input_size, size, task.output_size)))
    assert line_of("lstm", lines) == f"49–53 {min(counts):,}–{max(counts):,} 98–106"
    assert line_of("cache", lines) == "100–108 12,009–12,097 2,160–2,500 (100–108 per step)"
    assert line_of("transformer", lines).endswith("not stated")
    assert "given" not in " ".join(lines), "its size was given and not found"


def test_a_long_label_is_broken_into_lines_and_no_number_is_cut_off() -> None:
    rows = {"l" * 100: {"architecture": "tests.contracts.cells:Growing"}}
    lines = shown(plan_of({**TABLES, "architectures": rows}))
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).split()
    assert sum(word.count("l") for word in words if set(word) == {"l"}) == 100
    assert {"100–108", "12,009–12,097", "2,160–2,500", "(100–108"} <= set(words)


def test_a_label_of_usual_length_is_on_one_line_beside_a_state_that_grows() -> None:
    label = "linear_attention_gated"
    rows = {label: {"architecture": "rnn"}, "grows": {"architecture": "tests.contracts.cells:Growing"}}
    lines = shown(plan_of({**TABLES, "architectures": rows}))
    assert max(map(len, lines)) <= 80
    assert line_of(label, lines)


def test_a_search_over_depth_and_blocks_gives_ranges() -> None:
    sweep = {"trials": 4, "space": {"depth": [1, 3], "block": ["plain", "residual"], "clip": [0.5, 1.0]}}
    lines = shown(
        plan_of({**TABLES, "tasks": {"adding": {"length": 20}}, "architectures": {"rnn": {}}, "sweep": sweep})
    )
    (study,) = plan_of(
        {**TABLES, "tasks": {"adding": {"length": 20}}, "architectures": {"rnn": {}}, "sweep": sweep}
    ).studies
    sizes = [study.config({**study.defaults, **corner}, 0).model.hidden_size for corner in ({"depth": 1}, {"depth": 3})]
    assert line_of("rnn", lines).startswith(f"{min(sizes)}–{max(sizes)} ")


def test_a_state_is_said_with_its_own_unit_and_frozen_numbers_have_a_column_if_there_are_any() -> None:
    rows = {"lstm": {"state": 64}, "reservoir": {"architecture": "tests.contracts.cells:Reservoir"}}
    lines = shown(
        plan_of({**TABLES, "model": {"parameters": 41}, "tasks": {"adding": {"length": 20}}, "architectures": rows})
    )
    assert lines[0] == "sizes, for 41 parameters or 64 numbers in the state, to 5 %"
    assert lines[1].split() == ["hidden", "size", "parameters", "frozen", "state"]
    assert line_of("reservoir", lines) == "40 41 1,680 40"
    assert line_of("lstm", lines).endswith(" 0 64")


def test_nothing_is_shown_where_every_size_is_given() -> None:
    assert shown(plan_of({**TABLES, "model": {"hidden_size": 8}})) == []


def test_it_takes_a_fraction_of_the_time_of_planning() -> None:
    """On quick, a tenth of a second against half a second; the bound leaves room for a busy machine."""
    experiment = load("quick")
    start = time.perf_counter()
    plan = Plan(experiment, studies(experiment), {})
    planned = time.perf_counter()
    shown(plan)
    assert time.perf_counter() - planned < 1.0 + planned - start


def test_a_command_shows_them_before_its_first_run_unless_it_is_quiet(tmp_path: Path) -> None:
    text = TINY.replace("hidden_size = 8", "parameters = 200").replace("seeds = 3", "seeds = 1")
    (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
    command = ["run", "tiny.toml", "--architectures", "rnn", "--workers", "1"]
    estimated = memspan(*command, "--dry-run", cwd=tmp_path)
    done = memspan(*command, cwd=tmp_path)
    quiet = memspan(*command, "--store", "other", "--quiet", cwd=tmp_path)
    heading = "sizes, for 200 parameters, to 5 %"
    for said in (estimated, done):
        assert said.returncode == 0, said.stderr
        assert heading in said.stderr
        assert heading not in said.stdout
    assert done.stderr.index(heading) < done.stderr.index("1/3")
    assert heading not in quiet.stderr
