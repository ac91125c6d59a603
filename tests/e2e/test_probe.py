"""`finer probe` on several processes, killed and taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from finer_tasks.probe.results import read_probe
from tests.e2e.commands import BIN, finer

OPTIONS = "--pretrained finer-mini --dataset mini --points projector,language.4.last --levels coarse --probes neighbour --per-concept 12 --limit 64 --batch-size 4"
SCALES = "features/train/language.4.last.scale.npy"


@pytest.mark.slow
def test_two_processes_killed_go_on_and_give_what_one_gives(mini_data: Path, tmp_path: Path) -> None:
    launch = "launch --cpu --num_processes 2 --num_machines 1 --main_process_port 0 -m finer_tasks.cli.main probe"
    command = [str(BIN / "accelerate"), *launch.split(), *OPTIONS.split(), "--output", str(tmp_path / "two")]
    variables = os.environ | {"FINER_DATA_DIR": str(mini_data), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, env=variables, start_new_session=True, stderr=subprocess.DEVNULL) as running:
        while not _there(tmp_path / "two") and running.poll() is None:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
    before = _there(tmp_path / "two")
    assert 0 < before < 768
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("mini, coarse") == 1
    assert _there(tmp_path / "two") == 768
    alone = finer("probe", *OPTIONS.split(), "--output", str(tmp_path / "one"), data=mini_data)
    assert alone.returncode == 0, alone.stderr
    for split in ("train", "test"):
        for point in ("projector.mean", "language.4.last"):
            one, two = (np.load(tmp_path / folder / "features" / split / f"{point}.npy") for folder in ("one", "two"))
            assert np.allclose(one, two, rtol=1e-2, atol=2e-3)
    figures = [[figure.top1.value for figure in read_probe(tmp_path / folder).figures] for folder in ("one", "two")]
    assert np.allclose(*figures, atol=0.01)


def _there(folder: Path) -> int:
    path = folder / SCALES
    return int((np.load(path) > 0).sum()) if path.exists() else 0
