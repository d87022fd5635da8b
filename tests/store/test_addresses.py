"""Addresses: of any folder, named by whoever gave them, and shown without a part of a password."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from suite.errors import InputError
from suite.store.addresses import check_database_address, check_tracking_address, embedded_address, embedded_file, shown
from suite.store.store import Store
from tests.store.conftest import Call

AWKWARD = ["what?", "a#b", "50%20off", "né é", "a&b=c;d", "it's", "user@host", "a:b", "?mode=memory"]
PASSWORDS = ["sec@ret/pw", "hush@", "@hush", "hu/sh@x", "p?hush=1@x", "hu:sh@x:y"]


@pytest.mark.parametrize("name", AWKWARD)
def test_an_embedded_database_lies_in_its_folder_whatever_the_folder_is_called(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    store = Store(folder)
    store.ledger.fact("a", "1")
    assert Store(folder, reads_only=True).ledger.fact("a") == "1"
    assert embedded_file(make_url(embedded_address(folder / "mlflow.db", timeout="60"))) == folder / "mlflow.db"
    assert {path.name for path in tmp_path.iterdir()} == {name}
    assert {"ledger.db", "memspan.json"} <= {path.name for path in folder.iterdir()}


def test_mlflow_keeps_its_database_and_artifacts_in_such_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")
    folder = tmp_path / "what? 50%20off #é"
    tracking = Store(folder).tracking
    assert tracking.uri.endswith("?timeout=60&uri=true")
    run = tracking.client.create_run(tracking.experiment_id("e"))
    tracking.client.log_dict(run.info.run_id, {}, "x.json")
    assert (folder / "mlflow.db").is_file()
    assert len(list((folder / "artifacts" / "e").rglob("x.json"))) == 1
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, "working"}
    assert not list((tmp_path / "working").iterdir())


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "http"])
def test_no_part_of_a_password_is_shown(password: str, scheme: str) -> None:
    address = f"{scheme}://user:{password}@host/name"
    messages = [shown(address)]
    for check in (check_database_address, check_tracking_address):
        try:
            messages.append(shown(check(address)))
        except InputError as error:
            messages.append(str(error))
    for part in ("sec", "ret", "pw@", "hush", "hu/", "hu:", "sh@"):
        assert not any(part in message.replace("--storage", "") for message in messages), messages


def test_a_password_among_the_options_is_hidden() -> None:
    assert shown("postgresql://host/db?user=me&password=hush") == "postgresql://host/db?password=***&user=me"


@pytest.mark.parametrize("text", ["./mlruns", "databricks", "http://", "ftp://host", "http://host:99999"])
def test_the_message_names_the_variable_that_holds_a_wrong_address(
    text: str, call: Call, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, text)
            code, _, said = call("status", "tiny.toml")
            assert code == 2
            assert variable in said
            assert "--tracking-uri" not in said
            assert "--storage" not in said
    code, _, said = call("status", "tiny.toml", "--tracking-uri", text)
    assert code == 2
    assert "--tracking-uri" in said
    assert "MLFLOW_TRACKING_URI" not in said


@pytest.mark.parametrize("variable", ["MLFLOW_HTTP_REQUEST_TIMEOUT", "MEMSPAN_PATIENCE", "MEMSPAN_CHECKPOINT_SECONDS"])
def test_the_message_names_a_variable_that_holds_no_number(
    variable: str, call: Call, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "soon")
    code, _, said = call("run", "tiny.toml", "--workers", 1, "--seeds", 3)
    assert code == 2
    assert variable in said
    assert "soon" in said


@pytest.mark.parametrize(
    "address",
    [
        "sqlite://",
        "sqlite://me:hush@host/x",
        "sqlite:///what?/x.db",
        "postgresql://host/d?nonsense=1",
        "sqlite:///:memory:",
    ],
)
def test_an_address_that_a_driver_would_refuse_or_misread_is_refused_before_any_work(address: str) -> None:
    with pytest.raises(InputError) as error:
        check_database_address(address)
    assert "hush" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_relative_path_means_the_same_file_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    address = check_database_address("sqlite:///runs.db")
    os.chdir("/")
    assert embedded_file(make_url(address)) == tmp_path / "runs.db"
