"""Runs of the questions beside the open one: read, shown, scored again, compared, and kept out of submissions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.cli.main import main
from finer_tasks.errors import ResultsError
from finer_tasks.gate.gate import run_gate
from finer_tasks.gate.measured import measured
from finer_tasks.gate.policy import Policy
from finer_tasks.report.figures import other_rows
from finer_tasks.report.page import write_report
from finer_tasks.runs.asked import abstain_rows, open_rows, yesno_rows
from finer_tasks.runs.figures import figures as figures_of
from finer_tasks.runs.reading import Run, read_run
from finer_tasks.runs.rescore import rescore
from finer_tasks.scoring.abstaining import abstaining_items, open_items
from finer_tasks.scoring.yesno import Claims, yesno_items
from finer_tasks.submission.scoring import SubmissionError, official_task, submitted_tasks
from finer_tasks.tasks.table import VARIANTS
from tests.documents import document_of
from tests.simulated import IDENTITY

YES, NO, NONE, RIGHT = "Answer: yes", "Answer: no", "Answer: none of these", "Answer: Alder Finch"
SIBLING = Claims("Alder Finch", "Dunmore Finch", "coarse")
FARTHER = Claims("Alder Finch", "Arlen Heron", "superordinate")
WITH, WITHOUT = ("Alder Finch", "Dunmore Finch"), ("Borrow Finch", "Dunmore Finch")
DOCS = [document_of("mini", "alder_finch", number) for number in range(4)]


def write(folder: Path, variant: str, lines: Sequence[dict[str, Any]], replies: Sequence[str]) -> Path:
    """A run of one task as lmms-eval writes it."""
    folder.mkdir(parents=True)
    task = f"finer_mini_fine_{variant}"
    made = [
        {"doc_id": number, "filtered_resps": [reply], "input": "Which?", **items}
        for number, (items, reply) in enumerate(zip(lines, replies, strict=True))
    ]
    (folder / f"r_samples_{task}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in made))
    parent = "gold" if variant == "abstain" else "none"
    identity = IDENTITY | {"dataset": "mini", "variant": variant, "parent": parent, "prompt_set": "questions-1", "scoring": "2"}
    counts = {"original": len(made), "effective": len(made)}
    results = {
        "configs": {task: {"metadata": {"finer": identity}}}, "n-samples": {task: counts},
        "config": {"model": "m", "model_args": ""}, "lmms_eval_version": "0.7.3", "date": 1.0,
    }  # fmt: skip
    (folder / "r_results.json").write_text(json.dumps(results))
    return folder


def yesno_run(folder: Path, false: Claims = FARTHER) -> Path:
    replies = [(YES, NO), (YES, YES), (NO, NO), (YES, "perhaps")]
    claims = [SIBLING, SIBLING, SIBLING, false]
    lines = [yesno_items(*one, "fine", claims=two) for *one, two in zip(DOCS, replies, claims, strict=True)]
    return write(folder, "yesno", lines, [json.dumps({"rounds": pair}) for pair in replies])


def open_run(folder: Path) -> Path:
    replies = [(RIGHT, WITH), (NONE, WITH), (NONE, WITHOUT), ("Answer: Dunmore Finch", WITHOUT)]
    lines = [open_items(doc, [reply], "fine", offered=names) for doc, (reply, names) in zip(DOCS, replies, strict=True)]
    return write(folder, "abstain_names", lines, [reply for reply, _ in replies])


def abstain_run(folder: Path) -> Path:
    replies = [RIGHT, "Answer: Dunmore Finch", "I don't know", "Answer: I don't know"]
    lines = [abstaining_items(doc, [reply], "fine") for doc, reply in zip(DOCS, replies, strict=True)]
    return write(folder, "abstain", lines, replies)


def test_figures_of_yes_and_no(tmp_path: Path) -> None:
    (row,) = yesno_rows(read_run(yesno_run(tmp_path / "run")))
    assert (row.documents, row.both, row.accuracy, row.true, row.false) == (4, 0.25, 5 / 8, 0.75, 0.5)
    assert (row.neither, row.farther) == (1, 1)
    assert row.yes == pytest.approx((0.5 + 1 + 0 + 1) / 4)


def test_figures_of_lists_that_may_lack_the_right_name(tmp_path: Path) -> None:
    (row,) = open_rows(read_run(open_run(tmp_path / "run")))
    assert (row.documents, row.missing, row.right, row.named) == (4, 2, 0.5, 0.5)
    assert (row.true_refusal, row.false_refusal, row.balanced, row.f1) == (0.5, 0.5, 0.5, 0.5)


def test_figures_of_leave_to_decline(tmp_path: Path) -> None:
    (row,) = abstain_rows(read_run(abstain_run(tmp_path / "run")))
    assert (row.answered, row.declined, row.em_answered, row.em_strict_answered) == (0.5, 0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("made", "rows", "told"),
    [
        (yesno_run, "yesno_rows", ["yes or no", "wrong name of 1 of 4 documents is from farther off"]),
        (open_run, "open_rows", ["lists that may lack the right name", "by chance 0.5"]),
        (abstain_run, "abstain_rows", ["leave to decline", "em_strict of answered", "abstained"]),
    ],
)
def test_results_tell_them(made: Any, rows: str, told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(made(tmp_path / "run"))
    assert main(["results", run, "--reasons"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert [text for text in (*told, "prompts questions-1 aa") if text not in printed] == []
    assert main(["results", run, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)[rows]) == 1


def test_the_report_has_them(tmp_path: Path) -> None:
    run = read_run(yesno_run(tmp_path / "run"))
    write_report([run], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    (row,) = other_rows(run)
    assert row.scores["yesno_both"].value == 0.25
    for told in ("Other questions", "finer_mini_fine_yesno", "yesno_accuracy"):
        assert told in page


def figures(run: Run) -> list[Any]:
    return [dict(sample.items) for task in run.tasks for sample in task.samples]


@pytest.mark.parametrize("made", [yesno_run, open_run, abstain_run])
def test_scoring_again_keeps_what_was_asked(made: Any, tmp_path: Path) -> None:
    """Claims and lists are those of the log, not those that this version would draw."""
    run = read_run(made(tmp_path / "run"))
    assert figures(rescore(run)) == figures(run)


def test_answers_without_scores_are_scored_by_their_documents(mini_data: Path, tmp_path: Path) -> None:
    folder = yesno_run(tmp_path / "run")
    (path,) = folder.glob("*_samples_*")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    bare = [{key: line[key] for key in ("doc_id", "filtered_resps", "input")} | {"bypass": 1} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in bare))
    results = folder / "r_results.json"
    from finer_tasks.datasets.prepared import load_prepared

    found = load_prepared("mini").manifest.contents["test"]
    results.write_text(results.read_text().replace('"data_fingerprint": "ff"', f'"data_fingerprint": "{found}"'))
    (row,) = yesno_rows(rescore(read_run(folder, unscored=True)))
    assert (row.both, row.farther) == (0.25, 0)


def test_the_gate_compares_the_main_figure_and_sees_another_claim(tmp_path: Path) -> None:
    before, same, other = (
        measured(read_run(yesno_run(tmp_path / name, claims)))
        for name, claims in (("a", FARTHER), ("b", FARTHER), ("c", SIBLING))
    )
    (verdict,) = run_gate(before, same, Policy()).verdicts
    assert (verdict.metric, verdict.comparison.difference) == ("yesno_both", 0)
    with pytest.raises(ResultsError, match="1 have other labels or another question"):
        run_gate(before, other, Policy())
    opened = measured(read_run(open_run(tmp_path / "d")))
    assert run_gate(opened, opened, Policy()).verdicts[0].metric == "open_right"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"claims": ["Alder Finch", "Dunmore Finch"]', '"claims": "Alder Finch"', "claims is no text"),
        ('"claims": ["Alder Finch", "Dunmore Finch"]', '"claims": ["Alder Finch"]', "1 claims where two were made"),
        ('"said": ["yes", "no"]', '"said": [1]', "said is no text"),
        ('"said": ["yes", "no"], "concept', '"said": ["yea", "no"], "concept', "said is ..yea"),
        ('"yesno_neither": {"value": 0.0', '"yesno_neither": {"value": 3.0', "the score yesno_neither is 3.0"),
        ('"yesno_true"', '"yesno_tru"', "'yesno_true' is missing"),
    ],
)
def test_a_damaged_line_is_refused(old: str, new: str, why: str, tmp_path: Path) -> None:
    folder = yesno_run(tmp_path / "run")
    (path,) = folder.glob("*_samples_*")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ResultsError, match=why):
        read_run(folder)


@pytest.mark.parametrize(
    ("way", "lines"),
    [("yesno", yesno_items(DOCS[0], (YES, NO), "fine")), ("abstain_names", open_items(DOCS[0], [NONE], "fine"))],
)
def test_merged_shards_have_all_figures_of_the_table(way: str, lines: dict[str, Any]) -> None:
    (variant,) = (variant for variant in VARIANTS if variant.name == way)
    config = {"metric_list": [{"metric": one.name, "aggregation": one.aggregation} for one in variant.metrics]}
    found, unknown = figures_of(config, {name: [item] for name, item in lines.items()})
    assert unknown == []
    assert {f"{metric.name},none" for metric in variant.metrics} <= set(found)


@pytest.mark.parametrize("variant", ["abstain", "abstain_names", "yesno"])
def test_submissions_leave_them_out(variant: str) -> None:
    name = f"finer_mini_fine_{variant}"
    assert name not in submitted_tasks()
    with pytest.raises(SubmissionError, match=f"{name} asks a question that is none of the benchmark.*leave it out"):
        official_task(name)
