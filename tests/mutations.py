"""Files of other people: valid ones in which something was changed at random, and what memspan makes of them.

Every reader gives a result or one message. It never ends in a traceback, writes outside the store, imports what a file
names, or takes very long. ``python -m tests.mutations experiments 3000 --seed 0`` tries many; tests try a few.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import copy
import datetime
import io
import json
import math
import random
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch

from suite.cli import main
from suite.errors import InputError, StoreError
from suite.planning.job import Job
from suite.results import horizon
from suite.results.record import ABOUT, FORMAT, HEADER
from suite.store.environment import environment

LONGEST = 10
"""The seconds after which a reader hangs."""
MOST_MEMORY = 2 * 2**30
"""The bytes that a process may hold."""
EVIL = "evil_module"
"""A module that no reader of a written leaderboard may import."""
WORDS = (
    *("", "x", "overall", "Overall", "con", "NUL.txt", "..", ".", "../../x", "/tmp/outside", "a/b", "a\\b", "a\x00b"),
    *("é", "𝒳" * 60, "x" * 1000, "-x", "x ", "a\nb", "__proto__", ".x:Y", "os:system", "x:", ":", "tests.none:Y"),
    *(f"{EVIL}:Evil", f"{EVIL}.inner:Evil", "optuna.samplers:GridSampler", "optuna.pruners:PatientPruner", "nan", "1"),
)
NUMBERS = (
    *(0, -1, 1, 2, 3, 7, 10**3, 10**4, 10**5, 10**6, 10**7, 10**9, 2**31, 2**53, 2**63 - 1, 2**63, 10**400),
    *(0.5, -0.5, 1e-300, 1e300, -1e308, 1e308, math.inf, -math.inf, math.nan, True, False),
)


few_resamples = mock.patch.object(horizon, "horizons", partial(horizon.horizons, resamples=20))
"""Horizons take most of the time of a leaderboard, and need not be exact here."""


class FaultError(Exception):
    """A reader did what it must not do."""


def other_value(rng: random.Random, *, toml: bool) -> Any:
    """Return any value that a file can hold."""
    kinds: list[Callable[[], Any]] = [
        *[lambda: rng.choice(NUMBERS)] * 4,
        *[lambda: rng.choice(WORDS)] * 3,
        lambda: [rng.choice(NUMBERS) for _ in range(rng.randrange(4))],
        lambda: [rng.choice(WORDS) for _ in range(rng.randrange(4))],
        lambda: {rng.choice(WORDS): rng.choice(NUMBERS)},
        lambda: {},
        lambda: {"low": rng.choice(NUMBERS), "high": rng.choice(NUMBERS)},
        lambda: nested(rng.choice((3, 30, 200))),
        lambda: datetime.date(2026, 1, 1) if toml else None,
    ]
    return rng.choice(kinds)()


def nested(depth: int) -> Any:
    """Return lists inside each other."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def some_place(value: Any, rng: random.Random) -> tuple[Any, Any] | None:
    """Return a container in a value and one of its keys or places, the outer ones as often as the inner ones."""
    found = None
    while isinstance(value, dict | list) and value and (found is None or rng.random() < 0.75):
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        found, value = (value, key), value[key]
    return found


def mutated(value: Any, rng: random.Random, *, toml: bool = False) -> Any:
    """Return a value in which one to three things were replaced, removed, added, renamed, shortened or repeated."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        found = some_place(value, rng)
        if found is None:
            break
        container, key = found
        match rng.randrange(8):
            case 0:
                del container[key]
            case 1 if isinstance(container, dict):
                container[rng.choice(WORDS)] = container.pop(key)
            case 2 if isinstance(container, dict):
                container[rng.choice(WORDS)] = other_value(rng, toml=toml)
            case 3 if isinstance(container, list):
                container.insert(key, copy.deepcopy(container[key]))
            case 4 if isinstance(container[key], list):
                container[key] = container[key][: rng.randrange(len(container[key]) + 1)]
            case 5:
                other, place = some_place(value, rng) or found
                container[key] = copy.deepcopy(other[place])
            case _:
                container[key] = other_value(rng, toml=toml)
    return value


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return bytes of which some were flipped, cut off, repeated or replaced."""
    changed = bytearray(content)
    match rng.randrange(5):
        case 0:
            return content[: rng.randrange(len(content) + 1)]
        case 1:
            return rng.choice((b"", b"hello", b"\0" * 100, b"[" * 10**5, b"\xff\xfe"))
        case 2:
            start = rng.randrange(len(content))
            return content[:start] + content[start : start + 50] + content[start:]
        case _:
            for _ in range(rng.choice((1, 1, 4, 50))):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            return bytes(changed)


