"""Model files: the best model of a row is kept, loads in one line, answers as it did, and is listed in MLflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import suite
from suite.data import Data
from suite.engines import Inline, Signals, Workers
from suite.errors import InputError, StoreError
from suite.experiment.experiment import Experiment
from suite.experiment.loading import load
from suite.experiment.source_hash import source_of
from suite.model import model_file
from suite.model.sequence_model import SequenceModel
from suite.numerics import numerics
from suite.planning.job import Outcome
from suite.planning.plan import Plan
from suite.planning.study_progress import StudyProgress
from suite.running import best_models as models
from suite.running import runner
from suite.store import mlflow_models
from suite.store.store import Store
from suite.training.lightning_module import evaluate
from suite.training.train import train
from tasks.adding import Adding
from tests import servers
from tests.helpers import Notes

ROOT = Path(__file__).parents[2]
TINY = """
[tasks.adding]
length = [6, 8]
[architectures.rnn]
[architectures.narrow-gru]
architecture = "gru"
hidden_size = 5
[model]
hidden_size = 8
[training]
steps = 60
validate_every = 20
validation_size = 32
test_size = 64
learning_rate = 0.03
[evaluation]
seeds = 3
"""
FILES = [f"adding_length_{n}/{name}.pt" for n in (6, 8) for name in ("rnn", "narrow-gru")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """An experiment that was finished before anybody asked for models."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    plan = runner.open_plan(load(folder / "tiny.toml"), Store(folder / "store"))
    assert not runner.run(plan, Store(folder / "store"), Inline())
    return plan


def experiment_in(folder: Path, **selection: Any) -> Experiment:
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    return load(folder / "tiny.toml").select(**selection)


def small(plan: Plan) -> Plan:
    """Of one row."""
    return replace(plan, studies=plan.studies[:1])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, finished: Plan) -> Store:
    """With all models of the finished experiment, made in this process."""
    opened = Store(tmp_path_factory.mktemp("models") / "store")
    findings = models.keep_models(finished, opened, Inline())
    assert [(finding.state, finding.note) for finding in findings] == [("made", "")] * 4
    return opened


class _Unlisted:
    """In the place of MLflow where a test is about files; its database takes a second."""

    def list_model(self, *arguments: Any) -> None: ...


def store_in(folder: Path) -> Store:
    opened = Store(folder)
    opened.__dict__["tracking"] = _Unlisted()
    return opened


def path_of(store: Store, number: int = 1) -> Path:
    return store.folder / "models" / "tiny" / FILES[number]


def test_a_finished_experiment_gets_the_model_of_each_row(store: Store) -> None:
    found = sorted(path for path in (store.folder / "models").rglob("*") if path.is_file())
    assert found == sorted(path_of(store, number) for number in range(4))
    assert not list(store.checkpoints.glob("*"))


def test_a_loaded_model_answers_bit_for_bit_as_the_trained_one(store: Store) -> None:
    model, task = suite.load_model(path_of(store))
    assert isinstance(model, SequenceModel)
    assert isinstance(task, Adding)
    assert not model.training
    batch = task.sample(16, 8, torch.Generator().manual_seed(5))
    trained = train(model_file.read(path_of(store)).config).model.eval()
    with torch.no_grad():
        assert torch.equal(model(batch.inputs)[0], trained(batch.inputs)[0])


@pytest.mark.parametrize("number", range(4))
def test_on_the_test_split_a_loaded_model_has_the_recorded_score(number: int, store: Store, finished: Plan) -> None:
    kept = model_file.read(path_of(store, number))
    model, task = suite.load_model(str(path_of(store, number)))
    training = kept.config.training
    test = Data(kept.config.task, kept.config.seed, training.batch_size).sample("test", training.test_size)
    with numerics():
        measured = evaluate(model, task, [test])
    recorded = finished.finished[kept.config.key].metrics
    assert recorded["test_score"] > 0.1 or kept.architecture == "rnn"  # there is something to lose
    assert (measured.score, measured.skill, measured.loss) == tuple(
        recorded[f"test_{name}"] for name in ("score", "skill", "loss")
    )


def test_a_file_says_what_it_is(store: Store, finished: Plan) -> None:
    kept = model_file.read(path_of(store))
    row = models.best_models(finished, store.folder)[1]
    assert row.is_made
    assert (kept.experiment, kept.architecture, kept.task) == ("tiny", "narrow-gru", "adding length=6")
    assert kept.config == row.job.config
    assert kept.config.key == row.job.key
    assert kept.packages["torch"] == torch.__version__


def test_a_threshold_that_is_infinite_comes_back(tmp_path: Path, store: Store) -> None:
    contents = torch.load(path_of(store), weights_only=True)
    contents["config"] = contents["config"].replace('"clip":1.0', '"clip":Infinity')
    torch.save(contents, tmp_path / "free.pt")
    assert model_file.read(tmp_path / "free.pt").config.training.clip == float("inf")


def scored(plan: Plan, *skills: tuple[float, float | None, float]) -> dict[str, Outcome]:
    """The evaluations of the first study with (validation skill, validation loss, test skill) each."""
    names = ("validation_skill", "validation_loss", "test_skill")
    jobs = StudyProgress(plan.studies[0], plan.finished).evaluations
    return {
        job.key: Outcome({name: value for name, value in zip(names, values, strict=True) if value is not None})
        for job, values in zip(jobs, skills, strict=True)
    }


@pytest.mark.parametrize(
    ("skills", "seed"),
    [
        ([(0.5, 0.1, 0.9), (0.7, 0.2, 0.1), (0.6, 0.1, 0.8)], 1),  # by validation, and not by test
        ([(0.7, 0.3, 0.9), (0.7, 0.3, 0.1), (0.7, 0.2, 0.0)], 2),  # then by loss
        ([(0.0, None, 0.0), (0.0, 0.4, 0.0), (0.0, None, 0.0)], 1),  # a diverged run may have none
        ([(0.7, 0.3, 0.1), (0.7, 0.3, 0.9), (0.7, 0.3, 0.9)], 0),  # then by seed
    ],
)
def test_the_best_is_chosen_on_validation(skills: list[Any], seed: int, finished: Plan) -> None:
    job = StudyProgress(finished.studies[0], scored(finished, *skills)).best_run
    assert job is not None
    assert job.config.seed == seed


def test_a_row_has_no_model_while_an_evaluation_is_missing(finished: Plan, tmp_path: Path) -> None:
    first = StudyProgress(finished.studies[0], finished.finished).evaluations[0]
    left = {key: outcome for key, outcome in finished.finished.items() if key != first.key}
    plan = replace(finished, finished=left)
    assert [row.study.name for row in models.best_models(plan, tmp_path)] == [study.name for study in plan.studies[1:]]
    assert models.keep_models(replace(finished, finished={}), store_in(tmp_path), Inline()) == []


