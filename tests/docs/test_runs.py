"""The commands of the guides, run in their order in one folder, as a reader does who goes through all pages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks, pages

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A folder with what `make demo` leaves in out/demo, and with docs/ as in a checkout."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "docs").symlink_to(ROOT / "docs")
    demo = "--model finer_hf --model_args pretrained=finer-mini --tasks finer_mini --batch_size 32 --log_samples"
    assert demo in " ".join((ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ").split())
    run(f"lmms-eval {demo} --output_path out/demo", folder, shared_data)
    return folder


def run(script: str, folder: Path, data: Path) -> str:
    own = {"FINER_TASKS_DIR": str(folder / "own")}
    environment = os.environ | own | {"PATH": f"{BIN}:{os.environ['PATH']}", "FINER_DATA_DIR": str(data), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_the_commands_work(reader: Path, shared_data: Path) -> None:
    for page in pages():
        for block in blocks(page):
            if block.language == "sh" and not block.why:
                run(block.text, reader, shared_data)
    assert (reader / "plots").is_dir()
    assert (reader / "merged/config.json").is_file()


def test_the_readme_shows_what_the_demo_prints(reader: Path, shared_data: Path) -> None:
    rows = json.loads(run("finer results out/demo --json", reader, shared_data))["rows"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for row in rows:
        shown = re.search(rf"^\| {row['level']} \| (.*) \|$", readme, re.M)
        assert shown
        figures = [row["em"], row["em_macro"], row["f1"], row["em_strict"]]
        texts = [str(row["documents"]), *(f"{value:.3f}" for value in figures)]
        assert shown[1].split(" | ") == [*texts, f"{row['depth']:.2f}", f"{row['lca_distance']:.2f}"]
