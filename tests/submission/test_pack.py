"""Packing: runs that could never verify are refused, and documents without an answer are packed by name only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.errors import ResultsError
from finer_tasks.runs.card import CardError, read_card
from finer_tasks.runs.reading import read_run
from finer_tasks.scoring import SCORING_VERSION
from finer_tasks.submission.archive import SubmissionError
from finer_tasks.submission.pack import pack
from finer_tasks.submission.scoring import official_task, submitted_tasks
from finer_tasks.submission.verify import verify
from tests import own
from tests.closed_runs import write_closed_run
from tests.submission.edits import changed, in_submission
from tests.submission.made import limited, write_card, write_whole_run

TASK = ("finer_mini_fine",)


def test_runs_that_could_never_verify_are_not_packed(tmp_path: Path) -> None:
    card = read_card(write_card(tmp_path / "card.yaml"))
    first, other = (write_whole_run(tmp_path / name, 0.5, model=name, tasks=TASK) for name in ("first", "other"))
    with pytest.raises(ResultsError, match="of different models"):
        pack([read_run(first), read_run(other)], card, tmp_path / "x.zip")
    with pytest.raises(SubmissionError, match="in more than one of the runs"):
        pack([read_run(first), read_run(first)], card, tmp_path / "x.zip")
    long = write_whole_run(tmp_path / "long", 0.5, model="m" * 6000, tasks=TASK)
    with pytest.raises(SubmissionError, match="cannot be packed: model: String should have at most 5000"):
        pack([read_run(long)], card, tmp_path / "x.zip")
    doubtful = write_whole_run(tmp_path / "doubtful", 0.5, tasks=TASK)
    (results,) = doubtful.glob("*_results.json")
    raw = json.loads(results.read_text())
    raw["configs"][TASK[0]]["metadata"]["finer"]["data_official"] = False
    results.write_text(json.dumps(raw))
    with pytest.raises(SubmissionError, match="finer_mini_fine was run on a split that is not known to be the official one"):
        pack([read_run(doubtful)], card, tmp_path / "x.zip")
    limited(first, 8)
    with pytest.raises(SubmissionError, match="finer_mini_fine was run on 8 of 640 documents; run it without --limit"):
        pack([read_run(first)], card, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_documents_without_an_answer_are_packed_by_name_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, card = write_whole_run(tmp_path / "run", 1.0, tasks=TASK, corrupt=3), write_card(tmp_path / "card.yaml")
    command = ["submit", "pack", str(run), "--card", str(card), "--output", str(tmp_path / "x.zip")]
    assert main(command) == 2
    assert "not all documents have an answer of the model: finer_mini_fine: 3 x corrupt_image." in capsys.readouterr().err
    assert main([*command, "--allow", "weather"]) == 2
    assert "--allow weather: unknown; known are corrupt_image, request_failed" in capsys.readouterr().err
    assert main([*command, "--allow", "corrupt_image"]) == 0
    assert main(["submit", "verify", str(tmp_path / "x.zip")]) == 0
    assert "em 0.9953, f1 0.9953, em_strict 0.9953, 3 x corrupt_image" in capsys.readouterr().out
    for counts in ({}, {"corrupt_image": 2}, {"request_failed": 3}):
        edit = in_submission(lambda raw, counts=counts: raw["tasks"][TASK[0]].update(unanswered=counts))
        (problem,) = verify(changed(tmp_path / "x.zip", tmp_path / "y.zip", edit)).problems
        assert "are stated as unanswered, {'corrupt_image': 3} are" in problem


UNANSWERED = {
    "request_failed": ["[LMMS_EVAL_REQUEST_FAILED after 3 retries] 429", "[FINER_NO_CONTENT]"],
    "unfinished_thought": ["<think>It is an Alder Finch", "◁think▷ so"],
}


@pytest.mark.parametrize("reason", UNANSWERED)
def test_failed_requests_and_unfinished_thoughts_are_counted_again_from_the_replies(reason: str, tmp_path: Path) -> None:
    run = read_run(write_whole_run(tmp_path / "run", 1.0, tasks=TASK, replies=UNANSWERED[reason]))
    card, path = read_card(write_card(tmp_path / "card.yaml")), tmp_path / "x.zip"
    with pytest.raises(ResultsError, match=f"2 x {reason}. Run it again, or count them as wrong with --allow {reason}"):
        pack([run], card, path, [other for other in ("corrupt_image", *UNANSWERED) if other != reason])
    pack([run], card, path, [reason])
    found = verify(path)
    assert found.holds
    assert found.submission.tasks[TASK[0]].unanswered == {reason: 2}
    (problem,) = verify(changed(path, path, in_submission(lambda raw: raw["tasks"][TASK[0]].pop("unanswered")))).problems
    assert f"none are stated as unanswered, {{'{reason}': 2}} are" in problem


def older(run: Path, version: str) -> Path:
    """As an older version has logged and scored it, which knew fewer figures and gave other scores."""
    for path in run.iterdir():
        text = path.read_text().replace(f'"scoring": "{SCORING_VERSION}"', f'"scoring": "{version}"')
        path.write_text(
            text.replace('"em_strict": {"score": 1.0', '"em_strict": {"score": 0.0').replace(', "concept": "', ', "x": "')
        )
    return run


def test_runs_that_an_older_version_scored_are_scored_anew_and_newer_ones_refused(tmp_path: Path) -> None:
    card = read_card(write_card(tmp_path / "card.yaml"))
    run = write_whole_run(tmp_path / "run", 1.0, tasks=TASK)
    pack([read_run(older(run, "1"))], card, tmp_path / "x.zip")
    found = verify(tmp_path / "x.zip")
    assert found.holds
    assert found.submission.tasks[TASK[0]].scores["em_strict"] == 1.0
    edit = in_submission(lambda raw: raw["tasks"][TASK[0]]["identity"].update(scoring="1"))
    (problem,) = verify(changed(tmp_path / "x.zip", tmp_path / "y.zip", edit)).problems
    assert "scoring is '1', official is '2'; pack the runs again" in problem
    for version in ("99", "9" * 5000):
        newer = older(write_whole_run(tmp_path / str(len(version)), 1.0, tasks=TASK), version)
        with pytest.raises(ResultsError, match=r"was scored by version 99+, this is 2: update finer-tasks"):
            pack([read_run(newer)], card, tmp_path / "z.zip")


CARDS = {
    "a field is missing": (b"name: x\n", "revision: Field required"),
    "no UTF-8": (b"name: \xff\n", "card.yaml:1: not UTF-8 text"),
    "no YAML": (b"name: [\n", "not valid YAML"),
    "deep": (b"[" * 5000, "nested too deeply"),
    "a list": (b"- x\n", "the whole: "),
    "an infinite size": (b"{name: x, revision: y, parameters: .inf, weights: open, contact: z}", "parameters: "),
    "a line break": (b'{name: "x\\ny", revision: y, parameters: 1, weights: open, contact: z}', "name: .*line break"),
    "an escape": (b'{name: "x\\e[2J", revision: y, parameters: 1, weights: open, contact: z}', "name: .*control characters"),
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_with_a_mistake_is_refused(name: str, tmp_path: Path) -> None:
    content, message = CARDS[name]
    (tmp_path / "card.yaml").write_bytes(content)
    with pytest.raises(CardError, match=message):
        read_card(tmp_path / "card.yaml")


def test_a_dataset_of_ones_own_is_refused_for_nobody_can_verify_it(tmp_path: Path) -> None:
    own.init(own.photos(tmp_path / "photos"))
    with pytest.raises(SubmissionError, match=r"finer_fungi_fine is a task on a dataset of your own, .*; leave it out"):
        official_task("finer_fungi_fine")
    assert not any("fungi" in name for name in submitted_tasks())


def test_closed_sets_are_refused_for_they_leave_no_answers(tmp_path: Path, archive: Path) -> None:
    run = read_run(write_closed_run(tmp_path / "run", ["alder_finch"], {"fine": [("alder_finch", 0.9)]}))
    message = "finer_mini_fine_closed scores names by likelihood, and leaves no answers to score again; leave it out"
    with pytest.raises(SubmissionError, match=message):
        pack([run], read_card(write_card(tmp_path / "card.yaml")), tmp_path / "x.zip")

    def renamed(members: dict[str, bytes]) -> None:
        members["submission.json"] = members["submission.json"].replace(b'"finer_mini_fine"', b'"finer_mini_fine_closed"')
        members["tasks/finer_mini_fine_closed.jsonl"] = members.pop("tasks/finer_mini_fine.jsonl")

    with pytest.raises(SubmissionError, match=message):
        verify(changed(archive, tmp_path / "y.zip", renamed))
