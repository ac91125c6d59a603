"""Models on this machine: ours, lmms-eval's own wrapper of the same, and real photographs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from loguru import logger

from finer_tasks.cli.main import main
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.models.loading import BUILT_IN
from finer_tasks.runs.summary import attribute_rows, rows, seek_rows
from tests import official
from tests.e2e.evaluating import ALL_VARIANTS, evaluate


@pytest.mark.usefixtures("mini_data")
def test_all_variants_on_finer_hf(tmp_path: Path) -> None:
    run = evaluate(ALL_VARIANTS, tmp_path, limit=32)
    by_variant = {row.variant: row for row in rows(run) if row.level == "fine"}
    for variant in ("text", "both", "attrseek", "cot", "direct"):
        assert by_variant[variant].em >= 0.5, variant
    assert by_variant["parent_only"].em <= 0.5
    (seek, *_) = [row for row in seek_rows(run) if "fine" in row.task]
    assert seek.rounds == "multi_round"
    lists = {row.variant: row for row in attribute_rows(run)}
    assert lists["attributes_text"].unparsed == 0
    assert lists["attributes_text"].scores["attr_f1"] >= 0.8


@pytest.mark.usefixtures("mini_data")
def test_one_command_evaluates_the_arms_and_reports(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "finer_hf", "--model_args", "pretrained=finer-mini", "--tasks", "finer_mini_fine"]
    assert main(["gap", *arguments, "--batch_size", "32", "--limit", "64", "--json"]) == 0
    (gap,) = json.loads(capfd.readouterr().out)
    assert [arm["name"] for arm in gap["arms"]] == ["image", "text", "both", "attrseek", "parent_only"]
    assert gap["documents"] == 64


@pytest.mark.usefixtures("mini_data")
def test_lmms_evals_own_wrapper_answers_as_ours(tmp_path: Path) -> None:
    pytest.importorskip("decord", reason="lmms-eval's llava_hf imports decord")
    arguments = f"pretrained={BUILT_IN['finer-mini']},device=cpu,device_map=cpu,dtype=float32"
    tasks = ["finer_mini_coarse"]
    theirs = evaluate(tasks, tmp_path / "theirs", "llava_hf", arguments, limit=16, batch_size=1)
    (their_row,), (our_row,) = rows(theirs), rows(evaluate(tasks, tmp_path / "ours", limit=16))
    assert their_row == our_row
    assert our_row.em >= 0.9


@pytest.mark.usefixtures("mini_data")
def test_from_python_with_wildcard_and_limit(tmp_path: Path) -> None:
    run = evaluate(["finer_mini_superordinate", "finer_mini_*_parent_none"], tmp_path, limit=4)
    figures = {task: scores["em,none"] for task, scores in json.loads(run.path.read_text())["results"].items()}
    assert set(figures) == {f"finer_mini_{n}" for n in ("superordinate", "coarse_parent_none", "fine_parent_none")}
    assert figures["finer_mini_superordinate"] == 1.0


def test_one_corrupt_image_does_not_end_a_run(tmp_path: Path) -> None:
    root = official.cub(tmp_path / "cub")
    prepare(Request("cub", root, allow_partial=True))
    damaged = root / "images/017.Cardinal/d.jpg"
    damaged.write_bytes(damaged.read_bytes()[:300])
    told: list[str] = []
    sink = logger.add(told.append)
    try:
        run = evaluate(["finer_cub"], tmp_path / "out")
    finally:
        logger.remove(sink)
    assert "Scored as wrong" in "".join(told)
    for row in rows(run):
        assert (row.documents, row.corrupt_images) == (2, 1)
        assert row.reasons["corrupt_image"] == 1


def test_real_photographs_of_cub_with_the_complete_official_lists(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "CUB_200_2011"
    shutil.copytree(real / "cub", root)
    shutil.copytree(real / "photos/cub_real", root / "images")
    assert main(["prepare", "cub", "--root", str(root)]) == 2
    assert "--allow-partial" in capsys.readouterr().err
    assert main(["prepare", "cub", "--root", str(root), "--allow-partial"]) == 0
    assert main(["attributes", "import", "cub", str(root)]) == 0
    tasks = ["finer_cub_fine", "finer_cub_fine_text", "finer_cub_fine_attrseek", "finer_cub_attributes"]
    run = evaluate(tasks, tmp_path / "ours")
    assert {(row.documents, row.corrupt_images, row.partial) for row in rows(run)} == {(6, 0, True)}
    assert {task.name: len(task.samples) for task in run.tasks} == dict.fromkeys(tasks, 6)
    (seek,) = [task for task in run.tasks if task.name.endswith("attrseek")]
    assert all(len(sample.items["em_strict"]["rounds"]) == 2 for sample in seek.samples)
