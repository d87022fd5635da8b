"""The script for Slurm in the guide to many machines runs, as far as one machine can tell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from suite.store.store import Store
from tests.test_interface import EXPERIMENT

ROOT = Path(__file__).parents[2]
SRUN = """#!/bin/bash
for task in 3 4; do
    SLURM_JOB_ID=7 SLURM_JOB_NAME=memspan SLURM_NTASKS=16 SLURM_PROCID=$task SLURM_LOCALID=$task SLURM_NODEID=0 "$@" &
done
wait -n && wait -n
"""
"""A stand-in for Slurm's own: it starts two of the sixteen tasks, with the variables that Slurm sets for each."""
MEMSPAN = f"""#!/bin/bash
exec {sys.executable} -P -m memspan "$@"
"""


def script_below(heading: str) -> str:
    """The first script of a section of the guide."""
    guide = (ROOT / "suite/engines/README.md").read_text(encoding="utf-8")
    section = guide.partition(f"\n## {heading}\n")[2]
    lines = re.search(r"^ {4}#!/bin/bash\n(?: {4}.*\n)+", section, re.MULTILINE)
    assert lines is not None
    return re.sub(r"^ {4}", "", lines[0], flags=re.MULTILINE)


def test_the_tasks_of_a_slurm_job_share_the_runs(tmp_path: Path) -> None:
    script = script_below("Slurm")
    for shown, here in {
        "postgresql://memspan:choose-one@head/memspan": f"sqlite:///{tmp_path}/shared.db",
        " MLFLOW_TRACKING_URI=http://head:5000": "",  # MLflow's file in the folder that both tasks see
        "memspan run quick": "memspan run mine.toml",
    }.items():
        assert shown in script
        script = script.replace(shown, here)
    (tmp_path / "mine.toml").write_text(EXPERIMENT.replace("my_cell:Echo", "gru"), encoding="utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"srun": SRUN, "memspan": MEMSPAN, "job": script}.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    variables = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    job = subprocess.run(
        ["bash", "bin/job"], cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True, timeout=240
    )
    assert job.returncode == 0, job.stderr
    assert "it will be tried again" not in job.stderr
    store = Store(tmp_path / "memspan", f"sqlite:///{tmp_path}/shared.db")
    assert len(store.finished("mine")) == 2
