"""A run that was interrupted, and taken up again, is the run that was not, to the last bit."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear

from suite.architectures._base import Cell, bias, input_weight, recurrent_weight
from suite.errors import StoppedError
from suite.experiment import run_config
from suite.experiment.run_config import ModelConfig, RunConfig, TaskConfig, Training
from suite.planning.job import MEASURED, PrunerContext
from suite.planning.sweep import GenerationPruner
from suite.registry import architectures
from suite.store.files import remove
from suite.training.checkpoint import DIGEST_SIZE, Checkpoint
from suite.training.lightning_module import Watcher
from suite.training.train import TrainingResult, train


class Noisy(Cell[Tensor]):
    """Draws random numbers while it is trained."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = input_weight(1, hidden_size, input_size)
        self.U = recurrent_weight(1, hidden_size, "orthogonal")

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(linear(x, self.W) + linear(dropout(state, 0.2, self.training), self.U))
        return h, h


class Exhausted(Noisy):
    """Takes the next one of what has no end, it thought."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.sequences = iter(range(24))

    def initial_state(self, batch_size: int) -> Tensor:
        next(self.sequences)
        return super().initial_state(batch_size)


class Marked(Cell[Tensor]):
    """A leaky net whose recurrent weights are frozen, and whose leak and bias have no weight decay."""

    without_weight_decay = ("leak", "b")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.leak = nn.Parameter(torch.linspace(-2.0, 2.0, hidden_size))
        self.W = input_weight(1, hidden_size, input_size)
        self.U = recurrent_weight(1, hidden_size, "orthogonal").requires_grad_(False)
        self.b = bias(1, hidden_size)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        keep = torch.sigmoid(self.leak)
        h = keep * state + (1 - keep) * torch.tanh(linear(x, self.W, self.b) + linear(state, self.U))
        return h, h


def config(architecture: str = "gru", train_size: int | None = None, **training: Any) -> RunConfig:
    given = {"steps": 150, "validate_every": 30, "validation_size": 32, "test_size": 32, "learning_rate": 1e-2}
    return RunConfig(
        task=TaskConfig(name="adding", options={}, length=10, train_size=train_size),
        model=ModelConfig(architecture=architecture, options=architectures.options(architecture, {}), hidden_size=8),
        training=Training(**{**given, "stop_when_solved": False, **training}),
        seed=3,
        source="",
    )


def facts(result: TrainingResult) -> dict[str, Any]:
    """Everything of a result but measured time and memory."""
    return {
        "metrics": {name: value for name, value in result.metrics.items() if not name.endswith(MEASURED)},
        "curves": result.curves,
        "weights": {name: tensor.tolist() for name, tensor in result.model.state_dict().items()},
        "flow": {
            moment: (found.step, *(curve.tolist() for curve in found.flow))
            for moment, found in result.gradient_flow.items()
        },
    }


def in_pieces(run: RunConfig, path: Path, every: int, watch: Any = Watcher) -> tuple[TrainingResult, list[Watcher]]:
    """Stopped after every so many blocks, and taken up again with a new watcher."""
    watchers = []
    while True:
        blocks = iter(range(1, 1000))
        watcher = watch()
        watcher.should_stop = lambda blocks=blocks: next(blocks) % every == 0
        watchers.append(watcher)
        try:
            return train(run, watcher, checkpoint=path), watchers
        except StoppedError:
            assert path.exists()


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(config(), id="streamed"),
        pytest.param(config(train_size=50), id="finite"),
        pytest.param(config("lstm", optimizer="rmsprop", clip=0.1), id="rmsprop"),
        pytest.param(config("rnn", optimizer="sgd", weight_decay=1e-3), id="sgd"),
        pytest.param(config("gru", optimizer="adamw", schedule="cosine", warmup=50, weight_decay=0.1), id="adamw"),
        pytest.param(
            config("tests.training.test_checkpoint:Marked", optimizer="adamw", schedule="linear", weight_decay=0.1),
            id="two groups and frozen parameters",
        ),
        pytest.param(config("lstm", steps=500, diagnostics=True), id="diagnostics"),
        pytest.param(config("tests.training.test_checkpoint:Noisy"), id="random numbers"),
        pytest.param(config(stop_when_solved=True, steps=2000), id="solved"),
        pytest.param(config("rnn", learning_rate=1e30, clip=float("inf"), optimizer="sgd"), id="diverged"),
    ],
)
@pytest.mark.parametrize("every", [1, 3])
def test_a_run_in_pieces_is_the_run_in_one(run: RunConfig, every: int, tmp_path: Path) -> None:
    whole = train(run)
    result, watchers = in_pieces(run, tmp_path / "run.pt", every)
    assert len(watchers) > 1 or whole.metrics["diverged"]
    assert facts(result) == facts(whole)


def test_somebody_who_watches_a_resumed_run_is_told_what_went_before(tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []

    def watch() -> Watcher:
        told.clear()
        return Watcher(on_metrics=lambda step, metrics: told.append((step, metrics["validation/skill"])))

    result, watchers = in_pieces(config(), tmp_path / "run.pt", 2, watch)
    assert len(watchers) > 2
    assert told == [(step, metrics["validation/skill"]) for step, metrics in result.curves]


def test_a_pruned_trial_is_pruned_at_the_same_step_when_it_is_resumed(tmp_path: Path) -> None:
    earlier = tuple(tuple((step, 0.5 + 0.01 * trial) for step in range(30, 151, 30)) for trial in range(4))
    context = PrunerContext("median", "study", 4, earlier)

    def watch() -> Watcher:
        return Watcher(should_prune=GenerationPruner(context))

    run = config(learning_rate=1e-6)
    whole = train(run, watch())
    result, watchers = in_pieces(run, tmp_path / "run.pt", 1, watch)
    assert whole.metrics["pruned"] == 1.0
    assert len(watchers) > 1
    assert facts(result) == facts(whole)


def stopped(run: RunConfig, path: Path, blocks: int = 4) -> bytes:
    """The checkpoint of a run that was stopped after so many blocks of steps."""
    left = iter(range(blocks - 1, -1, -1))
    with pytest.raises(StoppedError):
        train(run, Watcher(should_stop=lambda: next(left) == 0), checkpoint=path)
    return path.read_bytes()


def resigned(state: Any) -> bytes:
    """A checkpoint with another state, whose digest is right."""
    checkpoint = Checkpoint(None, config().key, Watcher())
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return checkpoint._digest(buffer.getvalue()) + buffer.getvalue()


def content(data: bytes) -> Any:
    return torch.load(io.BytesIO(data[DIGEST_SIZE:]), weights_only=True)


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return facts(train(config()))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(lambda data: b"", "is damaged", id="empty"),
        pytest.param(lambda data: b"hello", "is damaged", id="hello"),
        pytest.param(lambda data: data[:-1], "is damaged", id="cut"),
        pytest.param(lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:], "is damaged", id="one bit"),
        pytest.param(lambda data: bytes([data[0] ^ 1]) + data[1:], "is damaged", id="the digest"),
        pytest.param(lambda data: data[DIGEST_SIZE:], "is damaged", id="without digest"),
        pytest.param(lambda data: resigned(["nothing"]), "does not fit", id="another content"),
        pytest.param(lambda data: resigned({**content(data), "module": {}}), "does not fit", id="half a content"),
        pytest.param(lambda data: resigned(b"")[:-9], "is damaged", id="half a file"),
        pytest.param(lambda data: resigned(Path("code")), "cannot be loaded", id="code"),
    ],
)
def test_a_checkpoint_that_is_damaged_starts_the_run_anew_with_one_note_and_the_same_result(
    damage: Callable[[bytes], bytes], reason: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    path, notes = tmp_path / "run.pt", list[str]()
    path.write_bytes(damage(stopped(config(), path)))
    assert facts(train(config(), Watcher(on_note=notes.append), checkpoint=path)) == whole
    (note,) = notes
    assert note.startswith(f"the checkpoint '{path}' {reason}")
    assert note.endswith("so the run starts anew")


def _of_another_seed(path: Path) -> None:
    path.write_bytes(stopped(config().with_seed(4), path.with_name("other.pt")))


def _of_a_longer_run(path: Path) -> None:
    path.write_bytes(stopped(config(steps=151), path.with_name("other.pt")))


def _of_another_protocol(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_config, "PROTOCOL", run_config.PROTOCOL - 1)
        stopped(config(), path)


@pytest.mark.parametrize("put", [_of_another_seed, _of_a_longer_run, _of_another_protocol])
def test_a_checkpoint_of_another_run_starts_the_run_anew(
    put: Callable[[Path], None], whole: dict[str, Any], tmp_path: Path
) -> None:
    path, notes = tmp_path / "run.pt", list[str]()
    put(path)
    assert facts(train(config(), Watcher(on_note=notes.append), checkpoint=path)) == whole
    assert [note.split("' ")[1] for note in notes] == [
        "is damaged, or belongs to another run or version, so the run starts anew"
    ]


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        pytest.param(Path.mkdir, "cannot be read (Is a directory)", id="folder"),
        pytest.param(lambda path: path.symlink_to(path), "cannot be read (Too many levels", id="loop"),
        pytest.param(lambda path: path.parent.rmdir() or path.parent.touch(), "cannot be read (Not a", id="no folder"),
    ],
)
def test_a_checkpoint_that_cannot_be_read_or_written_stops_no_run(
    put: Callable[[Path], Any],
    reason: str,
    whole: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEMSPAN_CHECKPOINT_SECONDS", "0")
    path, notes = tmp_path / "checkpoints" / "run.pt", list[str]()
    path.parent.mkdir()
    put(path)
    assert facts(train(config(), Watcher(on_note=notes.append), checkpoint=path)) == whole
    (note,) = notes
    assert reason in note
    remove(path)


def test_a_checkpoint_that_cannot_be_kept_is_said_once(
    whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMSPAN_CHECKPOINT_SECONDS", "0")
    path, notes = tmp_path / "run.pt", list[str]()
    path.with_name(f"{path.name}.{os.getpid()}").mkdir()  # There, the file is written before it is moved.
    assert facts(train(config(), Watcher(on_note=notes.append), checkpoint=path)) == whole
    (note,) = notes
    assert note.startswith(f"the checkpoint '{path}' cannot be written (IsADirectoryError: ")


class Growing(Noisy):
    """Has a buffer that is as large as the last batch."""

    def initial_state(self, batch_size: int) -> Tensor:
        self.register_buffer("last", torch.zeros(batch_size))
        return super().initial_state(batch_size)


def test_a_cell_that_refuses_its_own_state_starts_the_run_anew(tmp_path: Path) -> None:
    run, path, notes = config("tests.training.test_checkpoint:Growing"), tmp_path / "run.pt", list[str]()
    whole = facts(train(run))
    stopped(run, path)
    assert facts(train(run, Watcher(on_note=notes.append), checkpoint=path)) == whole
    assert [note.split("' ")[1].split(":")[0] for note in notes] == ["does not fit (RuntimeError"]


def test_a_step_that_raises_stop_iteration_is_an_error_and_no_early_end() -> None:
    with pytest.raises(
        RuntimeError, match="StopIteration was raised after 20 of 150 steps, by the cell or by the task"
    ):
        train(config("tests.training.test_checkpoint:Exhausted"))


CHILD = """
import json
import sys
from pathlib import Path
from suite.training.train import train
from tests.training.test_checkpoint import config, facts
result = train(config("lstm", steps=1200, diagnostics=True), checkpoint=Path(sys.argv[1]))
print(json.dumps(facts(result)))
"""


def test_killed_between_and_inside_checkpoints_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """It does nothing but train and save, so that many of the kills hit a file half-written."""
    environment = {**os.environ, "MEMSPAN_CHECKPOINT_SECONDS": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    path = tmp_path / "run.pt"
    command = [sys.executable, "-c", CHILD, str(path)]
    steps = []
    half_written = 0
    for delay in (0.02, 0.11, 0.05):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        before = path.stat().st_mtime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_mtime_ns == before:  # it has begun to save
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        steps.append(content(path.read_bytes())["module"]["steps"])
        half_written += len(list(tmp_path.glob("run.pt.*")))
    assert steps == sorted(steps)
    assert 0 < steps[0] < steps[-1] < 1200
    resumed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert resumed.stdout.strip() == json.dumps(facts(train(config("lstm", steps=1200, diagnostics=True))))