def toml_text(tables: dict[str, Any]) -> str:
    """Return tables as TOML, with everything below the first level on one line."""
    return "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in tables.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return value.isoformat() if isinstance(value, datetime.date) else repr(value)


class Answer(NamedTuple):
    """The answer of a command."""

    code: int
    output: str
    error: str


def memspan(*arguments: object) -> Answer:
    """Give a command in this process.

    Raises:
        FaultError: if it ends in a traceback, takes too long, or refuses something in more than one message.
    """
    output, error = io.StringIO(), io.StringIO()
    argv, sys.argv = sys.argv, ["memspan", *map(str, arguments)]
    started = time.process_time()
    try:
        with _limit(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
            main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException as fault:
        raise FaultError("".join(traceback.format_exception(fault))) from fault
    finally:
        sys.argv = argv
    if time.process_time() - started > LONGEST:
        raise FaultError(f"it took {time.process_time() - started:.1f} s")
    answer = Answer(code, output.getvalue(), error.getvalue())
    if code == 2 and len(answer.error.strip().splitlines()) != 1:
        raise FaultError(f"not one message, but {answer.error!r}")
    if code not in (0, 1, 2):
        raise FaultError(f"exit code {code}")
    return answer


@contextlib.contextmanager
def _limit() -> Iterator[None]:
    """Interrupt what hangs."""

    def interrupt(number: int, frame: object) -> None:
        raise TimeoutError(f"it hangs after {3 * LONGEST} s")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, 3 * LONGEST)  # It counts the time of this process, however busy others are.
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def tree(folder: Path) -> dict[str, int]:
    """Return the files below a folder with their sizes."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def sandbox() -> Iterator[Path]:
    """Work in a folder inside a folder, of which only what stands in the inner one may change.

    A module `EVIL` lies there, which nobody may import.

    Raises:
        FaultError: if something outside changed, or the module was imported.
    """
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        outer = Path(name)
        inner = outer / "a" / "b"
        inner.mkdir(parents=True)
        (inner / f"{EVIL}.py").write_text(f"import sys\nsys.{EVIL} = True\n", encoding="utf-8")
        sys.path.append(str(inner))
        try:
            with contextlib.chdir(inner), few_resamples:
                yield inner
        finally:
            sys.path.remove(str(inner))
        outside = {path for path in tree(outer) if not path.startswith("a/b/")}
        if outside:
            raise FaultError(f"written outside: {outside}")


# The readers ---------------------------------------------------------------------------------------------------------

EXPERIMENT: dict[str, Any] = {
    "title": "Two nets",
    "tasks": {
        "adding": {"length": 8, "test_lengths": [12]},
        "memory": {"task": "sequence_memory", "length": 9, "lag": [2, 4], "training": {"steps": 30}},
        "sizes": {"task": "counting", "length": 12, "train_size": [50, 100]},
        "parity": {
            "task": "state_tracking",
            "length": {"low": 3, "high": 9},
            "test_lengths": [12],
            "training": {"steps": 30},
        },
    },
    "architectures": {
        "rnn": {"init": "orthogonal"},
        "wide": {"architecture": "lstm", "hidden_size": 12, "training": {"clip": math.inf}},
        "mlp": {"window": 3, "depth": 2},
    },
    "model": {"parameters": 2000},
    "training": {"steps": 40, "batch_size": 8, "learning_rate": 0.01, "optimizer": "adam", "warmup": 5, "alpha": 0.9},
    "sweep": {
        "trials": 3,
        "seed": 900,
        "sampler": "sobol",
        "pruner": "none",
        "finalists": 2,
        "space": {
            "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
            "optimizer": ["adam", "sgd"],
            "schedule": ["constant", "cosine"],
            "warmup": {"low": 0, "high": 20},
            "forget_bias": [0.0, 1.0],
            "delay": {"low": 0, "high": 2},
        },
    },
    "evaluation": {"seeds": [0, 1, 2]},
}
CLAIM: dict[str, Any] = {
    "statement": "One is better",
    "source": "nobody",
    "measure": "test_skill",
    "direction": "above",
    "margin": 0.02,
    "comparisons": [{"first": "rnn", "second": "wide", "tasks": ["adding"]}, {"first": "rnn", "value": 0.1}],
    "budget": {"small": {"seeds": 3, "trials": 2}},
    "experiment": {key: EXPERIMENT[key] for key in ("tasks", "architectures", "model", "sweep")},
}


def experiment_text(rng: random.Random, base: dict[str, Any] = EXPERIMENT) -> bytes:
    """Return a mutated experiment or claim as a file."""
    if rng.randrange(10):
        return toml_text(mutated(base, rng, toml=True)).encode(errors="surrogatepass")
    return damaged(toml_text(base).encode(), rng)


def planned(path: Path) -> str:
    """Plan the runs of an experiment."""
    from suite.experiment.loading import load
    from suite.planning.plan import Plan, studies

    experiment = load(path)
    return f"{len(Plan(experiment, studies(experiment), {}).missing())} runs"


def planned_claim(path: Path) -> str:
    """Plan the runs of a claim for its budgets."""
    from suite.claims.claim import load
    from suite.planning.plan import studies

    claim = load(str(path))
    return ", ".join(str(len(studies(claim.experiment_with(budget)))) for budget in claim.budget)


def message_of(read: Callable[[], str]) -> str:
    """Read a file, and return the message with which it is refused; empty if it is not.

    Raises:
        FaultError: if reading ends in any other way than memspan's own, takes too long, or gives several messages.
    """
    started = time.process_time()
    try:
        with _limit():
            read()
        message = ""
    except (InputError, StoreError) as error:
        message = str(error)
    except BaseException as fault:
        raise FaultError("".join(traceback.format_exception(fault))) from fault
    if time.process_time() - started > LONGEST:
        raise FaultError(f"it took {time.process_time() - started:.1f} s")
    if "\n" in message or len(message) > 3000:
        raise FaultError(f"not one short message, but {message[:500]!r}")
    return message


def try_experiment(folder: Path, rng: random.Random) -> str:
    """Plan a mutated experiment."""
    (folder / "mutated.toml").write_bytes(experiment_text(rng))
    return message_of(lambda: planned(folder / "mutated.toml"))


def try_claim(folder: Path, rng: random.Random) -> str:
    """Plan a mutated claim."""
    (folder / "mutated.toml").write_bytes(experiment_text(rng, CLAIM))
    return message_of(lambda: planned_claim(folder / "mutated.toml"))


@cache
def written() -> dict[str, bytes]:
    """Return the manifest, the runs, the table and a model of a leaderboard whose runs were made up."""
    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.leaderboards.proof.manifest import MANIFEST_FILE, RUNS_FILE, build_manifest, manifest_text, origin_of
    from suite.leaderboards.text.render import as_json
    from suite.results.record import Record
    from tests.synthetic import made_up

    def metrics(job: Job) -> dict[str, float]:
        skill = random.Random(job.key).random()
        return {"skill": skill, "skill_at_length_12": skill / 2, "steps_to_solve": 20.0}

    record = Record.of(made_up(EXPERIMENT, metrics), {"": environment()})
    manifest = build_manifest(record)
    with tempfile.TemporaryDirectory() as folder:
        record.write(Path(folder) / RUNS_FILE, origin_of(manifest))
        runs = (Path(folder) / RUNS_FILE).read_bytes()
    table = as_json(build_leaderboard(record)).encode()
    return {MANIFEST_FILE: manifest_text(manifest).encode(), RUNS_FILE: runs, "leaderboard.json": table}


def foreign(manifest: bytes) -> bytes:
    """Return a manifest in which a row and a task are of modules outside memspan."""
    text = manifest.decode().replace('"architecture": "lstm"', f'"architecture": "{EVIL}:Evil"')
    return text.replace('"task": "counting"', f'"task": "{EVIL}:Task"').encode()


def sealed(data: Any) -> Any:
    """Return a manifest whose digests fit, as far as it is one."""
    from suite.experiment.run_config import canonical_json, digest
    from suite.leaderboards.proof import manifest as manifests

    with contextlib.suppress(Exception):
        for row in data["rows"]:
            row["digests"] = manifests.run_digests(row)
        data["digests"] = {name: digest(canonical_json(data[name])) for name in manifests.SECTIONS}
        data["digest"] = manifests.combined_digest(data["digests"])
    return data


def said_of(table: Any) -> Any:
    """Return what a file of runs says of them, from its table."""
    return json.loads(zlib.decompress(base64.b64decode(table.schema.metadata[ABOUT])))


def metadata_of(about: Any) -> dict[bytes, bytes]:
    """Return the entries of a file of runs that says this of them."""
    packed = base64.b64encode(zlib.compress(json.dumps(about).encode()))
    return {HEADER: json.dumps({"format": FORMAT}).encode(), ABOUT: packed}


def look_at(folder: Path, rng: random.Random) -> str:
    """Give the commands that look at a written leaderboard, one of them at random, and return what they refuse."""
    match rng.randrange(8):
        case 0:
            answer = memspan("leaderboard", folder, "--output", "out")
        case 1 | 2:
            answer = memspan("compare", folder, folder, "--json")
        case 3 | 4 | 5:
            return message_of(lambda: checked(folder))
        case _:
            answer = memspan("leaderboard", folder, *rng.choice(((), ("--json",))))
    if hasattr(sys, EVIL):
        del sys.evil_module
        raise FaultError("imported what a file names")
    return answer.error if answer.code == 2 else ""


def checked(folder: Path) -> str:
    """Verify a written leaderboard, without training it again."""
    from suite.leaderboards.proof.checks import check_manifest
    from suite.leaderboards.proof.manifest import read_manifest
    from suite.leaderboards.proof.trust import choose_rows

    manifest = read_manifest(folder)
    return str(check_manifest(manifest, choose_rows(manifest, "1")).wrong)


def try_manifest(folder: Path, rng: random.Random) -> str:
    """Look at a leaderboard with a mutated manifest."""
    content = written()["manifest.json"]
    content = foreign(content) if rng.randrange(2) else content
    if rng.randrange(8):
        data = mutated(json.loads(content), rng)
        content = json.dumps(sealed(data) if rng.randrange(2) else data).encode()
    else:
        content = damaged(content, rng)
    (folder / "manifest.json").write_bytes(content)
    return look_at(folder, rng)


def try_runs(folder: Path, rng: random.Random) -> str:
    """Look at a leaderboard with a mutated file of runs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "runs.parquet"
    (folder / "manifest.json").write_bytes(written()["manifest.json"])
    content = written()["runs.parquet"]
    if rng.randrange(3):
        table = pq.read_table(io.BytesIO(content))
        columns = table.to_pydict()
        about = said_of(table)
        if rng.randrange(2):
            about = mutated(about, rng)
        else:
            columns = mutated(columns, rng)
        try:
            changed = pa.table(columns)
        except Exception:  # Such a table cannot be a file.
            changed = table
        whole = {HEADER: json.dumps(about).encode()}  # as in format 1
        pq.write_table(changed.replace_schema_metadata(rng.choice([whole, metadata_of(about)])), path)
    else:
        path.write_bytes(damaged(content, rng))
    return look_at(folder if rng.randrange(2) else path, rng)


