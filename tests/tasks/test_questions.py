from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.replies import rounds_of
from finer_tasks.scoring import seeking
from finer_tasks.tasks import hooks, questions
from tests import official


@pytest.fixture
def doc(mini_data: Path) -> dict[str, Any]:
    return dict(load_from_disk(str(load_prepared("mini").data))["test"][0])


def test_what_each_arm_tells(doc: dict[str, Any]) -> None:
    asked = {v: questions.ask(doc, v, "fine", "gold") for v in ("direct", "text", "both", "parent_only", "attrseek1", "cot")}
    assert all('"Finch"' in text for text in asked.values())
    assert all("Alder" not in text for text in asked.values())
    assert {v for v, text in asked.items() if "red body" in text} == {"text", "both"}


def test_worked_examples_give_no_label_of_a_dataset_away(doc: dict[str, Any]) -> None:
    from finer_tasks.datasets.taxonomy import load_taxonomy

    text = questions.ask(doc, "cot_fewshot", "fine", "gold")
    for dataset in ("cub", "aircraft", "dogs", "cars", "nabirds", "mini"):
        for concept in load_taxonomy(dataset).classes.values():
            assert concept.fine[0] not in text


def test_the_seek_question_joins_alternative_groups_and_the_others_name_the_first(tmp_path: Path) -> None:
    prepare(Request("nabirds", official.nabirds(tmp_path / "n"), allow_partial=True))
    doc = dict(load_from_disk(str(load_prepared("nabirds").data))["test"][1])
    assert "Warbler/Wood-Warbler/Wood-Warblers" in questions.ask(doc, "attrseek_seek", "fine", "gold_joined")
    assert '"Warbler"' in questions.ask(doc, "cot", "fine", "gold")


def test_ranks_are_told_where_the_dataset_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finer_tasks.attributes.knowledge import ConceptAttributes, knowledge_path, write_knowledge

    prepare(Request("inat", official.inat(tmp_path / "i"), ("test",), allow_partial=True))
    write_knowledge(knowledge_path("inat"), [ConceptAttributes("anas_platyrhynchos", "Mallard", ("green head",), ())])
    doc = next(
        dict(d) for d in load_from_disk(str(load_prepared("inat").data))["test"] if d["concept_id"] == "anas_platyrhynchos"
    )
    text = questions.ask(doc, "text", "fine", "gold")
    assert "family Anatidae, genus Anas" in text
    assert "green head" in text
    assert "genus" not in questions.ask(doc, "both", "fine", "gold")


def test_attrseek_keeps_the_reply_in_the_conversation(doc: dict[str, Any]) -> None:
    kwargs = {"level": "fine", "parent": "gold", "variant": "attrseek"}
    first = hooks.attrseek_messages(doc, kwargs)
    assert [part["type"] for part in first[0]["content"]] == ["image", "text"]
    turns, is_last, _, _ = hooks.attrseek_messages(doc, kwargs, round_idx=1, previous_output=["- red body"])
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"][0]["text"] == "- red body"
    assert not is_last
    assert all(part["type"] == "text" for part in turns[2]["content"])
    assert hooks.attrseek_messages(doc, kwargs, round_idx=2, previous_output=["a", "b"])[1] is True


def test_attrseek_without_chat_turns_repeats_what_was_said(doc: dict[str, Any]) -> None:
    kwargs = {"level": "fine", "parent": "gold", "variant": "attrseek"}
    first = hooks.doc_to_text_attrseek(doc, kwargs)
    images, second, is_last, _, _ = hooks.doc_to_text_attrseek(doc, kwargs, previous_output=["- red body"], round_idx=1)
    assert (len(images), is_last) == (1, False)
    assert second.startswith(first)
    assert "- red body" in second
    _, _, is_last, packed, _ = hooks.doc_to_text_attrseek(doc, kwargs, previous_output=["a", "b"], round_idx=2)
    assert is_last
    assert rounds_of(packed) == ["a", "b"]


@pytest.mark.parametrize(
    ("reply", "state", "put_back"),
    [
        ("- red body\n- no crest", "", "- red body\n- no crest"),
        ("  ", "empty", "(nothing)"),
        ("It is the Alder Finch.\n- red body", "named", "It is the Alder Finch.\n- red body"),
        ("- red body\n" * 30, "endless", "- red body"),
        ("\n".join(f"- attribute {n}" for n in range(60)), "endless", "\n".join(f"- attribute {n}" for n in range(40))),
    ],
)
def test_odd_first_turns_are_counted_and_bounded(reply: str, state: str, put_back: str) -> None:
    assert seeking.seek_state(reply, ["Alder Finch"]) == state
    assert questions.bounded(reply) == put_back


def test_states_of_first_turns_are_counted_by_document(doc: dict[str, Any]) -> None:
    items = hooks.score_fine_attrseek(doc, [["", "Answer: Alder Finch"]])
    assert items["em"]["score"] == 1.0
    assert [items[f"seek_{name}"]["value"] for name in seeking.STATES] == [1.0, 0.0, 0.0]
    assert items["em_strict"]["rounds"] == ["", "Answer: Alder Finch"]


def test_attribute_lists_are_scored_against_the_knowledge_base(doc: dict[str, Any]) -> None:
    items = hooks.score_attribute_lists_text(doc, ["Required:\n- red body\n- no crest\nLikely:\n- none"])
    assert items["attr_recall_required"]["score"] == 1.0
    assert items["attr_discriminability"]["score"] == 1.0
    assert items["attr_f1"]["required"] == ["red body", "no crest"]
    prose = hooks.score_attribute_lists_text(doc, ["It is red."])
    assert (prose["attr_f1"]["score"], prose["attr_unparsed"]["value"]) == (0.0, 1.0)
    assert prose["attr_discriminability"]["score"] == pytest.approx(1 / 4)
