"""Path figures of runs: which tasks make a path, which documents, and what is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.errors import ResultsError
from finer_tasks.runs.paths import answer_rows, path_rows
from finer_tasks.runs.reading import Run, TaskRun, read_run
from finer_tasks.runs.samples import Sample
from finer_tasks.submission.scoring import documents_of
from tests.submission.made import TASKS, write_whole_run


def task(level: str, right: str, parent: str = "gold", variant: str = "direct") -> TaskRun:
    """Documents 0, 1, … of two concepts; `right` marks those answered rightly with a 1."""
    samples = []
    for number, mark in enumerate(right):
        concept = {"concept_id": "ab"[number % 2]}
        record = {"id": f"mini/test/{number}", **concept}
        score = {"score": float(mark)} | concept
        samples.append(Sample(record, "", {"em": score, "em_strict": score, "depth": {"score": 3.0 * float(mark)} | concept}))
    parent = "none" if level == "superordinate" else parent
    identity = {"dataset": "mini", "level": level, "variant": variant, "parent": parent}
    return TaskRun(f"finer_mini_{level}_{parent}_{variant}", identity, {}, tuple(samples))


def test_each_parent_has_its_path_below_the_one_superordinate_task() -> None:
    tasks = [
        task("fine", "0111", "none"), task("fine", "1011"), task("coarse", "1101"), task("coarse", "1111", "none"),
        task("superordinate", "1111"), task("fine", "1111", "predicted"), task("fine", "1111", variant="cot"),
    ]  # fmt: skip
    rows = path_rows(Run(Path("x"), "m", tuple(tasks)))
    assert [(row.parent, row.scorer) for row in rows] == [(p, s) for p in ("gold", "none") for s in ("em", "em_strict")]
    gold, none = rows[0], rows[2]
    assert (gold.documents, gold.left_out) == (4, 0)
    assert gold.hca is not None
    assert gold.por is not None
    assert none.hca is not None
    assert (gold.hca.value, gold.por.value, none.hca.value) == pytest.approx((2 / 4, 10 / 12, 3 / 4))
    assert gold.hca.low <= gold.hca.value <= gold.hca.high


def test_documents_that_a_task_lacks_are_left_out_and_told() -> None:
    short = task("coarse", "11")
    rows = path_rows(Run(Path("x"), "m", (task("superordinate", "1111"), short, task("fine", "1000"))))
    assert (rows[0].documents, rows[0].left_out) == (2, 2)
    assert rows[0].hca is not None
    assert rows[0].hca.value == 1 / 2
    apart = replace(short, samples=tuple(replace(s, record={**s.record, "id": f"x{s.record['id']}"}) for s in short.samples))
    (row, _) = path_rows(Run(Path("x"), "m", (task("superordinate", "1111"), apart, task("fine", "1000"))))
    assert (row.documents, row.left_out, row.hca) == (0, 6, None)


def test_results_show_paths_and_what_answers_name(mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *_ = documents_of("mini").values()
    replies = [f"Answer: {first['superordinate']}", f"Answer: not a {second['fine'][0]}"]
    folder = write_whole_run(tmp_path / "run", 1.0, replies=replies)
    assert main(["results", str(folder)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "paths: superordinate, coarse and fine answer" in printed
    assert "639 of 640 │ 639 of 640 │ 639 of 640" in printed
    assert "the questions tell the true label above" in printed
    assert main(["results", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    strict = document["paths"][1]
    assert (strict["scorer"], strict["documents"]) == ("em_strict", 640)
    assert strict["hca"]["value"] == pytest.approx(638 / 640)
    assert strict["por"]["value"] == pytest.approx((3 * 638 + 1) / (3 * 640))
    fine = document["answers"][-1]
    assert (fine["level"], fine["named"], fine["precision"]["value"]) == ("fine", 639, 1.0)
    assert fine["recall"]["value"] == pytest.approx((638 + 1 / 3) / 640)
    assert fine["f1"]["value"] == pytest.approx((638 + 1 / 2) / 640)
    assert fine["specificity"]["value"] == pytest.approx((3 * 638 + 1) / 639)


def test_a_log_that_does_not_tell_how_specific_answers_are(
    mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_whole_run(tmp_path / "run", 0.5)
    rows = answer_rows(read_run(folder))
    for name in TASKS:
        path = folder / f"r_samples_{name}.jsonl"
        path.write_text(path.read_text().replace('"specificity"', '"x"'))
    assert answer_rows(read_run(folder)) == []
    assert main(["results", str(folder)]) == 0
    assert "finer_mini_fine: the log does not tell how specific answers are; --rescore adds" in capsys.readouterr().out
    assert main(["results", str(folder), "--rescore", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"][0]["f1"]["value"] == rows[0].f1.value
    path.write_text(path.read_text().replace('"x": 3', '"specificity": 4', 1))
    with pytest.raises(ResultsError, match=r"jsonl:\d+: .*specificity is 4"):
        read_run(folder)
