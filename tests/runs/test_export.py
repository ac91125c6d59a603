"""Exports: read back by huggingface_hub, and held against the rules of the forms that have no installable validator."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, ModelCardData

from finer_tasks.cli.main import main
from finer_tasks.runs.reading import read_run
from tests.submission.made import limited, write_card, write_whole_run

TASK = ("finer_mini_fine",)


@pytest.fixture(autouse=True)
def _same_data(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_DATA_DIR", str(shared_data))


def export(tmp_path: Path, form: str) -> Path:
    run, card = write_whole_run(tmp_path / "run", 0.6), write_card(tmp_path / "card.yaml", "org/model x")
    assert main(["export", str(run), "--form", form, "--card", str(card), "--output", str(tmp_path / "out")]) == 0
    return tmp_path / "out"


def means(tmp_path: Path) -> dict[str, float]:
    run = read_run(tmp_path / "run")
    return {task.name: sum(s.items["em"]["score"] for s in task.samples) / len(task.samples) for task in run.tasks}


def test_the_model_index_is_read_by_the_hub_library(tmp_path: Path) -> None:
    text = (export(tmp_path, "model-index") / "model-index.yaml").read_text()
    data = ModelCard(f"---\nmodel_name: org/model x\n{text}---\n# x\n").data
    assert isinstance(data, ModelCardData)
    found = {r.dataset_config: r.metric_value for r in data.eval_results or [] if r.metric_name == "em"}
    assert found == {name: pytest.approx(value, abs=1e-6) for name, value in means(tmp_path).items()}


def test_every_eval_ever_keeps_the_rules_of_its_schema(tmp_path: Path) -> None:
    """Required keys, allowed values and string-only details of schema 0.2.1, and the checksum of the instance file."""
    folder = export(tmp_path, "every-eval-ever")
    record: dict[str, Any] = json.loads((folder / "org_model_x.json").read_text())
    required = {"schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info", "eval_library"}
    optional = {"detailed_evaluation_results", "evaluation_timestamp", "evaluation_results"}
    assert required <= set(record) <= required | optional
    assert record["source_metadata"]["source_type"] in ("documentation", "evaluation_run")
    assert record["source_metadata"]["evaluator_relationship"] in ("first_party", "third_party", "collaborative", "other")
    assert all(isinstance(value, str) for value in record["model_info"]["additional_details"].values())
    for result in record["evaluation_results"]:
        assert {"evaluation_name", "source_data", "metric_config", "score_details"} <= set(result)
        assert {"dataset_name", "source_type"} <= set(result["source_data"])
        assert {"min_score", "max_score", "lower_is_better"} <= set(result["metric_config"])
        interval = result["score_details"]["uncertainty"]["confidence_interval"]
        assert interval["lower"] <= result["score_details"]["score"] <= interval["upper"]
    scores = {r["evaluation_name"]: r["score_details"]["score"] for r in record["evaluation_results"]}
    assert {name: scores[f"{name}/em"] for name in means(tmp_path)} == pytest.approx(means(tmp_path))
    content = (folder / record["detailed_evaluation_results"]["file_path"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == record["detailed_evaluation_results"]["checksum"]
    lines = [json.loads(line) for line in content.splitlines()]
    assert len(lines) == record["detailed_evaluation_results"]["total_rows"] == 1920
    for line in lines[:5]:
        assert line["evaluation_id"] == record["evaluation_id"]
        assert line["interaction_type"] == "single_turn"
        assert line["output"]["raw"]
        assert line["messages"] is None
        assert set(line["answer_attribution"][0]) == {
            "turn_idx", "source", "extracted_value", "extraction_method", "is_terminal"}  # fmt: skip


@pytest.mark.parametrize("form", ["model-index", "evalai", "every-eval-ever"])
def test_a_part_of_a_split_is_told_or_refused(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, card = limited(write_whole_run(tmp_path / "run", 0.6, tasks=TASK), 8), write_card(tmp_path / "card.yaml", "../x" * 75)
    command = ["export", str(run), "--form", form, "--card", str(card), "--output", str(tmp_path / "out")]
    if form != "every-eval-ever":
        assert main(command) == 2
        assert f"finer_mini_fine was run on 8 of 640 documents; in {form} it would be read as" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
        return
    assert main(command) == 0
    record = json.loads(next(path for path in (tmp_path / "out").glob("*.json")).read_text())
    for result in record["evaluation_results"]:
        assert result["score_details"]["details"]["documents"] == "8 of 640 documents"
        assert result["metric_config"]["evaluation_description"].endswith("on 8 of 640 documents only")


def test_documents_without_an_answer_are_exported_by_name_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, card = write_whole_run(tmp_path / "run", 0.6, tasks=TASK, corrupt=3), write_card(tmp_path / "card.yaml")
    command = ["export", str(run), "--form", "every-eval-ever", "--card", str(card), "--output", str(tmp_path / "out")]
    assert main(command) == 2
    assert "3 x corrupt_image" in capsys.readouterr().err
    assert main([*command, "--allow", "corrupt_image"]) == 0
    record = json.loads((tmp_path / "out/Model.json").read_text())
    assert record["evaluation_results"][0]["score_details"]["details"]["corrupt_image"] == "3"


def test_an_output_that_is_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, card = write_whole_run(tmp_path / "run", 0.6, tasks=TASK), write_card(tmp_path / "card.yaml")
    assert main(["export", str(run), "--form", "evalai", "--card", str(card), "--output", str(card)]) == 2
    assert "a file stands where a folder should be" in capsys.readouterr().err


def test_evalai_has_a_figure_for_each_task(tmp_path: Path) -> None:
    record = json.loads((export(tmp_path, "evalai") / "evalai.json").read_text())
    (split,) = record["result"]
    assert {name: split["mini_test"][f"{name}/em"] for name in means(tmp_path)} == pytest.approx(means(tmp_path), abs=1e-6)


def test_the_exported_run_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_whole_run(tmp_path / "run", 0.6, tasks=TASK)
    results = next(run.rglob("*_results.json"))
    before, card = results.read_bytes(), write_card(tmp_path / "card.yaml", results.stem)
    command = ["export", str(run), "--form", "every-eval-ever", "--card", str(card), "--output", str(results.parent)]
    assert main(command) == 2
    assert "is what the command reads, or a file of lmms-eval, and would be lost" in capsys.readouterr().err
    assert results.read_bytes() == before
