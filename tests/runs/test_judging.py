"""A judge beside em and em_strict: what it is asked, what is kept, and where it differs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from finer_tasks.cli.main import main
from finer_tasks.runs.judging import Question, judge_rows, similar
from finer_tasks.runs.reading import read_run
from finer_tasks.submission.scoring import documents_of
from tests.e2e.server import chat_server
from tests.scoring.agreement import ANSWERS, judge_table, judged
from tests.submission.made import write_whole_run

TASK = ("finer_mini_fine",)
FAILED = "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Error code: 429"


def knows(text: str) -> str:
    """A judge who takes a bird in Finnish for right, hums at a question, and else for right what holds a name of fine concepts."""
    labels = text.split("any of them: ")[1].split("\n")[0].split("; ")
    answer = text.split("<<<\n")[1].split("\n>>>")[0]
    return "Hm." if answer == "which?" else "Right." if answer in ("lintu", *labels) else "wrong, it is another"


def test_verdicts_are_kept_and_change_no_score(mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = ["Answer: lintu", FAILED, "Answer: which?", ""]
    folder = write_whole_run(tmp_path / "run", 1.0, tasks=TASK, replies=answers)
    command = ["results", str(folder), "--json", "--judge-model", "m"]
    assert main(["results", str(folder), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    with chat_server(knows) as server:
        assert main([*command, "--judge", server.url]) == 0
        document = json.loads(capsys.readouterr().out)
        names = {document["fine"][0] for document in documents_of("mini").values()}
        asked = len(server.seen)
        assert asked == len(names) + 2
        assert main(["results", str(folder), "--judge", server.url, "--judge-model", "m"]) == 0
        assert len(server.seen) == asked + 1  # what gave no verdict is asked again
        printed = capsys.readouterr().out
    assert "judge only" in printed
    judged = document.pop("judged")
    assert document == plain
    (row,) = judged["rows"]
    assert (row["documents"], row["unclear"], row["only_judge"], row["only_strict"]) == (640, 1, 1, 0)
    assert row["right"]["value"] == pytest.approx(637 / 639)
    assert row["agrees_em_strict"]["value"] == pytest.approx(638 / 639)
    assert len(judged["prompt_hash"]) == 12


def test_a_judge_without_a_model_or_of_no_known_kind_is_refused(
    mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(write_whole_run(tmp_path / "run", 1.0, tasks=TASK))
    assert main(["results", folder, "--judge", "http://127.0.0.1:9/v1"]) == 2
    assert "needs --judge-model" in capsys.readouterr().err
    assert main(["results", folder, "--judge", "oracle"]) == 2
    assert "--judge oracle: give an API's address" in capsys.readouterr().err


class Length:
    """Names of equal length are alike."""

    name = "length"

    def __call__(self, generated: list[str], references: list[str]) -> np.ndarray:
        return np.array([[float(len(one) == len(other)) for other in references] for one in generated])


def test_a_similarity_judges_by_the_likest_of_the_right_names(mini_data: Path, tmp_path: Path) -> None:
    judge = similar(Length())  # type: ignore[arg-type]
    assert judge(Question(("Crow", "Raven"), "Eagle"))
    assert not judge(Question(("Crow",), "Eagle"))
    (row,) = judge_rows(read_run(write_whole_run(tmp_path / "run", 1.0, tasks=TASK)), judge)
    assert row.right is not None
    assert row.right.value == 1.0


def test_agreement_with_the_hand_on_answers_judged_before() -> None:
    file = ANSWERS / "second.jsonl"
    human = iter([answer.human for answer in judged(file)])
    unsure = judge_table(lambda _: next(human) or None, [file]).splitlines()[-1]
    right = sum(answer.human for answer in judged(file))
    assert unsure.startswith(f"| second.jsonl, 60 | {right} | {right} | ")
    assert unsure.endswith(" | 0 |")
