"""What a wheel of this package installs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import own


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
    assert own.init(own.photos(tmp_path / "photos")) == 0  # by this installation, used by the other
    script = """
from lmms_eval.tasks import TaskManager
import finer_tasks, finer_tasks.training.tiny_llava.train
from finer_tasks.tasks.generate import task_folder
from finer_tasks.tasks.plugin import register
from finer_tasks.models.loading import BUILT_IN
from finer_tasks.cli.main import main
words = ["--noun", "fungus", "--coarse-term", "genus", "--fine-term", "species", "--superordinate", "Fungus"]
assert main(["dataset", "init", "others", "--images", "photos", *words]) == 0
for name in ("fungi", "others"):
    assert main(["prepare", name]) == main(["doctor", name]) == 0
register()
manager = TaskManager(include_defaults=False)
assert "finer_mini_fine" in manager.all_tasks
assert manager.match_tasks(["finer_fungi", "finer_others_fine_closed"]) == ["finer_fungi", "finer_others_fine_closed"]
assert manager._get_config("finer_fungi_fine")["metadata"]["finer"]["dataset"] == "fungi"
print(finer_tasks.__file__, task_folder(), (BUILT_IN["finer-mini"] / "model.safetensors").is_file())
"""
    places = {name: os.environ[name] for name in ("FINER_DATA_DIR", "FINER_TASKS_DIR")}
    done = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(target), "PATH": "", "HOME": str(tmp_path)} | places,
                          capture_output=True, text=True, check=True, cwd=tmp_path)  # fmt: skip
    package, tasks, has_model = done.stdout.strip().splitlines()[-1].split()
    assert package.startswith(str(target))
    assert tasks.startswith(str(target))
    assert has_model == "True"
