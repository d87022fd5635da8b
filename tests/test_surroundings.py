"""A command works whatever surrounds it: streams that take nothing, few characters, and users without a home."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import memspan
from suite.store.store import Store
from suite.surroundings import give_home
from tests.test_interface import EXPERIMENT

ROOT = Path(__file__).parent.parent
MEMSPAN = f"{sys.executable} -P -m memspan"
FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(EXPERIMENT.replace("my_cell:Echo", "gru"), encoding="utf-8")
    return tmp_path


def shell(script: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
    )


def runs_recorded(folder: Path) -> int:
    return len(Store(folder / "mlruns").finished("mine"))


# characters ----------------------------------------------------------------------------------------------------------


def test_characters_that_an_encoding_lacks_are_escaped_in_what_is_shown(tmp_path: Path) -> None:
    shown = shell(f"{MEMSPAN} list rnn | iconv -f cp1252 -t utf-8", tmp_path, PYTHONIOENCODING="cp1252")
    assert shown.returncode == 0, shown.stderr
    assert "h_t = \\u03c6(W x_t + U h_{t\\u22121} + b)" in shown.stdout


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""},
        {"PYTHONIOENCODING": "ascii:strict", "PYTHONUNBUFFERED": "1"},
        {"PYTHONIOENCODING": "utf-8"},
    ],
    ids=lambda variables: " ".join(variables),
)
def test_json_is_the_same_in_every_encoding(variables: dict[str, str], tmp_path: Path) -> None:
    text = "− σ 𝔸 \udc80"  # The last one stands for a byte of a file name that is not UTF-8.
    program = "from suite.surroundings import protect_streams; import json; protect_streams()"
    program += f"; print(json.dumps({text!a}, ensure_ascii=False))"
    shown = shell(f"{sys.executable} -P -c {shlex.quote(program)}", tmp_path, **variables)
    assert json.loads(shown.stdout) == text


# streams -------------------------------------------------------------------------------------------------------------


@needs_full
@pytest.mark.parametrize(("streams", "workers", "code"), [(">&- 2>&- <&-", 2, 0), ("> /dev/full 2>&1", 1, 1)])
def test_a_run_whose_log_cannot_be_written_is_recorded_all_the_same(
    streams: str, workers: int, code: int, folder: Path
) -> None:
    ran = shell(f"{MEMSPAN} run mine.toml --workers {workers} {streams}", folder)
    assert ran.returncode == code
    assert runs_recorded(folder) == 2


@needs_full
def test_output_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    full = shell(f"{MEMSPAN} list > /dev/full", tmp_path)
    assert full.returncode == 1
    assert full.stderr == "memspan: stdout cannot be written: No space left on device\n"


def test_a_reader_may_leave(tmp_path: Path) -> None:
    read = shell(f"set -o pipefail; {MEMSPAN} list 2>&1 | head -1", tmp_path)
    assert (read.returncode, read.stdout.strip()) == (0, "architectures")


# folders -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["-a 'b' \"c\" ?d#e%41&f;g $h :i\\n\\tü", "%2e", "a?b=c&mode=ro"])
def test_the_name_of_the_working_folder_may_be_anything(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = folder / name
    working.mkdir()
    shutil.move(folder / "mine.toml", working)
    monkeypatch.chdir(working)
    ran = memspan.run("mine.toml")
    assert ran.equals(memspan.leaderboard("mine.toml"))
    assert runs_recorded(working) == 2
    assert os.listdir(folder) == [name], "nothing lies elsewhere"
    assert sorted(os.listdir(working)) == ["mine.toml", "mlruns"]


# homes ---------------------------------------------------------------------------------------------------------------


def test_a_user_without_a_home_gets_one_that_nobody_else_owns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("HOME", "/home/somebody")
    give_home()
    assert os.environ["HOME"] == "/home/somebody"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 987_654)  # This number has no name.
    give_home()
    assert os.environ["HOME"] == str(tmp_path / "memspan-987654")
    assert (tmp_path / "memspan-987654").stat().st_mode & 0o777 == 0o700
    monkeypatch.delenv("HOME")
    give_home()  # This folder belongs to the real user of this test, and so to somebody else.
    assert "HOME" not in os.environ


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user")
def test_another_user_may_have_no_home_and_write_nothing_but_the_store(folder: Path) -> None:
    """The user is only a number, who may read everything. Nothing that is installed can be written, nor any cache."""
    with tempfile.TemporaryDirectory() as name:  # Other users cannot reach the folders of pytest.
        shutil.copy(folder / "mine.toml", name)
        Path(name).chmod(0o777)
        user = "setpriv --reuid=54321 --regid=54321 --clear-groups --inh-caps=+dac_read_search"
        user += f" --ambient-caps=+dac_read_search env -u HOME TMPDIR={name}"
        ran = shell(f"{user} {MEMSPAN} run mine.toml --workers 1 --quiet", Path(name))
        assert (ran.returncode, ran.stderr) == (0, "")
        assert runs_recorded(Path(name)) == 2