def test_what_is_there_is_not_made_again_but_what_is_of_another_run_or_broken_is(
    tmp_path: Path, finished: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, opened = small(finished), store_in(tmp_path / "store")
    listener = Notes()

    def again(plan: Plan) -> str:
        (finding,) = models.keep_models(plan, opened, Inline(), listener)
        return finding.state

    assert [again(plan), again(plan)] == ["made", "there"]
    path = path_of(opened, 0)
    before = path.read_bytes()

    path.write_bytes(before[: len(before) // 2])
    assert again(plan) == "made"
    assert model_file.read(path).config.key == listener.done[0]

    best = model_file.read(path).config.seed
    other = [(0.0, 1.0, 1.0) if seed == best else (0.1, 1.0, 0.0) for seed in range(3)]
    (finding,) = models.keep_models(replace(plan, finished=scored(plan, *other)), opened, Inline(), listener)
    assert finding.state == "made"
    assert model_file.read(path).config.seed == min({0, 1, 2} - {best})
    assert len(listener.done) == 3


def test_metrics_that_differ_from_the_recorded_are_said_and_the_model_is_kept(finished: Plan, tmp_path: Path) -> None:
    row = models.best_models(finished, tmp_path)[0]
    recorded = finished.finished[row.job.key]
    changed = {**recorded.metrics, "test_skill": 0.123, "wall_seconds": 1e6, "peak_memory_mb": 1.0}
    plan = replace(small(finished), finished={**finished.finished, row.job.key: replace(recorded, metrics=changed)})
    (finding,) = models.keep_models(plan, store_in(tmp_path), Inline())
    assert finding.state == "made"
    assert finding.note.startswith("1 of ")
    assert "metrics differ from the recorded ones" in finding.note
    assert "instead of 0.123" in finding.note
    assert model_file.read(row.path).metrics["test_skill"] == recorded.metrics["test_skill"]
    (finding,) = models.keep_models(plan, store_in(tmp_path), Inline())
    assert (finding.state, finding.note) == ("there", "")


def test_workers_give_the_same_file(finished: Plan, tmp_path: Path, store: Store) -> None:
    listener = Notes()
    (finding,) = models.keep_models(small(finished), store_in(tmp_path), Workers([None]), listener)
    assert (finding.state, finding.note) == ("made", "")
    here, there = model_file.read(path_of(store, 0)), model_file.read(finding.model.path)
    assert all(torch.equal(here.weights[name], there.weights[name]) for name in here.weights)
    assert listener.steps


def test_a_model_that_cannot_be_trained_fails_alone(
    finished: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_model = models.train_model

    def failing(job: Any, experiment: str, checkpoint: Path, signals: Signals) -> bytes:
        if job.variant == "rnn":
            raise RuntimeError("a bug")
        return train_model(job, experiment, checkpoint, signals)

    monkeypatch.setattr(models, "train_model", failing)
    listener = Notes()
    plan = replace(finished, studies=finished.studies[:2])
    findings = models.keep_models(plan, store_in(tmp_path), Inline(), listener)
    assert [(finding.state, finding.note) for finding in findings] == [("failed", "RuntimeError: a bug"), ("made", "")]
    assert listener.failures == [("RuntimeError: a bug", True)]
    assert not findings[0].model.path.exists()


def test_two_rows_with_one_file_name_are_refused_before_anything_starts(tmp_path: Path) -> None:
    text = TINY.replace(
        "[architectures.rnn]", '[tasks.adding_length_6]\ntask = "adding"\nlength = 6\n[architectures.rnn]'
    )
    (tmp_path / "two.toml").write_text(text, encoding="utf-8")
    plan = runner.open_plan(load(tmp_path / "two.toml").select(seeds=1), Store(tmp_path / "store"))
    everything = {
        job.key: Outcome({"validation_skill": 0.0}) for s in plan.studies for job in StudyProgress(s, {}).evaluations
    }
    with pytest.raises(InputError, match=r"would be the same file, adding_length_6/rnn\.pt; rename"):
        models.keep_models(replace(plan, finished=everything), Store(tmp_path / "store"), Inline())


def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gru.pt"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"gru.pt' cannot be written: No space left"):
        models._write(path, b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["gru.pt"]
    assert path.read_bytes() == b"old"


KILLED = """
import os, signal, sys
from pathlib import Path
from suite.running import best_models as models
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
models._write(Path(sys.argv[1]), b"half a model")
"""


def test_killed_while_it_writes_it_leaves_no_broken_file_and_the_same_command_goes_on(
    finished: Plan, tmp_path: Path
) -> None:
    path = path_of(Store(tmp_path), 0)
    command = [sys.executable, "-c", KILLED, str(path)]
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    (left,) = path.parent.iterdir()
    assert left.suffix != ".pt"
    (finding,) = models.keep_models(small(finished), store_in(tmp_path), Inline())
    assert finding.state == "made"
    assert list(path.parent.iterdir()) == [path]


# ── What can be wrong with a file


def test_a_file_that_is_not_there_has_its_nearest_neighbour(store: Store, tmp_path: Path) -> None:
    folder = path_of(store).parent
    for wrong, right in (
        (folder / "narow-gru.pt", path_of(store)),
        (folder / "narrow-gru", path_of(store)),
        (folder.with_name("adding_lenght_6") / "rnn.pt", folder / "rnn.pt"),
    ):
        with pytest.raises(InputError) as raised:
            suite.load_model(wrong)
        assert f"no model file {str(wrong)!r} (did you mean {str(right)!r}?)" in str(raised.value)
    with pytest.raises(InputError, match=r"zzz'; `memspan run EXPERIMENT --keep-models` writes them"):
        suite.load_model(tmp_path / "nowhere" / "zzz")
    with pytest.raises(InputError, match="cannot read model file"):
        suite.load_model(folder)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 half", b"\x80\x02}q\x00."])
def test_a_file_of_something_else_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"x.pt' is not a model file of memspan"):
        suite.load_model(tmp_path / "x.pt")


def test_other_files_of_torch_are_refused_and_run_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "made"),)

    for other in (
        {"format": 1, "module": {}},
        {"memspan_model": "1"},
        torch.zeros(3),
        Evil(),
        {"memspan_model": Evil()},
    ):
        torch.save(other, tmp_path / "x.pt")
        with pytest.raises(InputError, match="is not a model file of memspan"):
            suite.load_model(tmp_path / "x.pt")
    assert not (tmp_path / "made").exists()


def test_a_truncated_file_is_refused_wherever_it_ends(store: Store, tmp_path: Path) -> None:
    data = path_of(store).read_bytes()
    for end in range(0, len(data), max(1, len(data) // 40)):
        (tmp_path / "x.pt").write_bytes(data[:end])
        with pytest.raises(InputError, match="is not a model file of memspan"):
            suite.load_model(tmp_path / "x.pt")


def edited(path: Path, folder: Path, **changes: Any) -> Path:
    """A copy of a model file with other contents."""
    torch.save({**torch.load(path, weights_only=True), **changes}, folder / "x.pt")
    return folder / "x.pt"


def test_a_file_of_another_memspan_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has format 2 of a newer memspan; this one reads up to 1: upgrade memspan"):
        suite.load_model(edited(path_of(store), tmp_path, memspan_model=2))
    with pytest.raises(InputError, match=r"is of another memspan and cannot be read: surprise.*; make it again"):
        suite.load_model(edited(path_of(store), tmp_path, surprise=1))
    with pytest.raises(InputError, match="is of another memspan"):
        suite.load_model(edited(path_of(store), tmp_path, config="{}"))


def with_config(path: Path, folder: Path, *replaced: tuple[str, str]) -> Path:
    text = torch.load(path, weights_only=True)["config"]
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    return edited(path, folder, config=text)


def test_a_source_that_has_changed_is_a_warning(store: Store, tmp_path: Path) -> None:
    source = source_of("adding", "gru")
    for old, said in ((source.task, "source of task 'adding'"), (source.architecture, "source of architecture 'gru'")):
        path = with_config(path_of(store), tmp_path, (old, "0" * 16))
        with pytest.warns(UserWarning, match=f"{said} has changed since memspan .* the model may") as caught:
            suite.load_model(path)
        assert caught[0].filename == __file__


def test_an_old_file_that_cannot_tell_says_so(store: Store, tmp_path: Path) -> None:
    source = json.dumps(source_of("adding", "gru").model_dump(), sort_keys=True, separators=(",", ":"))
    path = with_config(path_of(store), tmp_path, (source, f'"{"0" * 32}"'))  # Protocol 1 wrote two hashes of files.
    with pytest.warns(UserWarning, match="it is unknown whether the source of task 'adding' or of architecture 'gru'"):
        suite.load_model(path)


def test_weights_that_do_not_fit_are_refused(store: Store, tmp_path: Path) -> None:
    path = with_config(path_of(store), tmp_path, ('"hidden_size":5', '"hidden_size":6'))
    with pytest.raises(InputError, match=r"do not fit architecture 'gru' as it is now \(size mismatch.*make it again"):
        suite.load_model(path)
    options = model_file.read(path_of(store)).config.model.options
    text = json.dumps(options, sort_keys=True, separators=(",", ":"))
    path = with_config(path_of(store), tmp_path, (text, '{"gone":1}'))
    with pytest.raises(InputError, match=r"cannot be used: .*'gone'.*use the sources with which memspan"):
        suite.load_model(path)


CELL = '''
"""A cell of somebody's own."""
from suite.architectures.rnn import RNN

class Mine(RNN):
    """As the plain one."""
'''


def test_a_cell_of_ones_own_is_imported_and_missed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '"architecture":"rnn"', '"architecture":"cell_of_mine:Mine"'
    path = with_config(path_of(store, 0), tmp_path, text)
    with pytest.raises(InputError, match="cannot import architecture 'cell_of_mine:Mine': No module named"):
        suite.load_model(path)
    (tmp_path / "cell_of_mine.py").write_text(CELL, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(UserWarning, match="cell_of_mine"):
        model, _ = suite.load_model(path)
    assert type(next(iter(model.cells))).__name__ == "Mine"


# ── MLflow


LOAD = """
import json, sys
import mlflow, numpy
found = []
for number, (address, model_id) in enumerate(zip(sys.argv[1::2], sys.argv[2::2])):
    mlflow.set_tracking_uri(address)
    model = mlflow.pyfunc.load_model(f"models:/{model_id}")
    numpy.save(f"outputs{number}.npy", model.predict(numpy.load("inputs.npy")))
    found.append(model.metadata.signature.to_dict())
    try:
        model.predict(numpy.zeros((1, 2, 3), dtype="float32"))
    except mlflow.MlflowException as error:  # the signature is enforced
        assert "shape" in str(error).lower(), error
    else:
        raise AssertionError("inputs of another size are taken")
print(json.dumps(found))
"""


def listed(store: Store) -> list[Any]:
    experiment = store.tracking.experiment_id("tiny")
    return list(store.tracking.client.search_logged_models([experiment]))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Store]:
    """A store whose MLflow is a server."""
    with servers.mlflow_server(f"sqlite:///{tmp_path / 'server.db'}", tmp_path / "server") as server:
        yield Store(tmp_path / "store", tracking=server.address)


def check_listing(store: Store, file: Path, name: str) -> Any:
    """That MLflow has a model with what belongs to it; it."""
    kept = model_file.read(file)
    (model,) = (one for one in listed(store) if one.name == name)
    assert model.status == "READY"
    assert {key: model.tags[key] for key in ("architecture", "task", "key", "seed")} == {
        "architecture": kept.architecture,
        "task": kept.task,
        "key": kept.config.key,
        "seed": str(kept.config.seed),
    }
    assert model.params["hidden_size"] == str(kept.config.model.hidden_size)
    metrics = {metric.key: metric.value for metric in model.metrics}
    assert metrics["validation_skill"] == kept.metrics["validation_skill"]
    assert metrics["test_skill"] == kept.metrics["test_skill"]

    run = store.tracking.client.get_run(model.source_run_id)
    assert run.data.tags["role"] == "study"
    assert run.data.tags["study"] == model.tags["study"]
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    return model


def test_models_are_listed_with_their_signature_and_load_from_there_in_another_process(
    finished: Plan, store: Store, served: Store, tmp_path: Path
) -> None:
    """On embedded files and on a server."""
    names = [f"{name} on adding length={n}" for n in (6, 8) for name in ("rnn", "narrow-gru")]
    assert sorted(model.name for model in listed(store)) == sorted(names)
    for _ in range(2):
        models.keep_models(small(finished), served, Inline())
        assert [model.name for model in listed(served)] == names[:1]
    files = path_of(store, 1), path_of(served, 0)
    stores = store, served
    given = [
        (opened.tracking.uri, check_listing(opened, file, name).model_id)
        for opened, file, name in zip(stores, files, (names[1], names[0]), strict=True)
    ]

    inputs = Adding().sample(3, 11, torch.Generator().manual_seed(1)).inputs
    np.save(tmp_path / "inputs.npy", inputs.numpy())
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *(text for pair in given for text in pair)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for number, (file, signature) in enumerate(zip(files, json.loads(done.stdout), strict=True)):
        model, _ = suite.load_model(file)
        with torch.no_grad():
            assert np.array_equal(np.load(tmp_path / f"outputs{number}.npy"), model(inputs)[0].numpy())
        for side, size in (("inputs", 2), ("outputs", 1)):
            (tensor,) = json.loads(signature[side])
            assert tensor["tensor-spec"] == {"dtype": "float32", "shape": [-1, -1, size]}


def test_a_model_is_listed_once_and_again_where_it_is_not(finished: Plan, tmp_path: Path) -> None:
    plan, store = small(finished), Store(tmp_path)
    for _ in range(2):
        models.keep_models(plan, store, Inline())
        (model,) = listed(store)
    client = store.tracking.client
    client.delete_logged_model(model.model_id)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    half = client.create_logged_model(  # of a process that was killed before it had uploaded anything
        model.experiment_id, name="half", tags={**model.tags, "pid": str(gone.pid)}
    )
    (finding,) = models.keep_models(plan, store, Inline())
    assert finding.state == "there"
    (again,) = listed(store)
    assert again.model_id not in (model.model_id, half.model_id)
    assert again.status == "READY"


def test_of_two_commands_that_list_at_once_one_does(
    finished: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, store = small(finished), Store(tmp_path)
    (finding,) = models.keep_models(plan, store, Inline())
    (model,) = listed(store)
    tracking = Store(tmp_path).tracking
    listed_models = mlflow_models.listed_models
    answers = iter([[], None])

    def answered(*names: Any) -> Any:
        return listed_models(*names) if (answer := next(answers)) is None else answer

    monkeypatch.setattr(mlflow_models, "listed_models", answered)
    path = finding.model.path
    assert mlflow_models.list_model(tracking, finding.model.study, path, model_file.read(path)) == model.model_id
    assert [one.model_id for one in listed(store)] == [model.model_id]


def test_the_metrics_of_a_model_do_not_hide_the_means_of_its_study(finished: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path)
    plan = runner.open_plan(experiment_in(tmp_path, tasks="adding", architectures="rnn", steps=10), store)
    assert not runner.run(plan, store, Inline())
    before = {run.info.run_id: run.data.metrics for run in store.tracking.runs("tiny", "tags.role = 'study'")}
    models.keep_models(plan, store, Inline())
    after = {run.info.run_id: run.data.metrics for run in store.tracking.runs("tiny", "tags.role = 'study'")}
    assert before == after
    assert len(listed(store)) == 2


def test_without_mlflow_the_files_are_there_and_it_is_said(
    finished: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)

    def broken(*arguments: Any) -> str:
        raise RuntimeError("no answer from postgresql://me:hush@host/db")

    monkeypatch.setattr(mlflow_models, "list_model", broken)
    listener = Notes()
    (finding,) = models.keep_models(small(finished), store, Inline(), listener)
    assert finding.state == "made"
    assert finding.model.path.exists()
    assert listener.troubles == ["the models could not be listed in MLflow: no answer from postgresql://me:***@host/db"]
