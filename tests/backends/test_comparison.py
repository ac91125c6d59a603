"""Two runs of the same questions: what differs is counted, put down to what the logs tell, and tested; others are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.backends.comparison import compare_backends
from finer_tasks.cli.main import main
from finer_tasks.errors import ResultsError
from finer_tasks.runs.reading import Run, read_run
from tests.simulated import IDENTITY, write_run

TASK = "finer_cub_fine"
CONCEPTS = [f"c{number // 2}" for number in range(12)]
BACKEND = {"template": "t", "pixels": "p", "dtype": "float32", "attention": "sdpa", "device": "cuda"}


def run(
    folder: Path,
    replies: Mapping[int, str] | None = None,
    wrong: Sequence[int] = (),
    backend: Mapping[str, str] | None = BACKEND,
    how: Callable[[dict[str, Any]], object] = lambda raw: None,
    counts: Mapping[int, Mapping[str, float]] | None = None,
    **identity: Any,
) -> Run:
    """A run of twelve documents whose replies are "Answer: x" but for the given ones."""
    scores = [float(number not in wrong) for number in range(12)]
    made_by = {} if backend is None else {"backend": dict(backend)}
    write_run(folder, scores, CONCEPTS, identity=IDENTITY | made_by | identity)
    (path,) = folder.glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["filtered_resps"] = (replies or {}).get(number, line["filtered_resps"])
        line["failed_requests"]["value"] = float(line["filtered_resps"].startswith("[LMMS_EVAL"))
        line["token_counts"] = [dict((counts or {}).get(number, {"input_tokens": 9}))]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (results,) = folder.glob("*_results.json")
    raw = json.loads(results.read_text())
    how(raw)
    results.write_text(json.dumps(raw))
    return read_run(folder)


def test_equal_runs_differ_in_nothing(tmp_path: Path) -> None:
    (found,) = compare_backends(run(tmp_path / "a"), run(tmp_path / "b")).tasks
    assert (found.replies, found.answers, found.verdicts) == (0, 0, 0)
    assert (found.measure.difference, found.measure.p) == (0, 1)
    assert found.measure.low < 0 < found.measure.high


def test_replies_answers_and_verdicts_are_counted_apart(tmp_path: Path) -> None:
    b = run(tmp_path / "b", {0: " Answer:  X", 1: "Answer: y", 2: "Answer: z"}, wrong=[2])
    (found,) = compare_backends(run(tmp_path / "a"), b).tasks
    assert (found.replies, found.answers, found.verdicts) == (3, 2, 1)
    assert (found.measure.only_a, found.measure.only_b) == (1, 0)
    assert found.measure.difference == pytest.approx(-1 / 12)


def test_the_first_word_that_differs_is_told(tmp_path: Path) -> None:
    a = run(tmp_path / "a", {3: "Answer: Laysan Albatross"})
    b = run(tmp_path / "b", {3: "Answer: Laysan Gull", 4: "Answer: x or y"})
    (found,) = compare_backends(a, b).tasks
    assert [(one.id, one.unit, one.position) for one in found.differing] == [
        ("cub/test/3", "word", 3),
        ("cub/test/4", "word", 3),
    ]


def test_of_several_turns_the_first_reply_that_differs_is_told(tmp_path: Path) -> None:
    packed = [json.dumps({"rounds": replies}) for replies in (["wings", "Answer: x"], ["beak", "Answer: x"])]
    a, b = (run(tmp_path / name, {5: text}) for name, text in zip("ab", packed, strict=True))
    (found,) = compare_backends(a, b).tasks
    assert [(one.round, one.a, one.b) for one in found.differing] == [(1, "wings", "beak")]
    assert found.answers == 0


def tokens(number: int) -> dict[int, dict[str, float]]:
    return {0: {"input_tokens": number}}


def generation(raw: dict[str, Any]) -> None:
    raw["configs"][TASK]["generation_kwargs"] = {"do_sample": True}


def arguments(raw: dict[str, Any]) -> None:
    raw["config"]["gen_kwargs"] = {"max_new_tokens": 8}


REASONS: dict[str, tuple[str, dict[str, Any]]] = {
    "the same": ("sums", {}),
    "batch size": ("sums", {"how": lambda raw: raw["config"].update(batch_size=8)}),
    "precision": ("precision", {"backend": BACKEND | {"dtype": "bfloat16"}}),
    "attention": ("precision", {"backend": BACKEND | {"attention": "eager"}}),
    "template": ("template", {"backend": BACKEND | {"template": "other", "dtype": "bfloat16"}}),
    "pixels": ("pixels", {"backend": BACKEND | {"pixels": "other"}}),
    "images sent as JPEG": ("pixels", {"backend": {"sent_as": "JPEG"}}),
    "length of the prompt": ("prompt_tokens", {"backend": None, "counts": tokens(10)}),
    "nothing told": ("unknown", {"backend": None, "counts": {0: {}}}),
    "decoding": ("decoding", {"how": generation, "backend": BACKEND | {"template": "other"}}),
    "arguments": ("decoding", {"how": arguments}),
    "turns": ("rounds", {"rounds": "agentic"}),
}


@pytest.mark.parametrize("name", REASONS)
def test_a_difference_is_put_down_to_what_the_runs_tell(name: str, tmp_path: Path) -> None:
    reason, options = REASONS[name]
    (found,) = compare_backends(run(tmp_path / "a"), run(tmp_path / "b", {0: "Answer: y"}, **options)).tasks
    assert found.reasons == {reason: 1}


def test_what_differs_between_the_runs_is_told_with_both_values(tmp_path: Path) -> None:
    b = run(tmp_path / "b", backend=BACKEND | {"dtype": "bfloat16"}, how=lambda raw: raw["config"].update(batch_size=8))
    (found,) = compare_backends(run(tmp_path / "a"), b).tasks
    assert found.settings == {"dtype": ("float32", "bfloat16"), "batch_size": ("None", "8")}
    (other,) = compare_backends(run(tmp_path / "c", backend={"dtype": "float32"}), b).tasks
    assert other.unknown == ("template", "pixels", "attention", "device")


def test_margins_of_agreeing_and_differing_replies_are_told_apart(tmp_path: Path) -> None:
    margins = {number: {"least_margin": 4.0 + number} for number in range(12)} | {0: {"least_margin": 0.01}}
    a = run(tmp_path / "a", counts=margins)
    (found,) = compare_backends(a, run(tmp_path / "b", {0: "Answer: y"})).tasks
    assert found.margins == (10.0, 0.01)
    assert found.differing[0].margins == (0.01, None)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "prompts": ({"prompt_hash": "bb"}, "prompts differs: .*--allow prompts"),
    "choices": ({"choices": {"name": "random"}}, "choices differs: .*--allow choices"),
    "parent": ({"parent": "none"}, "parent differs"),
    "data": ({"data_fingerprint": "ee"}, "data differs"),
    "scoring": ({"scoring": "2"}, "scoring differs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_questions_and_data_are_refused_unless_allowed(name: str, tmp_path: Path) -> None:
    identity, message = REFUSED[name]
    a, b = run(tmp_path / "a"), run(tmp_path / "b", **identity)
    with pytest.raises(ResultsError, match=message):
        compare_backends(a, b)
    assert compare_backends(a, b, allow=[name]).tasks[0].allowed == (name,)


def test_other_weights_are_two_models(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", weights="11"), run(tmp_path / "b", weights="22")
    with pytest.raises(ResultsError, match="weights differs: 11 and 22: these are two models"):
        compare_backends(a, b)
    assert compare_backends(a, b, allow=["weights"]).tasks[0].allowed == ("weights",)
    assert compare_backends(a, run(tmp_path / "server", backend=None)).tasks[0].allowed == ()


def test_other_documents_and_tasks_are_refused(tmp_path: Path) -> None:
    whole = run(tmp_path / "a")
    part = read_run(write_run(tmp_path / "part", [1.0] * 6, CONCEPTS[:6]))
    with pytest.raises(ResultsError, match="they have 6 and 12 documents"):
        compare_backends(part, whole)
    other = read_run(write_run(tmp_path / "other", [1.0], ["a"], task="finer_cub_coarse"))
    with pytest.raises(ResultsError, match="have no task in common"):
        compare_backends(whole, other)


def test_failed_requests_are_refused_or_told_as_such(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b", {0: "[LMMS_EVAL_REQUEST_FAILED after 3 tries]"}, wrong=[0])
    with pytest.raises(ResultsError, match="request_failed"):
        compare_backends(a, b)
    assert compare_backends(a, b, allow=["request_failed"]).tasks[0].reasons == {"no_answer": 1}


def test_many_documents_turned_one_way_are_significant(tmp_path: Path) -> None:
    b = run(tmp_path / "b", dict.fromkeys(range(12), "Answer: y"), wrong=range(12))
    (found,) = compare_backends(run(tmp_path / "a"), b).tasks
    assert found.measure.p < 0.05
    assert found.measure.high < 0


def test_the_command_prints_a_table_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "a")
    run(tmp_path / "b", {2: "Answer: y"}, wrong=[2], backend=BACKEND | {"dtype": "bfloat16"})
    assert main(["compare-backends", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    shown = capsys.readouterr().out
    assert "1 of 1 differing replies: precision, attention or device differ" in shown
    assert "dtype differs: float32 in A, bfloat16 in B" in shown
    assert "cub/test/2 (precision; from word 2 on; score 1 and 0): 'Answer: x' | 'Answer: y'" in shown
    assert main(["compare-backends", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tasks"][0]["verdicts"] == 1
    assert told["tasks"][0]["differing"][0]["id"] == "cub/test/2"
    assert main(["compare-backends", str(tmp_path / "a"), str(tmp_path / "b"), "--allow", "colour"]) == 2
