from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.replies import rounds_of
from finer_tasks.tasks import hooks, questions
from tests import official


@pytest.fixture
def doc(mini_data: Path) -> dict[str, Any]:
    return dict(load_from_disk(str(load_prepared("mini").data))["test"][0])


def test_the_parent_of_a_question(doc: dict[str, Any]) -> None:
    assert '"Finch"' in hooks.doc_to_text(doc, {"level": "fine", "parent": "gold"})
    assert '"Bird"' in hooks.doc_to_text(doc, {"level": "coarse", "parent": "gold"})
    assert "Finch" not in hooks.doc_to_text(doc, {"level": "fine", "parent": "none"})


def test_predicted_parents_go_down_the_levels_with_the_models_own_answers(doc: dict[str, Any]) -> None:
    kwargs = {"level": "fine", "parent": "predicted"}
    first = hooks.doc_to_text_predicted(doc, kwargs)
    assert first == questions.with_parent(doc, "superordinate", None)
    replies = ["Answer: Car"]
    images, second, is_last, kept, _ = hooks.doc_to_text_predicted(doc, kwargs, previous_output=replies, round_idx=1)
    assert (len(images), is_last, kept) == (1, False, replies)
    assert '"Car"' in second
    replies.append('<b>"Sedan"</b>\x00\nand more')
    _, third, _, _, _ = hooks.doc_to_text_predicted(doc, kwargs, previous_output=replies, round_idx=2)
    assert '"<b> Sedan </b>"' in third
    replies.append("Answer: Sedan Alto")
    _, _, is_last, kept, _ = hooks.doc_to_text_predicted(doc, kwargs, previous_output=replies, round_idx=3)
    assert is_last
    assert rounds_of(kept) == replies


def test_an_empty_prediction_leaves_the_parent_out(doc: dict[str, Any]) -> None:
    _, text, _, _, _ = hooks.doc_to_text_predicted(
        doc, {"level": "coarse", "parent": "predicted"}, previous_output=[" "], round_idx=1
    )
    assert text == questions.with_parent(doc, "coarse", None)


def test_scores_of_a_document(doc: dict[str, Any]) -> None:
    items = hooks.score_fine(doc, ["It is small. Answer: Alder Finch</s>"])
    assert items["em"] == {"score": 1.0, "concept_id": "alder_finch"}
    assert items["em_strict"]["reason"] == "right"
    assert items["em_strict"]["record"]["id"] == doc["id"]
    assert items["depth"]["score"] == 3.0
    assert items["corrupt_images"]["value"] == 0.0
    wrong = hooks.score_coarse(doc, ["Answer: Heron"])
    assert (wrong["em"]["score"], wrong["em_strict"]["reason"], wrong["lca_distance"]["score"]) == (0.0, "wrong_coarse", 2.0)
    silent = hooks.score_superordinate(doc, [""])
    assert silent["em_strict"]["reason"] == "empty"
    assert "score" not in silent["lca_distance"]


def test_a_corrupt_image_is_counted_and_wrong_whatever_the_answer(tmp_path: Path) -> None:
    root = official.cub(tmp_path / "cub")
    result = prepare(Request("cub", root, allow_partial=True))
    doc = dict(load_from_disk(str(result.data))["test"][0])
    path = root / doc["image"]
    path.write_bytes(path.read_bytes()[:200])
    hooks._readable.clear()
    items = hooks.score_fine(doc, ["Answer: Black-footed Albatross"])
    assert (items["em"]["score"], items["corrupt_images"]["value"]) == (0.0, 1.0)
    assert items["em_strict"]["reason"] == "corrupt_image"
    assert hooks.doc_to_visual(doc)[0].size == (336, 336)
    hooks._readable.clear()


FAILED = "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Error code: 429 - Alder Finch"


