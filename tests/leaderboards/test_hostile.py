"""Hostile boards: whatever a folder from elsewhere holds, looking at it runs nothing of it, and says one thing.

`test_written_and_read` changes boards at random, and `test_page_text` has the page. Here each attack is meant. Its
digests fit, so that nothing but the attack can be refused.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import shutil
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from suite.errors import InputError
from suite.experiment.run_config import canonical_json
from suite.leaderboards.files import write
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.proof.manifest import MANIFEST_FILE, RUNS_FILE
from suite.results import recorded
from suite.results.record import ABOUT, FORMAT, HEADER, Record
from tests.leaderboards.test_growing import drawn
from tests.leaderboards.test_proof import sealed
from tests.mutations import Answer, memspan, metadata_of, said_of
from tests.synthetic import made_up

TABLES: dict[str, Any] = {
    "title": "Honest",
    "tasks": {"adding": {"length": 8}, "count": {"task": "counting", "length": 12}},
    "architectures": {"rnn": {}, "theirs": {"architecture": "gru"}},
    "model": {"hidden_size": 4},
    "training": {"steps": 4, "validate_every": 2, "validation_size": 8, "test_size": 8},
    "sweep": {"trials": 2, "space": {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}}},
    "evaluation": {"seeds": 2},
}
TRAP = "trap_module"
"""A module beside the boards that leaves a mark when it is imported, and then never ends."""
OF_RUNS: dict[str, tuple[str, ...]] = {
    "leaderboard": ("leaderboard", "bad", "--output", "out"),
    "compare": ("compare", "bad", "good"),
    "compare the other way": ("compare", "good", "bad", "--json"),
    "merge": ("merge", "bad", "good", "--output", "out"),
    "add": ("add", "bad", "lstm", "--output", "out", "--dry-run"),
}
"""The commands that read the file of runs of a written board."""
READERS = {**OF_RUNS, "verify": ("verify", "bad", "--workers", "1"), "index": ("index", ".", "--output", "out")}
"""Every command that reads a written board."""


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board whose runs were made up."""
    folder = tmp_path_factory.mktemp("honest") / "board"
    write(build_leaderboard(Record.of(made_up(copy.deepcopy(TABLES), drawn))), folder)
    return folder


