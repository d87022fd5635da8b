"""The data of pages, made from the records of experiments whose runs were made up instead of trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache, partial
from typing import Any
from unittest import mock

import numpy as np

from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.page.data import page_data
from suite.planning.job import Job, Outcome
from suite.results import horizon
from suite.results.record import Record
from tests.synthetic import made_up

SKILL = {
    "lstm_cell": 0.49,
    "gru": 0.40,
    "lstm_coupled": 0.38,
    "lstm": 0.28,
    "lstm_peephole": 0.12,
    "rnn_bidirectional": 0.06,
    "rnn_stacked": 0.05,
    "rnn": 0.04,
    "mlp": 0.02,
}
"""The architectures of the lesson in the order of their skill."""
SPEED = dict(zip(SKILL, (13104, 10223, 11136, 12858, 11510, 10310, 10209, 12823, 14567), strict=True))
LAGS = (1, 2, 4, 8, 16, 32, 59)
HOSTILE = [
    "<script>document.title = 'taken'</script>",
    "</script><img src=x onerror=\"document.title = 'taken'\">",
    "quo\"te' & <b>bold</b>",
    "\u202eright to left\u202c \u2028 \u2029",
    "__proto__",
    "constructor",
    "{{ data }} {% raw %}",
]
TABLES: dict[str, Any] = {
    "title": "Every architecture of the lesson on long-range tasks",
    "description": "Parameter-matched, a small sweep each, and ten fresh seeds: this takes minutes on a laptop.",
    "tasks": {
        "adding": {"length": 30, "test_lengths": [60]},
        "copy_memory": {"length": 5, "test_lengths": [10, 15]},
        "sequence_memory": {"length": 60, "lag": [10, 20, 30]},
        "sizes": {"task": "adding", "length": 20, "train_size": [50, 200, 1000]},
        **{f"counting_{i}": {"task": "counting", "length": 12 + i} for i in range(6)},  # for critical differences
    },
    "architectures": {
        **{name: {} for name in SKILL},
        "lstm_cell": {"architecture": "lstm", "readout": "cell"},
        "rnn_stacked": {"architecture": "rnn", "depth": 2},
        "rnn_bidirectional": {"architecture": "rnn", "bidirectional": True},
    },
    "model": {"hidden_size": 16},
    "training": {"steps": 400, "learning_rate": 0.0123456789, "validate_every": 50, "diagnostics": True},
    "sweep": {"trials": 3, "space": {"clip": [0.3, 1.0, 3.0], "forget_bias": [1.0, 3.0]}},
    "evaluation": {"seeds": 10},
}


def quick(seeds: int = 10, without: str = "") -> dict[str, Any]:
    """Return what the lesson's nine architectures look like after a short experiment.

    Args:
        seeds: the number of evaluated seeds.
        without: a row without a finished evaluation, such as ``mlp on copy_memory``.
    """
    return deepcopy(_quick(seeds, without))


@cache
def _quick(seeds: int, without: str) -> dict[str, Any]:
    return data_of({**TABLES, "evaluation": {"seeds": seeds}}, lambda job: SKILL[job.variant], without)


@cache
def large() -> dict[str, Any]:
    """Return as much as a page has to hold: 30 architectures, 20 tasks, 10 seeds."""
    names = [*SKILL, *(f"lstm_variant_{i:02}" for i in range(21))]
    tables = {
        **TABLES,
        "tasks": {"sequence_memory": {"length": 60, "lag": list(range(2, 41, 2)), "test_lengths": [120, 240]}},
        "architectures": {
            **TABLES["architectures"],
            **{name: {"architecture": "lstm"} for name in names[len(SKILL) :]},
        },
        "training": {**TABLES["training"], "steps": 1000},
        "sweep": {**TABLES["sweep"], "trials": 12},
    }
    return data_of(tables, lambda job: 0.9 - names.index(job.variant) / 40)


def bare() -> dict[str, Any]:
    """Return the data of one architecture on one task with one seed, untuned and without curves."""
    tables = {"tasks": {"adding": {"length": 30}}, "architectures": {"gru": {}}, "model": {"hidden_size": 8}}
    return data_of({**tables, "evaluation": {"seeds": 1}}, lambda job: 0.5, curves=lambda job, metrics: ())


STATES: dict[str, Any] = {
    "tasks": {"adding": {"length": 30, "test_lengths": [60]}, "counting": {"length": 12}},
    "architectures": {
        "lstm": {},
        "residual": {"architecture": "lstm", "block": "residual", "mixer": 2.0},
        "cache": {"architecture": "tests.contracts.cells:Growing"},
        "transformer": {"architecture": "tests.contracts.test_layers:Transformer"},
        "reservoir": {"architecture": "tests.contracts.cells:Reservoir"},
    },
    "model": {"hidden_size": 16},
    "evaluation": {"seeds": 2},
}
"""Architectures with states that are constant, that grow, and that are not stated."""


BEYOND: dict[str, Any] = {
    "title": "Beyond the training length",
    "tasks": {
        "parity": {"task": "state_tracking", "length": {"low": 3, "high": 40}, "test_lengths": [64, 128, 256]},
        "adding": {"length": 30, "test_lengths": [60]},
        "counting": {"length": 12},
    },
    "architectures": {"lstm": {}, "gru": {}, "attention": {}},
    "model": {"hidden_size": 16},
    "evaluation": {"seeds": 10},
}
"""Tasks that are tested beyond their training length, one of which draws that from a range, and one that is not."""


def at_lengths(job: Job) -> dict[str, float]:
    """Return the skills of a run of `BEYOND`: attention is the best in training, and forgets beyond it."""
    places, task = list(BEYOND["architectures"]), job.config.task
    skill = 0.8 + 0.05 * places.index(job.variant) + 0.002 * job.config.seed
    power = {"lstm": 0.0, "gru": 0.2, "attention": 2.0}[job.variant]
    return {"skill": skill, **{f"skill_at_length_{n}": skill * (task.longest / n) ** power for n in task.test_lengths}}


def sizes(job: Job) -> dict[str, float]:
    """Return the skill and the sizes that a run of `STATES` measured."""
    length, places = job.config.task.length, list(STATES["architectures"])
    found = {"skill": 0.9 - places.index(job.variant) / 10, "frozen_parameters": 0.0, "state_size": 32.0}
    found |= {f"skill_at_length_{n}": 0.3 for n in job.config.task.test_lengths}
    if job.variant == "cache":
        found |= {"state_size": 200.0 * length, "state_growth": 200.0}
        found |= {f"state_size_at_length_{n}": 200.0 * n for n in job.config.task.test_lengths}
    if job.variant == "transformer":
        found["state_size"] = math.nan
    if job.variant == "reservoir":
        found["frozen_parameters"] = 1840.0
    return found


@cache
def _states() -> dict[str, Any]:
    board = build_leaderboard(made_up(STATES, sizes))
    return page_data(board, {"digest": "sha256:0"}, [])


def states() -> dict[str, Any]:
    """Return the data of architectures with states that are constant, that grow, and that are not stated."""
    return deepcopy(_states())


def nothing() -> dict[str, Any]:
    """Return the data of an experiment of which no run has finished."""
    plan = made_up(TABLES | {"sweep": {}, "evaluation": {"seeds": 1}}, lambda job: {"skill": 0.5})
    plan.finished.clear()
    return page_data(build_leaderboard(plan), {"digest": "sha256:0"}, [])


def hostile() -> dict[str, Any]:
    """Return data with names that would be markup, scripts or templates if somebody let them."""
    names = [f"variant_{i}" for i in range(len(HOSTILE))]
    tasks = ["adding", "copy_memory", "counting", "spike_delay", "sequence_memory"]
    tables = {
        "tasks": {task: {"length": 30, **({"lag": 3} if task == "sequence_memory" else {})} for task in tasks},
        "architectures": {name: {"architecture": "rnn"} for name in names},
        "model": {"hidden_size": 8},
    }
    labels = {
        **dict(zip(names, HOSTILE, strict=True)),
        **dict(zip(tasks[1:], [*HOSTILE[:3], "__proto__"], strict=True)),
    }
    data: dict[str, Any] = _renamed(data_of(tables, lambda job: names.index(job.variant) / 10), labels)
    for key in ("experiment", "title", "description"):
        data[key] = HOSTILE[1]
    data["notes"] = [HOSTILE[0]]
    data["cite"]["bibtex"] = data["cite"]["text"] = data["measured"]["facts"]["torch"] = HOSTILE[1]
    data["files"] = [{"name": 'a"b<c>.csv', "what": HOSTILE[1]}, {"name": "javascript:alert(1)", "what": ""}]
    for place, style in enumerate(data["architectures"]):
        style |= {"family": HOSTILE[place % 2], "color": '#123"; } body { display: none', "dash": '"><script>'}
    for rows in data["rows"].values():
        for row in rows.values():
            row["config"]["task"][HOSTILE[1]] = HOSTILE[0]
            row["params"][HOSTILE[1]] = row["command"] = HOSTILE[1]
    return data


def _renamed(value: Any, labels: Mapping[str, str]) -> Any:
    """Return nested values with other names."""
    if isinstance(value, dict):
        return {labels.get(key, key): _renamed(part, labels) for key, part in value.items()}
    if isinstance(value, list):
        return [_renamed(part, labels) for part in value]
    return labels.get(value, value) if isinstance(value, str) else value


Curves = tuple[tuple[int, Mapping[str, float]], ...]


def data_of(
    tables: Mapping[str, Any],
    skill: Callable[[Job], float],
    without: str = "",
    curves: Callable[[Job, Mapping[str, float]], Curves] | None = None,
) -> dict[str, Any]:
    """Return the data of the page of an experiment in which every architecture has about this skill."""
    jobs: dict[str, Job] = {}

    def metrics(job: Job) -> dict[str, float]:
        jobs[job.key] = job
        return dict(made_up_metrics(job, skill(job)))

    plan = made_up(tables, metrics)
    for key, job in jobs.items():
        if job.role == "evaluation":
            outcome = plan.finished[key]
            points = (curves or made_up_curves)(job, outcome.metrics)
            plan.finished[key] = Outcome(outcome.metrics, points, "laptop")
            if f"{job.variant} on {job.level}" == without:
                del plan.finished[key]
    environment = {
        "processor": "a laptop's, two cores",
        "threads": 1,
        "packages": {"memspan": "0.1.0", "torch": "2.13"},
    }
    record = replace(Record.of(plan), environments={"laptop": environment})
    # Horizons take most of the time; a page shows those from a few resamples as well.
    with mock.patch.object(horizon, "horizons", partial(horizon.horizons, resamples=50)):
        board = build_leaderboard(record)
    return page_data(board, {"digest": "sha256:" + "0123456789abcdef" * 4}, ["leaderboard.csv", "manifest.json"])


def made_up_metrics(job: Job, skill: float) -> Iterator[tuple[str, float]]:
    """Yield what a run measured: higher skill at short lags, and for trials a better one at the edges of ``clip``."""
    draw = np.random.default_rng([job.config.seed, *job.key.encode()])
    level = 1.5 - job.config.task.options.get("lag", 20) / 40
    reached = float(np.clip(level * skill + draw.normal(0, 0.015), 0.003, 0.995))
    if job.role == "trial":
        reached *= 0.8 if job.params.get("clip") == 1.0 else 1.0
    yield "skill", reached
    yield "solved", float(reached > 0.5)
    if reached > 0.5:
        yield "steps_to_solve", float(50 * draw.integers(1, 8))
    yield "sequences_per_second", SPEED.get(job.variant, 9000) * (1 + draw.normal(0, 0.01))
    yield "parameters", 4900.0 + 13 * len(job.variant)
    yield "state_size", 38.0
    yield "gap_skill", float(draw.normal(0, 0.006))
    yield "train_skill", min(1.0, reached + 0.1)
    for moment, slope in gradient_slopes(job).items():
        yield f"gradient_slope_{moment}", slope
        yield f"input_gradient_slope_{moment}", slope
    for length in job.config.task.test_lengths:
        yield f"skill_at_length_{length}", reached * job.config.task.length / length


def made_up_curves(job: Job, metrics: Mapping[str, float]) -> Curves:
    """Return a learning curve, and the gradient through time; of a short run, as those of ``gru``, without half-way."""
    draw = np.random.default_rng([job.config.seed, *job.key.encode()])
    training = job.config.training
    points: list[tuple[int, Mapping[str, float]]] = []
    for step in range(50, training.steps + 1, 50):
        skill = metrics["test_skill"] / (1 + np.exp(4 - 8 * step / training.steps))
        losses = {"train/loss": 0.17 * (1 - skill) + draw.normal(0, 0.002), "validation/loss": 0.18 * (1 - skill)}
        points.append((step, {"validation/skill": float(skill), **losses}))
    for lag in LAGS:
        norms = {moment: slope * lag / np.log(10) for moment, slope in gradient_slopes(job).items()}
        of_input = {f"input_gradient/{moment}": norm - 1.3 + draw.normal(0, 0.02) for moment, norm in norms.items()}
        points.append((lag, {f"gradient/{moment}": norm for moment, norm in norms.items()} | of_input))
    return tuple(points)


def gradient_slopes(job: Job) -> dict[str, float]:
    """Return the slope of the gradient at each moment, which is flatter for architectures of more skill."""
    slopes = {"start": -0.2, "half": -0.12, "end": -0.1} if job.variant != "gru" else {"start": -0.2, "end": -0.1}
    return {moment: slope * (1.2 - SKILL.get(job.variant, 0.5)) for moment, slope in slopes.items()}
