"""What `finer results` tells of documents without an answer, and logs of older versions scored again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import BertModel

from finer_tasks.cli.main import main
from finer_tasks.errors import ResultsError
from finer_tasks.runs.reading import read_run
from finer_tasks.runs.rescore import rescore
from finer_tasks.runs.summary import attribute_rows, rows
from finer_tasks.scoring import SCORING_VERSION
from tests.submission.made import write_whole_run
from tests.tiny_bert import tiny_bert

FAILED = "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Error code: 429"
NAMES, LISTS = "finer_mini_fine", "finer_mini_attributes_text"
REPLIES = (FAILED, FAILED, "<think>It is", "<think>no</think>Answer: Alder Finch")
NEWER = ("echo", "em_no_echo", "em_strict_no_echo", "failed_requests", "unfinished_thoughts")


@pytest.fixture
def folder(mini_data: Path, tmp_path: Path) -> Path:
    return write_whole_run(tmp_path / "run", 1.0, tasks=(NAMES, LISTS), replies=REPLIES)


def change_samples(folder: Path, task: str, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / f"r_samples_{task}.jsonl"
    samples = [json.loads(line) for line in path.read_text().splitlines()]
    for sample in samples:
        change(sample)
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))


def as_version_1(folder: Path) -> None:
    """The run as it was logged before such replies were told apart: scored as answers, and here as right ones."""

    def older(sample: dict[str, Any]) -> None:
        for name in NEWER:
            sample.pop(name, None)
        if "em" in sample:
            sample["em"]["score"] = sample["em_strict"]["score"] = 1.0
            sample["em_strict"]["reason"] = "right"
        else:
            sample["attr_f1"]["score"] = 0.25

    for task in (NAMES, LISTS):
        change_samples(folder, task, older)
    results = folder / "r_results.json"
    results.write_text(results.read_text().replace(f'"scoring": "{SCORING_VERSION}"', '"scoring": "1"'))


def test_documents_without_an_answer_are_counted_and_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = rows(read_run(folder))
    assert (row.failed_requests, row.unfinished_thoughts, row.corrupt_images) == (2, 1, 0)
    assert row.em == pytest.approx((row.documents - 3) / row.documents)
    assert (row.reasons["request_failed"], row.reasons["unfinished_thought"]) == (2, 1)
    assert main(["results", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert f"{NAMES}: 2 of {row.documents} failed requests, scored as wrong. The backend returned no answer" in printed
    assert f"{NAMES}: 1 of {row.documents} unfinished thoughts, scored as wrong" in printed


def test_a_log_of_version_1_is_read_and_scored_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected_names, expected_lists = rows(read_run(folder)), attribute_rows(read_run(folder))
    as_version_1(folder)
    (old,) = rows(read_run(folder))
    assert old.em == 1.0
    assert (old.failed_requests, old.unfinished_thoughts) == (2, 1)
    again = rescore(read_run(folder))
    assert rows(again) == expected_names
    assert attribute_rows(again) == expected_lists
    assert {task.identity["scoring"] for task in again.tasks} == {SCORING_VERSION}
    assert main(["results", str(folder), "--rescore"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"scoring {SCORING_VERSION}" in printed
    assert main(["results", str(folder), "--rescore", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["tasks"][NAMES]["scoring"] == SCORING_VERSION
    assert document["rows"][0]["failed_requests"] == 2
    assert [row["scores"]["attr_f1"] for row in document["attribute_rows"]] == [expected_lists[0].scores["attr_f1"]]


def test_lists_are_scored_again_by_another_similarity(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    BertModel(tiny_bert(tmp_path / "bert")).save_pretrained(tmp_path / "bert")

    def paraphrased(sample: dict[str, Any]) -> None:
        sample["filtered_resps"] = sample["resps"] = [["Required:\n- crest of red and of blue\nLikely:\n- no body"]]

    change_samples(folder, LISTS, paraphrased)
    monkeypatch.setenv("FINER_SIMILARITY", name := f"embedding:{tmp_path / 'bert'}")
    assert main(["results", str(folder), "--rescore", "--json"]) == 0
    (by_model,) = json.loads(capsys.readouterr().out)["attribute_rows"]
    (lexical,) = attribute_rows(rescore(read_run(folder)))
    assert (by_model["similarity"], lexical.similarity) == (name, "lexical")
    assert by_model["scores"]["attr_f1"] != lexical.scores["attr_f1"]
    monkeypatch.setenv("FINER_SIMILARITY", "embeding:x")
    assert main(["results", str(folder), "--rescore"]) == 2
    assert "unknown similarity 'embeding:x'" in capsys.readouterr().err


def test_the_share_whose_question_tells_the_answer_and_the_score_without(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(sample: dict[str, Any]) -> None:
        record = sample["em_strict"]["record"]
        if record["concept_id"] == "alder_finch":
            record["coarse"] = record["fine"][:1]

    change_samples(folder, NAMES, told)
    (row,) = rows(rescore(read_run(folder)))
    echoes = sum(sample.record["concept_id"] == "alder_finch" for sample in read_run(folder).tasks[0].samples)
    assert row.echo == echoes / row.documents
    assert (row.em_no_echo, row.em_strict_no_echo) == (1.0, 1.0)
    assert row.em < 1.0
    assert main(["results", str(folder), "--rescore"]) == 0
    assert "the question tells a label that counts as right; without these documents em 1.000" in capsys.readouterr().out


def test_answers_without_scores_are_scored_with_the_dataset_they_were_given_to(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = rows(read_run(folder)), attribute_rows(read_run(folder))

    def predicted_only(sample: dict[str, Any]) -> None:
        for name in [name for name in sample if isinstance(sample[name], dict)]:
            del sample[name]
        sample["bypass"] = 1.0

    for task in (NAMES, LISTS):
        change_samples(folder, task, predicted_only)
    with pytest.raises(ResultsError, match=r"without scores, as --predict_only leaves them.* finer results .* --rescore"):
        read_run(folder)
    again = rescore(read_run(folder, unscored=True))
    assert (rows(again), attribute_rows(again)) == expected
    assert main(["results", str(folder), "--rescore"]) == 0
    assert "2 of" in capsys.readouterr().out
    results = folder / "r_results.json"
    fingerprint = again.tasks[0].identity["data_fingerprint"]
    results.write_text(results.read_text().replace(fingerprint, "0123456789abcdef"))
    with pytest.raises(ResultsError, match=f"fingerprint 0123456789abcdef, prepared here is {fingerprint}"):
        read_run(folder, unscored=True)