def try_table(folder: Path, rng: random.Random) -> str:
    """Verify a leaderboard whose table in JSON was mutated."""
    (folder / "manifest.json").write_bytes(written()["manifest.json"])
    content = written()["leaderboard.json"]
    changed = json.dumps(mutated(json.loads(content), rng)).encode() if rng.randrange(3) else damaged(content, rng)
    (folder / "leaderboard.json").write_bytes(changed)
    return message_of(lambda: checked(folder))


@cache
def model() -> dict[str, Any]:
    """Return the content of a model file."""
    from suite.experiment.loading import parse
    from suite.model.model_file import SavedModel, pack
    from suite.model.sequence_model import model_of
    from suite.planning.plan import studies
    from suite.registry import make_task

    study = studies(parse(EXPERIMENT, "made_up"))[0]
    config = study.config(study.defaults, 0)
    net = model_of(config.model, make_task(config.task.name, config.task.options), seed=0)
    labels = {"experiment": "made_up", "architecture": "rnn", "task": "adding"}
    saved = SavedModel(config=config, weights=net.state_dict(), metrics={"test_skill": 0.5}, packages={}, **labels)
    content: dict[str, Any] = torch.load(io.BytesIO(pack(saved)), weights_only=True)
    return content


def try_model(folder: Path, rng: random.Random) -> str:
    """Load a mutated model file."""
    from suite.model.model_file import load

    content = copy.deepcopy(model())
    config = json.loads(content["config"])
    if rng.randrange(2):
        content["config"] = json.dumps(mutated(config, rng))
    else:
        content = mutated(content, rng)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    whole = buffer.getvalue()
    (folder / "model.pt").write_bytes(whole if rng.randrange(4) else damaged(whole, rng))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The source of a model may have changed.
        return message_of(lambda: str(load(folder / "model.pt")))


