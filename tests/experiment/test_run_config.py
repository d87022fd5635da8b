"""The key of a run: what changes it, and what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from suite.data import Data
from suite.experiment.run_config import PROTOCOL, ModelConfig, RunConfig, Source, TaskConfig, Training
from suite.registry import architectures, tasks

DEFAULTS_OF_PROTOCOL: dict[int, dict[str, dict[str, Any]]] = {
    2: {
        "Training": {
            "steps": 1000,
            "batch_size": 32,
            "optimizer": "adam",
            "learning_rate": 0.001,
            "schedule": "constant",
            "warmup": 0,
            "alpha": 0.99,
            "clip": 1.0,
            "weight_decay": 0.0,
            "validate_every": 100,
            "validation_size": 256,
            "test_size": 512,
            "stop_when_solved": True,
            "diagnostics": False,
        },
        "TaskConfig": {"train_size": None, "test_lengths": ()},
        "ModelConfig": {"depth": 1, "bidirectional": False, "delay": 0},
    }
}
"""What stands at its default is no part of a key, so a default means the same for as long as the protocol does."""


def config(**changes: Any) -> RunConfig:
    parts: dict[str, Any] = {
        "task": {"name": "sequence_memory", "options": tasks.options("sequence_memory", {"lag": 3}), "length": 8},
        "model": {
            "architecture": "lstm",
            "options": architectures.options("lstm", {"forget_bias": 2.0}),
            "hidden_size": 4,
        },
        "training": {"steps": 50},
        "seed": 1,
        "source": {"task": "t", "architecture": "a"},
    }
    return RunConfig.model_validate_json(json.dumps({**parts, **changes}))


def test_what_stands_at_its_default_is_no_part_of_the_key() -> None:
    key = config().key
    training = Training().model_dump()
    assert config(training={**training, "steps": 50}).key == key
    assert config(model={"architecture": "lstm", "options": {"forget_bias": 2.0}, "hidden_size": 4}).key == key
    assert config(task={"name": "sequence_memory", "options": {"lag": 3, "mode": "n_back"}, "length": 8}).key == key


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"training": {"steps": 51}},
        {"training": {"steps": 50, "clip": 2.0}},
        {"source": {"task": "t2", "architecture": "a"}},
        {"source": {"task": "t", "architecture": "a2"}},
        {"task": {"name": "sequence_memory", "options": {"lag": 4}, "length": 8}},
        {"model": {"architecture": "lstm", "options": {}, "hidden_size": 4}},
        {"model": {"architecture": "lstm", "options": {"forget_bias": 2.0}, "hidden_size": 4, "depth": 2}},
    ],
)
def test_what_changes_a_result_changes_the_key(change: dict[str, Any]) -> None:
    assert config(**change).key != config().key


def test_a_default_that_means_something_else_needs_another_protocol() -> None:
    schemas = {schema.__name__: schema for schema in (Training, TaskConfig, ModelConfig)}
    for name, defaults in DEFAULTS_OF_PROTOCOL[PROTOCOL].items():
        for field, default in defaults.items():
            assert schemas[name].model_fields[field].default == default, f"{name}.{field}: raise PROTOCOL"


@pytest.mark.parametrize(
    ("training", "key"),
    [
        ({"steps": 50}, "89fe63bd55721b91"),
        ({"steps": 50, "optimizer": "rmsprop", "weight_decay": 0.01, "clip": float("inf")}, "c44c556da49af3e6"),
    ],
)
def test_a_key_from_before_the_latest_settings_is_still_the_key(training: dict[str, Any], key: str) -> None:
    """They were recorded when AdamW, schedules, warm-up and α did not exist yet."""
    assert PROTOCOL == 2, "another protocol has other keys, so record these anew"
    assert config(training=training).key == key


@pytest.mark.parametrize(
    "setting", [{"optimizer": "adamw"}, {"alpha": 0.9}, {"schedule": "cosine"}, {"schedule": "linear"}, {"warmup": 1}]
)
def test_each_setting_of_the_training_is_a_part_of_the_key(setting: dict[str, Any]) -> None:
    assert config(training={"steps": 50, **setting}).key != config().key


def test_data_do_not_depend_on_options_that_stand_at_their_default() -> None:
    plain = Data(TaskConfig(name="sequence_memory", options={"lag": 3}, length=8), 0, 4)
    filled = Data(config().task, 0, 4)
    assert plain.train_batch(0).inputs.equal(filled.train_batch(0).inputs)


def test_a_configuration_of_the_first_protocol_is_still_read() -> None:
    earlier = config(source="0123456789abcdef" + "fedcba9876543210")
    assert earlier.source == Source(task="file 0123456789abcdef", architecture="file fedcba9876543210")
    assert earlier.key != config().key
