"""What a wheel of this package installs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_wheel_brings_everything_and_claims_no_general_name(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    source = tmp_path / "source"
    shutil.copytree(root, source, ignore=shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", "__pycache__", "out"))
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", str(target), str(wheel)],
        check=True,
        capture_output=True,
    )
    assert {path.name for path in target.iterdir() if not path.name.endswith(".dist-info")} == {"finer_tasks", "bin"}
    for name, folder in (("", "finer_tasks"), ("task_yamls", "task_yamls"), ("training", "training")):
        for path in (source / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert (target / "finer_tasks" / name / path.relative_to(source / folder)).is_file(), path
    script = """
from lmms_eval.tasks import TaskManager
import finer_tasks, finer_tasks.training.tiny_llava.train
from finer_tasks.tasks.generate import task_folder
from finer_tasks.tasks.plugin import register
from finer_tasks.models.loading import BUILT_IN
register()
assert "finer_mini_fine" in TaskManager().all_tasks
print(finer_tasks.__file__, task_folder(), (BUILT_IN["finer-mini"] / "model.safetensors").is_file())
"""
    done = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(target), "PATH": "", "HOME": str(tmp_path)},
                          capture_output=True, text=True, check=True, cwd=tmp_path)  # fmt: skip
    package, tasks, has_model = done.stdout.strip().splitlines()[-1].split()
    assert package.startswith(str(target))
    assert tasks.startswith(str(target))
    assert has_model == "True"
