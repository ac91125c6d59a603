"""`finer reproduce`: the fast plan goes through all stages, goes on where it stopped, and comes to the same bits again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from finer_tasks.attributes.knowledge import ConceptAttributes, knowledge_path, write_knowledge
from finer_tasks.cli.main import main
from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.errors import OutputError
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.recipe import read_recipe
from finer_tasks.training.reproduce.experiment import reproduce as repeat
from finer_tasks.training.reproduce.plan import Plan
from tests import official
from tests.held_locks import held

FINER = str(Path(sys.executable).with_name("finer"))
# One group and one test image of each concept: all stages in little time.
SMALL = ["held_out.named=[[Airplane]]", "documents_per_concept=1", "max_new_tokens=8"]


def reproduce(output: Path, processes: int = 1) -> None:
    command = [FINER, "reproduce", "mini-fast", *SMALL, "--output", str(output)]
    started = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for process in started:
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]


@pytest.mark.slow
def test_all_stages_run_go_on_where_they_stopped_and_repeat_to_the_bit(tmp_path: Path) -> None:
    output = tmp_path / "r"
    reproduce(output, processes=2)
    record = json.loads((output / "report.json").read_text())
    assert {figure["model"] for figure in record["figures"]} == {"base", "direct", "finer"}
    assert {(figure["part"], figure["mean"]["concepts"]) for figure in record["figures"]} == {("held-in", 48), ("held-out", 16)}
    assert {claim["verdict"] for claim in record["claims"]} == {"one run"}
    assert {"processor", "instructions", "threads", "GPU", "torch"} <= set(record["made_by"])
    assert record["documents"] == 64
    cards = [json.loads((output / f"mixtures/0/0/{style}/card.json").read_text()) for style in ("finer", "direct")]
    assert {card["conversations"] for card in cards} == {48 * 4}
    assert all("Airplane" not in card["counts"]["superordinate"] for card in cards)
    assert not list(output.rglob(".*"))
    assert (output / "summary.html").stat().st_size > 20_000
    kept = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file() and path.parent != output}
    (output / "evaluations/0/0/direct").rename(tmp_path / "gone")
    reproduce(output)
    assert json.loads((output / "report.json").read_text()) == record  # evaluated anew, and the same
    unchanged = {path for path, changed in kept.items() if path.exists() and path.stat().st_mtime_ns == changed}
    assert {path for path in kept if "direct" not in path.parts or "runs" in path.parts} <= unchanged
    assert main(["report", str(output), "--output", str(tmp_path / "report.html")]) == 0
    with pytest.raises(TrainingError, match=r"holds a run with another max_new_tokens \(8\)"):
        repeat(read_recipe(Plan, Path("mini-fast"), [*SMALL[:2], "max_new_tokens=9"]), output)
    reproduce(tmp_path / "again")
    for weights in ("bases/0/model/model.safetensors", "runs/0/0/finer/adapter_model.safetensors"):
        first, second = (load_file(folder / weights) for folder in (output, tmp_path / "again"))
        assert all(first[name].equal(second[name]) for name in first | second)
    assert (tmp_path / "again/table.md").read_text() == (output / "table.md").read_text()


def test_a_plan_for_a_ready_llava_and_whole_datasets_is_tried_without_keeping_anything(
    mini_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan of the paper's setting, on the tiny LLaVA and two datasets, one of them in the official files' form."""
    monkeypatch.setenv("FINER_DATA_DIR", str(tmp_path / "data"))
    prepare(Request("cub", official.cub(tmp_path / "CUB_200_2011"), allow_partial=True))
    lists = [ConceptAttributes(c.concept_id, c.fine[0], ("black wing",), ()) for c in concepts_of("cub")]
    write_knowledge(knowledge_path("cub"), lists)
    given = ["base.checkpoint=finer-mini", "datasets=[mini, cub]", "tuning.dtype=float32"]
    assert main(["reproduce", "llava-1.5-7b", *given, "--dry-run"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "pieces: 13 evaluation, 12 mixture, 12 tuning" in told
    assert "held-out concepts by group: mini: 64, cub: 2" in told
    assert "steps" in told
    assert main(["reproduce", "llava-1.5-7b", *given]) == 2
    assert "give --output DIR" in capsys.readouterr().err
    assert main(["reproduce", "llava-1.5-7b", "--dry-run"]) == 2
    assert "dataset 'aircraft' is not prepared" in capsys.readouterr().err


def test_a_folder_in_use_a_file_and_a_damaged_plan_are_refused(
    mini_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = read_recipe(Plan, Path("mini-fast"))
    monkeypatch.setattr("finer_tasks.training.reproduce.experiment._WAIT", 0.1)
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
