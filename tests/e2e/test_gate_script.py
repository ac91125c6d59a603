"""The shell form of the gate: a checkpoint tuned on mini passes against the committed baseline, a broken one does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

from finer_tasks.models.loading import LoadOptions, load_model, load_processor

SCRIPT = Path(__file__).parents[2] / "docs/ci/gate.sh"
BIN = Path(sys.executable).parent


def run(command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **more}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_a_tuned_checkpoint_passes_and_a_broken_one_fails(tmp_path: Path, shared_data: Path) -> None:
    data = {"FINER_DATA_DIR": str(shared_data), "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    assert run(["finer", "mixture", "build", "mini-finer", "--output", str(tmp_path / "mix")], **data).returncode == 0
    recipe = [f"mixture={tmp_path / 'mix'}", f"output={tmp_path / 'run'}", "max_steps=4", "learning_rate=1e-5"]
    tuned = run(["finer", "train", "mini-lora", *recipe, "projector=frozen"], **data)
    assert tuned.returncode == 0, tuned.stderr[-2000:]
    passed = run([str(SCRIPT), f"pretrained=finer-mini,peft={tmp_path / 'run'}", str(tmp_path / "a")], **data)
    assert passed.returncode == 0, passed.stdout[-2000:] + passed.stderr[-2000:]
    assert "::notice title=finer regress finer_mini_fine::passed" in passed.stdout

    settings = json.loads((tmp_path / "a/gate.json").read_text())["candidate"]["settings"]
    assert settings["lmms_eval_version"] == metadata.version("lmms_eval")

    options = LoadOptions("finer-mini")
    model = load_model(options, torch.device("cpu"))
    with torch.no_grad():
        model.model.multi_modal_projector.linear_2.weight.mul_(0.1)  # more is undone by the layer norms that follow
    model.save_pretrained(tmp_path / "broken")
    load_processor(options).save_pretrained(tmp_path / "broken")
    failed = run([str(SCRIPT), f"pretrained={tmp_path / 'broken'}", str(tmp_path / "b")], **data)
    assert failed.returncode == 1, failed.stdout[-2000:] + failed.stderr[-2000:]
    assert "::error title=finer regress finer_mini_fine::regressed" in failed.stdout
    assert (tmp_path / "b/gate.html").stat().st_size > 10_000
    summary = (tmp_path / "summary.md").read_text()
    assert "finer regress: passed" in summary
    assert "finer regress: regressed" in summary
