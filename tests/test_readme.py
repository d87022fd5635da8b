"""What the README shows works as written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MACHINES = (ROOT / "suite/engines/README.md").read_text(encoding="utf-8")
CELL, TASK = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

EXPERIMENT, CLAIM = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)


def test_the_cell_and_the_task_of_the_readme_run_from_ones_own_files(tmp_path: Path) -> None:
    (tmp_path / "my_cell.py").write_text(CELL, encoding="utf-8")
    (tmp_path / "my_task.py").write_text(TASK, encoding="utf-8")
    (tmp_path / "mine.toml").write_text(EXPERIMENT, encoding="utf-8")
    command = [sys.executable, "-m", "suite", "run", "mine.toml", "--steps", "60"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "leaky" in done.stdout


def test_the_claim_of_the_readme_can_be_run(tmp_path: Path) -> None:
    (tmp_path / "my_cell.py").write_text(CELL, encoding="utf-8")
    (tmp_path / "my_claim.toml").write_text(CLAIM, encoding="utf-8")
    command = [sys.executable, "-m", "suite", "claims", "my_claim.toml", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "40 of 40 runs are missing" in done.stdout


@pytest.mark.parametrize(("text", "kind", "name"), [(CELL, "architectures", "leaky"), (TASK, "tasks", "first_symbol")])
def test_dropped_into_the_folder_they_are_found_and_keep_the_contract(
    text: str, kind: str, name: str, tmp_path: Path
) -> None:
    import shutil

    for folder in ("suite", "tasks", "experiments"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    place = tmp_path / ("suite/architectures" if kind == "architectures" else "tasks")
    (place / f"{name}.py").write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    contract = "test_architectures.py" if kind == "architectures" else "test_tasks.py"
    command = [sys.executable, "-m", "pytest", "-q", f"tests/{contract}", "-k", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert re.search(r"[1-9]\d* passed", done.stdout)


def test_every_file_and_command_that_the_readme_names_is_there() -> None:
    from typer.main import get_command

    from suite.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    lines = re.findall(r"(?:^ {4}|srun |')memspan (\w+)([^`\n#']*)", README + MACHINES, re.MULTILINE)
    assert len(lines) > 20
    for name, rest in lines:
        assert name in commands, name
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options, (name, rest)
    for path in re.findall(r"`((?:suite|tasks|experiments|tests|mlruns)/[\w/.]*)`", README):
        assert (ROOT / path).exists() or path.endswith(("leaky.py", "first_symbol.py")), path
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^    make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile
