from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from finer_tasks import hooks, questions
from finer_tasks.answers import rounds_of
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.prepared import load_prepared
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