@cache
def ledger() -> bytes:
    """Return a ledger in which every run of an experiment was made up."""
    from suite.store.ledger import Ledger
    from tests.synthetic import made_up

    plan = made_up(EXPERIMENT, lambda job: {"skill": 0.5})
    runs = [
        ({"key": key, "study": "s", "role": "trial", "number": i, "run_id": str(i)}, outcome)
        for i, (key, outcome) in enumerate(plan.finished.items())
    ]
    with tempfile.TemporaryDirectory() as folder:
        made = Ledger(f"sqlite:///{folder}/ledger.db")
        made.add_finished("made_up", runs)
        made.engine.dispose()
        for journal in ("-wal", "-shm"):
            assert not Path(f"{folder}/ledger.db{journal}").exists()
        return Path(f"{folder}/ledger.db").read_bytes()


def try_ledger(folder: Path, rng: random.Random) -> str:
    """Print the leaderboard of a store whose ledger was mutated."""
    store = folder / "store"
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir()
    (store / "memspan.json").write_text('{"format": 1}', encoding="utf-8")
    (folder / "made_up.toml").write_text(toml_text(EXPERIMENT), encoding="utf-8")
    (store / "ledger.db").write_bytes(ledger() if rng.randrange(3) else damaged(ledger(), rng))
    values = (*WORDS, "[]", "{}", '{"test_skill": "x"}', "{", None, b"\xff", 2**62)
    if (store / "ledger.db").read_bytes() == ledger():
        with contextlib.closing(sqlite3.connect(store / "ledger.db")) as connection, connection:
            column = rng.choice(("metrics", "curves", "environment", "state", "number", "key", "run_id"))
            with contextlib.suppress(sqlite3.IntegrityError):  # The table does not hold this value.
                connection.execute(f"update memspan_runs set {column} = ? where number < ?", (rng.choice(values), 3))
    answer = memspan(rng.choice(("leaderboard", "status")), "made_up.toml", "--store", "store")
    return answer.error if answer.code else ""


READERS: dict[str, Callable[[Path, random.Random], str]] = {
    "experiments": try_experiment,
    "claims": try_claim,
    "manifests": try_manifest,
    "runs": try_runs,
    "tables": try_table,
    "models": try_model,
    "ledgers": try_ledger,
}


def try_many(reader: str, count: int, seed: int, show: Callable[[str], None]) -> Counter[str]:
    """Give ``count`` mutated files to a reader, and return how many were read, refused, and at fault."""
    counts: Counter[str] = Counter()
    with sandbox() as folder:
        for number in range(seed, seed + count):
            try:
                message = READERS[reader](folder, random.Random(number))
                counts["refused" if message else "read"] += 1
            except FaultError as fault:
                counts["at fault"] += 1
                show(f"seed {number}: {fault}")
    return counts


def run() -> None:
    """Give mutated files to a reader, as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts = try_many(options.reader, options.count, options.seed, print)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{options.reader}: {dict(counts)}, at most {memory:.1f} GiB")
    sys.exit(1 if counts["at fault"] or memory > MOST_MEMORY / 2**30 else 0)


if __name__ == "__main__":
    run()
