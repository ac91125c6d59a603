"""The dataset that docs/adding.md adds: its files and its commands, on a copy of the package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.docs.pages import ROOT, Block, blocks

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent
PAGE = ROOT / "docs/adding.md"


def test_a_dataset_is_a_reader_a_taxonomy_and_a_row(tmp_path: Path) -> None:
    copy_package(tmp_path)
    for block in blocks(PAGE):
        if block.title:
            put(block, tmp_path / block.title)
    images = [
        line.split()[0] for name in ("train", "test") for line in (tmp_path / f"fruit/{name}.txt").read_text().splitlines()
    ]
    (tmp_path / "fruit/images").mkdir()
    for number, name in enumerate(images):
        Image.new("RGB", (64, 64), (40 * number, 200, 60)).save(tmp_path / "fruit" / name)

    before = {path: path.read_bytes() for path in (tmp_path / "finer_tasks").rglob("*") if path.is_file()}
    (shell,) = [block for block in blocks(PAGE) if "test_adding.py" in block.why]
    paths = {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path), "FINER_DATA_DIR": str(tmp_path / "data")}
    script = f"set -euo pipefail\n{shell.text}\nfiner results out/fruit --json > rows.json"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=os.environ | paths, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "finer_fruit_fine_attrseek" in done.stdout
    assert {path for path in before if path.read_bytes() != before[path]} == set()
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [(row["dataset"], row["level"], row["documents"]) for row in rows] == [
        ("fruit", level, 3) for level in ("superordinate", "coarse", "fine")
    ]


def copy_package(target: Path) -> None:
    """The package as installed: with task_yamls and training inside."""
    unwanted = shutil.ignore_patterns("__pycache__", "training", "task_yamls")
    shutil.copytree(ROOT / "finer_tasks", target / "finer_tasks", ignore=unwanted)
    for name in ("task_yamls", "training"):
        shutil.copytree(ROOT / name, target / "finer_tasks" / name, ignore=shutil.ignore_patterns("__pycache__"))


def put(block: Block, path: Path) -> None:
    """A new file; or a change of one that is there, written as a diff whose parts are set apart by @@."""
    if block.language != "diff":
        assert not path.exists()
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    for part in block.text.split("@@\n"):
        lines = part.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        assert text.count(before) == 1, f"{path} does not hold once:\n{before}"
        text = text.replace(before, "".join(line[1:] for line in lines if line[0] in " +"))
    path.write_text(text, encoding="utf-8")
