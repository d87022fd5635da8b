"""One run is one process on one device, whatever launcher has started it, and gives the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from suite.training.train import train
from tests.training.test_checkpoint import config, facts

LAUNCHERS = {
    "srun": {
        **{"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "memspan", "SLURM_NTASKS": "16", "SLURM_NTASKS_PER_NODE": "8"},
        **{"SLURM_PROCID": "3", "SLURM_LOCALID": "3", "SLURM_NODEID": "1", "SLURM_NODELIST": "node[1-2]"},
    },
    "torchrun": {
        **{"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"},
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none"},
    },
    "mpirun": {
        **{"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "1"},
        **{"PMI_SIZE": "4", "PMI_RANK": "1", "PMIX_RANK": "1", "MV2_COMM_WORLD_SIZE": "4", "MV2_COMM_WORLD_RANK": "1"},
    },
    "jsrun": {
        **{"LSB_JOBID": "7", "LSB_DJOB_RANKFILE": "/nowhere", "JSM_NAMESPACE_SIZE": "4"},
        **{"JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_LOCAL_RANK": "1"},
    },
    "Kubeflow": {"KUBERNETES_PORT": "tcp://10.0.0.1:443", "MASTER_ADDR": "x", "MASTER_PORT": "1", "WORLD_SIZE": "2"},
    "XLA": {"XRT_TPU_CONFIG": "tpu_worker;0;10.0.0.1:8470", "TPU_WORKER_ID": "1", "PJRT_DEVICE": "TPU"},
    "somebody, who calls a rank by a word": {"RANK": "first", "LOCAL_RANK": "", "WORLD_SIZE": "many"},
    "somebody, with options for Lightning": {
        **{"PL_TRAINER_FAST_DEV_RUN": "True", "PL_TRAINER_LIMIT_TRAIN_BATCHES": "1", "PL_TRAINER_NUM_NODES": "2"},
        **{"PL_TRAINER_MAX_STEPS": "1", "PL_TRAINER_PRECISION": "64", "PL_TRAINER_ACCUMULATE_GRAD_BATCHES": "2"},
    },
}
"""The variables that each launcher sets for one of its processes."""
MPI = "class MPI:\n class COMM_WORLD:\n  Get_size = staticmethod(lambda: 4)\n  Get_rank = staticmethod(lambda: 1)\n"
PROGRAM = """
import json
from suite.training.train import train
from tests.training.test_checkpoint import config, facts
print(json.dumps(facts(train(config()))))
"""


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_run_is_one_process_whatever_launcher_has_started_it(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = facts(train(config()))
    for name, value in LAUNCHERS[launcher].items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    assert facts(train(config())) == alone
    assert dict(os.environ) == before, "the programs that a task starts see the launcher's variables too"


def test_lightning_is_not_told_the_launcher_when_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "mpi4py.py").write_text(MPI, encoding="utf-8")
    variables = {name: value for launcher in LAUNCHERS.values() for name, value in launcher.items()}
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(tmp_path)])
    ran = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        env={**os.environ, **variables, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert json.loads(ran.stdout) == json.loads(json.dumps(facts(train(config()))))
