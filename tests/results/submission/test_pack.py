"""Packing: runs that could never verify are refused, and documents without an answer are packed by name only."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.cli import main
from finer_tasks.errors import ResultsError
from finer_tasks.results.reading import read_run
from finer_tasks.results.submission.archive import SubmissionError
from finer_tasks.results.submission.pack import pack, read_card
from finer_tasks.results.submission.verify import verify
from tests.results.submission.edits import changed, in_submission
from tests.results.submission.made import limited, write_card, write_whole_run

TASK = ("finer_mini_fine",)


def test_runs_that_could_never_verify_are_not_packed(tmp_path: Path) -> None:
    card = read_card(write_card(tmp_path / "card.yaml"))
    first, other = (write_whole_run(tmp_path / name, 0.5, model=name, tasks=TASK) for name in ("first", "other"))
    with pytest.raises(SubmissionError, match="of different models"):
        pack([read_run(first), read_run(other)], card, tmp_path / "x.zip")
    with pytest.raises(SubmissionError, match="in more than one of the runs"):
        pack([read_run(first), read_run(first)], card, tmp_path / "x.zip")
    long = write_whole_run(tmp_path / "long", 0.5, model="m" * 6000, tasks=TASK)
    with pytest.raises(SubmissionError, match="cannot be packed: model: String should have at most 5000"):
        pack([read_run(long)], card, tmp_path / "x.zip")
    limited(first, 8)
    with pytest.raises(SubmissionError, match="finer_mini_fine was run on 8 of 640 documents; run it without --limit"):
        pack([read_run(first)], card, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_documents_without_an_answer_are_packed_by_name_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, card = write_whole_run(tmp_path / "run", 1.0, tasks=TASK, corrupt=3), write_card(tmp_path / "card.yaml")
    command = ["submit", "pack", str(run), "--card", str(card), "--output", str(tmp_path / "x.zip")]
    assert main(command) == 2
    assert "finer_mini_fine: not all documents have an answer of the model: 3 x corrupt_image." in capsys.readouterr().err
    assert main([*command, "--allow", "weather"]) == 2
    assert "--allow weather: unknown; known are corrupt_image, request_failed" in capsys.readouterr().err
    assert main([*command, "--allow", "corrupt_image"]) == 0
    assert main(["submit", "verify", str(tmp_path / "x.zip")]) == 0
    assert "em 0.9953, f1 0.9953, em_strict 0.9953, 3 x corrupt_image" in capsys.readouterr().out
    for counts in ({}, {"corrupt_image": 2}, {"request_failed": 3}):
        edit = in_submission(lambda raw, counts=counts: raw["tasks"][TASK[0]].update(unanswered=counts))
        (problem,) = verify(changed(tmp_path / "x.zip", tmp_path / "y.zip", edit)).problems
        assert "are stated as unanswered, {'corrupt_image': 3} are" in problem


CARDS = {
    "a field is missing": (b"name: x\n", "revision: Field required"),
    "no UTF-8": (b"name: \xff\n", "cannot be read as YAML in UTF-8"),
    "no YAML": (b"name: [\n", "cannot be read as YAML in UTF-8"),
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
    with pytest.raises((SubmissionError, ResultsError), match=message):
        read_card(tmp_path / "card.yaml")