@pytest.fixture
def bad(honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the board, to be made hostile. Afterwards nothing was imported, or written beside ``out``."""
    inside = tmp_path / "a" / "b"
    for name in ("good", "bad"):
        shutil.copytree(honest, inside / name)
    (inside / f"{TRAP}.py").write_text("open('imported', 'w').close()\nwhile True:\n    pass\n", encoding="utf-8")
    (tmp_path / "precious").write_text("precious", encoding="utf-8")
    monkeypatch.chdir(inside)
    monkeypatch.syspath_prepend(str(inside))
    yield inside / "bad"
    assert TRAP not in sys.modules
    names = {path.relative_to(tmp_path).parts[:3] for path in tmp_path.rglob("*")}
    allowed = [("precious",), ("a",), ("a", "b"), *(("a", "b", name) for name in ("good", "bad", "out", f"{TRAP}.py"))]
    assert names <= {*allowed, ("a", "b", "bad.zip"), ("a", "b", "bad.tar")}
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "precious"


def ask(reader: str) -> Answer:
    """Give a command, which ends by itself within seconds, with one message if it refuses, and changes no terminal."""
    answer = memspan(*READERS[reader])
    assert not re.search("[\x00-\x08\x1b]", answer.output + answer.error)
    return answer


def refused(message: str, readers: Iterable[str] = READERS) -> None:
    """Hold commands to one message that says this, and to writing nothing."""
    for reader in readers:
        answer = ask(reader)
        assert (answer.code, bool(re.search(message, answer.error))) == (2, True), (reader, answer)
        assert not Path("out").exists(), reader


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return a value in which names are others wherever they stand: as keys, as texts, in paths and in JSON texts."""
    if isinstance(value, dict):
        return {renamed(key, names): renamed(part, names) for key, part in value.items()}
    if isinstance(value, list):
        return [renamed(part, names) for part in value]
    if isinstance(value, str) and value.startswith("{"):
        return canonical_json(renamed(json.loads(value), names))
    return "/".join(names.get(part, part) for part in value.split("/")) if isinstance(value, str) else value


def change(names: dict[str, str], alter: Callable[[dict[str, Any]], object] = lambda data: None) -> None:
    """Make ``bad`` anew from ``good``, with other names and what ``alter`` does. All digests of its manifest fit."""
    bad = Path("bad")
    table = pq.read_table(Path("good") / RUNS_FILE)
    about = renamed(said_of(table), names)
    data = renamed(json.loads((Path("good") / MANIFEST_FILE).read_text(encoding="utf-8")), names)
    alter(data)
    alter(about)
    (bad / MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    write_runs(pa.table(renamed(table.to_pydict(), names), schema=table.schema), about)


def write_runs(table: pa.Table, about: Any) -> None:
    path = Path("bad") / RUNS_FILE
    pq.write_table(table.replace_schema_metadata(metadata_of(about)), path, compression="zstd")


# ── Names and labels


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a\0b", "a\nb", "\x1b[31mb", "<b>", "[red]x[/red]", "**x** | y"])
@pytest.mark.usefixtures("bad")
def test_no_name_is_a_path_or_markup(name: str) -> None:
    rule = "text has no control characters|has letters, digits|no row|are not those of"
    for old, readers in (("made_up", READERS), ("theirs", ("leaderboard", "verify")), ("count", ("merge", "index"))):
        change({old: name})
        refused(rule, readers)


@pytest.mark.usefixtures("bad")
def test_texts_with_markup_are_texts() -> None:
    hostile = "<script>alert(1)</script> [red]x[/red] [link=file:///]y[/link] **b** | `c`"

    def alter(data: dict[str, Any]) -> None:
        data["experiment"] |= {"title": hostile, "description": hostile}

    change({}, alter)
    for reader in READERS:
        answer = ask(reader)
        assert answer.code == (1 if reader == "verify" else 0), (reader, answer)
        out = Path("out")
        for page in out.glob("*.html") if out.is_dir() else [out] if out.exists() else ():
            assert "<script>alert" not in page.read_text(encoding="utf-8")
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    change({}, lambda data: data["experiment"].update(title="\x1b]0;x\x07"))
    refused("a text has no control characters")


# ── Code


@pytest.mark.parametrize("foreign", ["os:system", f"{TRAP}:Cell", f"{TRAP}.inner:Cell"])
@pytest.mark.parametrize("old", ["gru", "counting", "sampler"])
@pytest.mark.usefixtures("bad")
def test_no_class_that_a_board_names_is_imported(foreign: str, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.system", lambda command: pytest.fail("it was executed"))
    if old == "sampler":
        change({}, lambda data: data["experiment"]["sweep"].update(sampler=foreign))
    else:
        change({old: foreign})
    for reader in READERS:
        answer = ask(reader)
        if reader == "merge":  # The honest board has another row, task or sampler there.
            assert (answer.code, foreign in answer.error) == (2, True), answer
        elif reader == "add" and old != "gru":
            assert f"names code from outside memspan: {foreign!r}" in answer.error
        elif reader == "verify":
            assert f"import {foreign}" in " ".join((answer.output + answer.error).split())
        else:
            assert answer.code == 0, (reader, answer)
        shutil.rmtree("out") if Path("out").is_dir() else Path("out").unlink(missing_ok=True)


# ── Files


def test_a_file_that_is_too_large_is_refused_by_its_size(bad: Path) -> None:
    enormous = 2**38
    (bad / MANIFEST_FILE).open("wb").truncate(200 * 2**20)
    refused("too large: the manifest 'bad/manifest.json' has at most 64 MiB")
    shutil.copy(Path("good") / MANIFEST_FILE, bad)
    for name in ("leaderboard.md", "leaderboard.tex", "leaderboard.json", "index.html", RUNS_FILE):
        (bad / name).open("wb").truncate(enormous)
        answer = ask("verify")
        assert answer.code == 1, (name, answer)
        assert name in answer.output
        assert "wrong" in answer.output
    refused("not a file of runs", OF_RUNS)


def test_digests_that_do_not_fit_are_told(bad: Path) -> None:
    file = bad / MANIFEST_FILE
    file.write_text(file.read_text(encoding="utf-8").replace('"Honest"', '"Better"'), encoding="utf-8")
    refused("was changed after it was written: the section 'experiment'", ("merge", "add", "index"))
    assert "wrong: changed after it was written" in ask("verify").output
    for reader in ("leaderboard", "compare", "compare the other way"):  # They show what is there, and say so.
        answer = ask(reader)
        assert answer.code == 0
        assert answer.error.count("was changed after it was written") == 1


def of_text(table: pa.Table, about: Any) -> None:
    (Path("bad") / RUNS_FILE).write_text("PAR1 and nothing else PAR1", encoding="utf-8")


def without_a_column(table: pa.Table, about: Any) -> None:
    write_runs(table.drop_columns(["seed"]), about)


def of_other_types(table: pa.Table, about: Any) -> None:
    write_runs(table.set_column(0, "study", pa.array(range(len(table)))), about)


def of_too_many_rows(table: pa.Table, about: Any) -> None:
    rows = pa.table({name: pa.nulls(recorded.MOST_RUNS, pa.string()) for name in table.column_names})
    schema = rows.schema.with_metadata({b"memspan": json.dumps(about).encode()})
    with pq.ParquetWriter(Path("bad") / RUNS_FILE, schema) as file:
        for _ in range(3):
            file.write_table(rows.cast(schema))


def of_one_long_text(table: pa.Table, about: Any) -> None:
    """A text of a megabyte that a dictionary holds once is sixteen gigabytes in as many rows."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 2**14, pa.int32()), pa.array(["x" * 2**20]))
    nulls = pa.nulls(len(text), pa.string())
    write_runs(pa.table({name: text if name == "curves" else nulls for name in table.column_names}), about)


def of_a_large_description(table: pa.Table, about: Any) -> None:
    write_runs(table, {**about, "more": " " * 2**26})


def with_a_packed(table: pa.Table, about: bytes) -> None:
    metadata = {HEADER: json.dumps({"format": FORMAT}), ABOUT: base64.b64encode(about)}
    pq.write_table(table.replace_schema_metadata(metadata), Path("bad") / RUNS_FILE)


def of_a_packed_description_of_a_gigabyte(table: pa.Table, about: Any) -> None:
    with_a_packed(table, zlib.compress(b" " * 2**30, 1))


def of_a_packed_description_that_is_none(table: pa.Table, about: Any) -> None:
    with_a_packed(table, b"not packed at all")


def test_a_file_of_a_newer_version_says_so_whatever_else_it_has(tmp_path: Path) -> None:
    table = pa.table({"study": ["a"]})
    metadata = {HEADER: json.dumps({"format": FORMAT + 1}), ABOUT: b"packed in another way"}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / RUNS_FILE)
    with pytest.raises(InputError, match="it was written by a newer memspan; upgrade this one"):
        Record.read(tmp_path / RUNS_FILE)


def test_an_earlier_file_stays_until_the_new_one_is_whole(bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bad / RUNS_FILE
    record, before = Record.read(path), path.read_bytes()

    def fail(*arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(pq.ParquetWriter, "add_key_value_metadata", fail)
    with pytest.raises(OSError, match="the disk is full"):
        record.write(path, {})
    assert path.read_bytes() == before
    assert [each.name for each in bad.iterdir() if each.name.startswith(RUNS_FILE)] == [RUNS_FILE]


def of_a_packed_description_that_is_cut_off(table: pa.Table, about: Any) -> None:
    with_a_packed(table, zlib.compress(json.dumps(about).encode())[:-4])


@pytest.mark.usefixtures("bad")
@pytest.mark.parametrize(
    "spoil",
    [
        of_text,
        without_a_column,
        of_other_types,
        of_too_many_rows,
        of_one_long_text,
        of_a_large_description,
        of_a_packed_description_of_a_gigabyte,
        of_a_packed_description_that_is_none,
        of_a_packed_description_that_is_cut_off,
    ],
)
def test_a_file_of_runs_that_is_none_is_refused(spoil: Callable[[pa.Table, Any], None]) -> None:
    change({})
    table = pq.read_table(Path("good") / RUNS_FILE)
    spoil(table, said_of(table))
    refused("is not a file of runs|is too large", OF_RUNS)
    answer = ask("verify")  # Its runs are those of the manifest, so it says what is wrong and trains nothing.
    assert (answer.code, "wrong: 'bad/runs.parquet' is" in " ".join(answer.output.split())) == (1, True), answer


def test_no_archive_is_unpacked(bad: Path) -> None:
    with zipfile.ZipFile("bad.zip", "w") as file:
        file.writestr("../../precious", "spoilt")
        file.writestr(MANIFEST_FILE, (bad / MANIFEST_FILE).read_bytes())
    with tarfile.open("bad.tar", "w") as file:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../precious"
        file.addfile(link)
    for archive in ("bad.zip", "bad.tar"):
        for arguments in READERS.values():
            answer = memspan(*(archive if each in ("bad", ".") else each for each in arguments))
            assert (answer.code, Path("out").exists()) == (2, False), answer


def test_nothing_is_written_through_a_link(bad: Path) -> None:
    (bad / "leaderboard.md").unlink()
    (bad / "leaderboard.md").symlink_to("../../../precious")
    for arguments in (("merge", "bad", "good"), ("leaderboard", "good")):
        answer = memspan(*arguments, "--output", "bad")
        assert (answer.code, "leaderboard.md" in answer.error) == (2, True), answer