@pytest.mark.parametrize(
    ("results", "em", "reason"),
    [
        (["<think>A Heron?</think>\nAnswer: Alder Finch"], 1.0, "right"),
        (["It may be a Heron.</think><answer>Alder Finch</answer>"], 1.0, "right"),
        (["<think>Surely an Alder Finch, because"], 0.0, "unfinished_thought"),
        ([FAILED], 0.0, "request_failed"),
        ([None], 0.0, "request_failed"),
        ([[FAILED, "Alder Finch"]], 0.0, "request_failed"),
        ([["<think>hm", "Alder Finch"]], 0.0, "unfinished_thought"),
    ],
)
def test_only_an_answer_can_be_right(doc: dict[str, Any], results: list[Any], em: float, reason: str) -> None:
    items = hooks.score_fine(doc, results)
    assert (items["em"]["score"], items["em_strict"]["reason"]) == (em, reason)
    counts = [items[name]["value"] for name in ("corrupt_images", "failed_requests", "unfinished_thoughts")]
    assert counts == [0.0, float(reason == "request_failed"), float(reason == "unfinished_thought")]


def test_lists_are_read_outside_of_thoughts(doc: dict[str, Any]) -> None:
    said = hooks.score_attribute_lists_text(
        doc, ["<think>Required:\n- blue body</think>Required:\n- red body\nLikely:\n- none"]
    )
    assert said["attr_f1"]["required"] == ["red body"]
    for reply, name in ((FAILED, "failed_requests"), ("<think>Required:\n- red body", "unfinished_thoughts")):
        items = hooks.score_attribute_lists_text(doc, [reply])
        assert (items["attr_f1"]["score"], items["attr_f1"]["required"], items[name]["value"]) == (0.0, [], 1.0)


def test_the_next_question_names_answers_and_no_thoughts(doc: dict[str, Any]) -> None:
    kwargs = {"level": "coarse", "parent": "predicted"}
    thought = ["<think>a Car?</think>Answer: Bird"]
    _, text, is_last, _, _ = hooks.doc_to_text_predicted(doc, kwargs, previous_output=thought, round_idx=1)
    assert (text, is_last) == (questions.with_parent(doc, "coarse", "Bird"), False)
    for thought in (["<think>a Bird"], ["<think>" + "x" * 20_000 + "</think>"]):
        _, text, _, _, _ = hooks.doc_to_text_predicted(doc, kwargs, previous_output=thought, round_idx=1)
        assert text == questions.with_parent(doc, "coarse", None)
    kwargs = {"level": "fine", "parent": "gold", "variant": "attrseek"}
    turns, _, _, _ = hooks.attrseek_messages(doc, kwargs, round_idx=1, previous_output=["<think>hm</think>- red body"])
    assert turns[1]["content"][0]["text"] == "- red body"


def test_nothing_more_is_asked_once_a_request_has_failed(doc: dict[str, Any]) -> None:
    for failed in (FAILED, None):
        for ask, variant, parent in (
            (hooks.doc_to_text_predicted, "direct", "predicted"),
            (hooks.doc_to_text_attrseek, "attrseek", "gold"),
        ):
            kwargs = {"level": "fine", "variant": variant, "parent": parent}
            _, _, is_last, packed, _ = ask(doc, kwargs, previous_output=[failed], round_idx=1)
            assert is_last
            assert hooks.score_fine(doc, packed)["em_strict"]["reason"] == "request_failed"
        assert hooks.attrseek_messages(doc, kwargs, round_idx=1, previous_output=[failed])[1] is True
    seek = hooks.score_fine_attrseek(doc, [[FAILED]])
    assert (seek["failed_requests"]["value"], seek["seek_empty"]["value"]) == (1.0, 0.0)


def test_documents_whose_question_tells_the_answer_are_marked_and_left_out_beside(doc: dict[str, Any]) -> None:
    cardinal = doc | {"coarse": ["Cardinal"], "fine": ["Cardinal"]}
    phoebe = doc | {"coarse": ["Tyrant Flycatcher", "Phoebe"], "fine": ["Phoebe"]}
    told = {"gold": [cardinal], "gold_joined": [cardinal, phoebe], "none": []}
    for parent, echoes in told.items():
        for one in (doc, cardinal, phoebe):
            items = hooks.score_fine(one, ["Answer: none of these"], parent=parent)
            assert items["echo"]["score"] == float(one in echoes)
            assert ("score" in items["em_no_echo"]) is (one not in echoes)
            assert ("score" in items["em_strict_no_echo"]) is (one not in echoes)
    assert hooks.score_superordinate(cardinal, ["Bird"], parent="gold")["echo"]["score"] == 0.0
