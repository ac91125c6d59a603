"""The paper in miniature, its fast form: every stage runs, a second call does nothing again, another plan is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from finer_tasks.errors import OutputError
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.recipe import read_recipe
from finer_tasks.training.reproduce.experiment import reproduce as repeat
from finer_tasks.training.reproduce.plan import Plan
from tests.held_locks import held

FINER = str(Path(sys.executable).with_name("finer"))


def reproduce(output: Path) -> subprocess.CompletedProcess[str]:
    command = [FINER, "reproduce", "mini", "--fast", "--output", str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_fast_form_goes_through_all_stages_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    output = tmp_path / "r"
    done = reproduce(output)
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((output / "report.json").read_text())
    assert {figure["model"] for figure in record["figures"]} == {"base", "direct", "finer"}
    assert {figure["documents"] for figure in record["figures"]} == {160}  # held in (birds) and held out (airplanes) of 320
    assert all(claim["verdict"] in ("reproduced", "not shown", "opposite") for claim in record["claims"])
    cards = [json.loads((output / f"mixtures/{style}/card.json").read_text()) for style in ("finer", "direct")]
    assert {card["conversations"] for card in cards} == {48 * 4}
    assert all("Airplane" not in card["counts"]["superordinate"] for card in cards)
    assert set(record["machine"]) == {"instructions", "threads", "GPU"}
    assert not list(output.rglob(".*"))
    assert (output / "summary.html").stat().st_size > 20_000
    kept = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file() and path.parent != output}
    (output / "evaluations/direct-0").rename(tmp_path / "gone")
    again = reproduce(output)
    assert again.returncode == 0, again.stderr[-3000:]
    assert json.loads((output / "report.json").read_text()) == record  # evaluated anew, and the same
    unchanged = {path for path, changed in kept.items() if path.exists() and path.stat().st_mtime_ns == changed}
    assert {path for path in kept if "direct-0" not in path.parts or "runs" in path.parts} <= unchanged
    other = read_recipe(Plan, Path("reproduce-mini-fast"), ["tuning_steps=7"])
    with pytest.raises(TrainingError, match=r"holds a run with another tuning_steps \(6\)"):
        repeat(other, output)


def test_a_folder_in_use_a_file_and_a_damaged_plan_are_refused(tmp_path: Path) -> None:
    plan = read_recipe(Plan, Path("reproduce-mini-fast"))
    with held(tmp_path / "r"), pytest.raises(OutputError, match="r is being written by another process"):
        repeat(plan, tmp_path / "r")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TrainingError, match="file is a file; give another --output"):
        repeat(plan, tmp_path / "file")
    (tmp_path / "r").mkdir()
    (tmp_path / "r/plan.json").write_text("[]")
    with pytest.raises(TrainingError, match=r"plan.json is damaged"):
        repeat(plan, tmp_path / "r")


def test_the_tiny_model_is_written_to_a_new_folder_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "finer_tasks.training.tiny_llava", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"finer: {tmp_path} exists; give another --output\n")
