"""A data set is divided once per data seed, and each split draws from its own part alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from suite.data import Data
from suite.errors import InputError
from suite.experiment.loading import parse
from suite.experiment.run_config import TaskConfig
from suite.planning.plan import studies
from suite.registry import make_task, tasks
from suite.training.train import train
from tasks import Batch, DataSet
from tasks.digits import Digits
from tests.helpers import discovered

NUMBERS = "tests.test_data:Numbers"
every_data_set = pytest.mark.parametrize(
    ("name", "options"), [p for p in discovered(tasks) if issubclass(tasks.get(p.values[0]), DataSet)]
)


@dataclass(frozen=True)
class Numbers(DataSet):
    """Fifty examples, each of which shows its own position; in training the target is −1 too low."""

    solved_at = 0.5
    input_size = output_size = 1
    chance = 0.0
    longest = 3

    def delay(self, length: int) -> int:
        return 0

    def size(self, length: int) -> int:
        return 50

    def load(self, length: int) -> Batch:
        values = torch.arange(50.0).reshape(50, 1, 1).expand(-1, length, 1)
        return Batch(values, values, torch.ones(50, length, dtype=torch.bool))

    def for_training(self, batch: Batch, generator: torch.Generator) -> Batch:
        return batch._replace(targets=batch.targets - 1)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return (outputs - batch.targets).square().mean()

    def score(self, outputs: Tensor, batch: Batch) -> float:
        return 0.0


def data(seed: int = 0, *, name: str = NUMBERS, length: int = 2, train_size: int | None = None, **options: Any) -> Data:
    filled = tasks.options(name, options)
    return Data(TaskConfig(name=name, options=filled, length=length, train_size=train_size), seed, batch_size=8)


def shown(batch: Batch) -> list[int]:
    return batch.inputs[:, 0, 0].int().tolist()


def experiment(task: str, **table: Any) -> dict[str, Any]:
    return {
        "tasks": {"it": {"task": task, **table}},
        "architectures": {"rnn": {}, "gru": {}},
        "model": {"hidden_size": 4},
        "training": {"steps": 2, "batch_size": 4, "validate_every": 2},
        "evaluation": {"seeds": 2},
    }


@every_data_set
def test_the_parts_divide_what_there_is_without_overlap(name: str, options: dict[str, Any]) -> None:
    task: Any = tasks.get(name)(**options)
    examples = task.examples(task.shortest)
    assert len(examples.inputs) == task.size(task.shortest)
    assert examples is task.examples(task.shortest), "read once"
    parts = task.parts(task.shortest)
    positions = torch.cat(parts).tolist()
    assert sorted(positions) == list(range(len(examples.inputs)))
    assert task.available(task.shortest) == len(parts.train)
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert len(part) == pytest.approx(share * len(positions), abs=1)
    for length in (task.shortest, task.longest):
        assert all(len(part) for part in task.parts(length))


@pytest.mark.parametrize("train_size", [None, 10])
def test_each_split_draws_from_its_own_part(train_size: int | None) -> None:
    for seed in range(5):
        made = data(seed, train_size=train_size)
        streamed = {number for step in range(60) for number in shown(made.train_batch(step))}
        validation, test = shown(made.sample("validation", 256)), shown(made.sample("test", 256))
        assert len(streamed) == (train_size or 30)
        assert (len(validation), len(test)) == (10, 10)
        assert streamed.isdisjoint(validation)
        assert len({*streamed, *validation, *test}) == (train_size or 30) + 20
        assert set(shown(made.train_sample(256)[0])) == streamed
        assert set(shown(made.sample("train", 256))) == streamed
        assert set(shown(made.sample("test", 256, length=3))) <= set(range(50))
        assert len(shown(made.sample("validation", 4))) == 4


def test_what_is_done_to_the_training_set_is_done_to_nothing_else() -> None:
    made = data(train_size=20)
    for batch in (made.train_batch(0), made.train_sample(9)[0], made.train_set, made.sample("train", 3)):
        assert torch.equal(batch.targets, batch.inputs - 1)
    for batch in (made.sample("validation", 9), made.sample("test", 9), Numbers().examples(2)):
        assert torch.equal(batch.targets, batch.inputs)


def test_the_parts_depend_on_the_task_and_the_data_seed_alone() -> None:
    made = studies(parse(experiment(NUMBERS, length=2, train_size=[5, 20]), "x"))
    for seed in (0, 1):
        configs = [study.config(study.defaults, seed) for study in made]
        assert {config.model.architecture for config in configs} == {"rnn", "gru"}
        found = [Data(config.task, config.seed, size) for size, config in enumerate(configs, start=3)]
        for split in ("validation", "test"):
            assert len({str(shown(each.sample(split, 50))) for each in found}) == 1  # type: ignore[arg-type]
        few, many = ({str(shown(each.train_set)) for each in found if each.config.train_size == n} for n in (5, 20))
        ((few_shown,), (many_shown,)) = few, many
        assert many_shown.startswith(few_shown.removesuffix("]")), "a larger training set contains the smaller one"
    assert len({str(shown(data(seed).sample("test", 50))) for seed in range(4)}) == 4


def test_a_training_set_larger_than_the_training_part_is_refused_before_anything_runs() -> None:
    assert studies(parse(experiment(NUMBERS, length=2, train_size=30), "x"))
    with pytest.raises(InputError, match=r"\[tasks.it\]: train_size must be at most 30, .*; got 31"):
        studies(parse(experiment(NUMBERS, length=2, train_size=[20, 31]), "x"))
    with pytest.raises(InputError, match=r"train_size must be at most 30, .*; got 31"):
        data(train_size=31).train_batch(0)


@pytest.mark.parametrize(
    ("task", "table", "message"),
    [
        ("digits", {"length": 9}, "length must be at most 8 for digits; got 9"),
        ("digits", {"length": 7}, "length must be at least 8 for digits; got 7"),
        ("digits", {"length": 8, "form": "pixels"}, "length must be at least 64 for digits; got 8"),
        ("sunspots", {"length": 63}, "length must be at most 62 for sunspots; got 63"),
        ("sunspots", {"length": 20, "test_lengths": [80]}, "test_lengths must be at most 62 for sunspots; got 80"),
    ],
)
def test_a_length_that_a_data_set_has_not_is_refused(task: str, table: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        studies(parse(experiment(task, **table), "x"))
    assert str(refused.value) == f"[tasks.it]: {message}"


@pytest.mark.parametrize("train_size", [None, 200])
def test_label_noise_is_an_exact_share_of_wrong_labels_of_the_training_set(train_size: int | None) -> None:
    noisy = data(3, name="digits", length=8, train_size=train_size, label_noise=0.3)
    truth = {str(image.tolist()): label for image, label in zip(*Digits().examples(8)[:2], strict=True)}

    def wrong(batch: Batch) -> int:
        labels = torch.stack([truth[str(image.tolist())] for image in batch.inputs])
        changed = (labels != batch.targets).any(1)
        assert torch.equal(changed, (labels != batch.targets).all(1)), "one label per image"
        return int(changed.sum())

    count = train_size or 1078
    assert wrong(noisy.train_set) == round(0.3 * count)
    assert 0 <= noisy.train_set.targets.min() <= noisy.train_set.targets.max() <= 9
    assert wrong(noisy.sample("validation", 400)) == wrong(noisy.sample("test", 400)) == 0
    again = data(3, name="digits", length=8, train_size=train_size, label_noise=0.3)
    assert torch.equal(noisy.train_set.targets, again.train_set.targets)
    assert wrong(data(3, name="digits", length=8, train_size=train_size).train_set) == 0


@every_data_set
def test_a_run_trains_on_a_data_set(name: str, options: dict[str, Any]) -> None:
    task: Any = tasks.get(name)(**options)
    table = {"length": task.shortest, "train_size": 20, **options}
    study = studies(parse(experiment(name, **table), "x"))[0]
    metrics = train(study.config(study.defaults, 0)).metrics
    assert metrics["steps"] == 2
    assert 0 <= metrics["test_skill"] <= 1


@pytest.mark.parametrize(("name", "package"), [("digits", "sklearn"), ("sunspots", "statsmodels")])
def test_without_its_package_a_data_set_is_refused_and_everything_else_works(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from suite.cli import app

    monkeypatch.setitem(sys.modules, package, None)
    remedy = f"package '{package}', which is not installed; pip install 'memspan[data]' brings it"
    with pytest.raises(ImportError, match=r"pip install 'memspan\[data\]'"):
        tasks.get(name)()
    with pytest.raises(InputError) as refused:
        make_task(name, {})
    assert str(refused.value) == f"task {name!r}: its data come with the {remedy}"
    with pytest.raises(InputError) as planned:
        studies(parse(experiment(name, length=8), "x"))
    assert str(planned.value).startswith("[tasks.it]: ")
    listed = CliRunner().invoke(app, ["list"])
    assert listed.exit_code == 0
    assert name in listed.stdout
    assert studies(parse(experiment("adding", length=8), "x"))


def test_planning_reads_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Digits, length: int) -> Batch:
        raise AssertionError("read")

    monkeypatch.setattr(Digits, "load", refuse)
    assert studies(parse(experiment("digits", length=8, train_size=1078), "x"))
