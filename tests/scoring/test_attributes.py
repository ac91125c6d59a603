"""Attribute scores, worked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertForSequenceClassification, BertModel

from finer_tasks.attributes.cub_human import read_cub_human
from finer_tasks.attributes.knowledge import ConceptAttributes
from finer_tasks.attributes.lists import parse_lists
from finer_tasks.attributes.phrases import contradicts, contradicts_list
from finer_tasks.errors import KnowledgeError
from finer_tasks.models.similarity import similarity_named
from finer_tasks.scoring.attributes import LexicalSimilarity, rouge, score_attributes
from tests.tiny_bert import tiny_bert


def concept(name: str, required: list[str], likely: list[str]) -> ConceptAttributes:
    return ConceptAttributes(name, name, tuple(required), tuple(likely))


RED = concept("red", ["red body", "no crest"], ["white belly", "gray wing"])
BLUE = concept("blue", ["blue body", "no crest"], ["white belly", "gray wing"])
CRESTED = concept("crested", ["red body", "black crest"], ["white belly", "gray wing"])
SIBLINGS = {"blue": BLUE, "crested": CRESTED}


def scored(text: str, truth: ConceptAttributes = RED, siblings: dict[str, ConceptAttributes] = SIBLINGS) -> Any:
    return score_attributes(parse_lists(text), truth, siblings, LexicalSimilarity())


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("yellow bill", "black bill", True),
        ("grey wing", "gray wing", False),
        ("black and white wing", "white wing", False),
        ("no crest", "black crest", True),
        ("without a crest", "no crest", False),
        ("yellow bill", "yellow legs", False),
        ("long yellow bill", "black bill", True),
        ("black wing tips", "white wing", False),
        ("white wing bars", "black wings", False),
        ("black wings without white bars", "black wings", False),
        ("black wings without white bars", "white wing bars", True),
        ("no white on the wings", "black wings", False),
        ("no black on the wings", "black wings", True),
        ("white on the wings", "black wings", False),
        ("white wings", "black wings", True),
        ("wings are not black", "black wings", True),
        ("bill is not hooked", "hooked bill", True),
        ("bill is not hooked", "black bill", False),
        ("lacks a crest", "red crest", True),
        ("crest absent", "red crest", True),
        ("no black crest", "red crest", False),
        ("no crest or collar", "white collar", True),
        ("black cap and white cheeks", "white cap", True),
        ("black cap, white cheeks", "white cheeks", False),
        ("black bill with yellow tip", "black bill tip", True),
        ("black bill with yellow tip", "white tail tip", False),
        ("white belly with black spots", "black belly", True),
        ("yellow to light orange coat", "orange coat", False),
        ("red/orange crest", "orange crest", False),
        ("white eye ring", "black eyes", False),
        ("red-eyed", "black eyes", True),
        ("striped wing", "long wing", False),
    ],
)
def test_contradictions(one: str, other: str, expected: bool) -> None:
    assert contradicts(one, other) is expected
    assert contradicts(other, one) is expected


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [
        ("red body", "red body", 1.0),
        ("a red body", "body, red", 1.0),
        ("wings of gray", "gray wing", 1.0),  # stems
        ("red body", "red tail", 0.5),
        ("dark red body", "red body", 0.8),  # 2*2/(3+2)
        ("yellow bill", "black bill", 0.0),
        ("round windows", "long tail", 0.0),
        ("no crest", "without a crest", 1.0),
        ("no white on the wings", "white wing bars", 0.4),  # of "no white", "wing" only "wing" is in both
    ],
)
def test_lexical_similarity(one: str, other: str, value: float) -> None:
    assert LexicalSimilarity()([one], [other])[0, 0] == pytest.approx(value)


def test_a_perfect_list() -> None:
    found = scored("Required:\n- red body\n- no crest\nLikely:\n- white belly\n- gray wing")
    assert (found.precision, found.recall, found.f1, found.recall_required) == (1, 1, 1, 1)
    assert (found.contradiction, found.hallucination, found.discriminability, found.discriminability_rank) == (0, 0, 1, 1)


def test_required_attributes_weigh_twice() -> None:
    """Two required of weight 1 and two likely of weight 0.5: the required alone are 2/3 of the recall."""
    found = scored("Required:\n- red body\n- no crest")
    assert found.precision == 1
    assert found.recall == pytest.approx(2 / 3)
    assert found.f1 == pytest.approx(0.8)
    assert found.recall_required == 1
    likely = scored("Likely:\n- white belly\n- gray wing")
    assert likely.recall == pytest.approx(1 / 3)
    assert likely.recall_required == 0


def test_each_reference_is_matched_once() -> None:
    """Three phrases that all say "red body" match one reference: precision 1/3."""
    found = scored("Required:\n- red body\n- body red\n- the body is red")
    assert found.precision == pytest.approx(1 / 3)
    assert found.recall == pytest.approx(1 / 3)


def test_a_siblings_list_contradicts_hallucinates_and_does_not_discriminate() -> None:
    found = scored("Required:\n- blue body\n- no crest")
    assert found.contradiction == pytest.approx(1 / 2)  # blue body against red body
    assert found.hallucination == pytest.approx(1 / 2)  # it is true of the sibling
    assert found.discriminability == 0
    assert found.discriminability_rank == 2


def test_a_part_of_two_colors_contradicts_neither() -> None:
    truth = concept("pied", ["black wing", "white wing", "red bill"], [])
    found = scored("Required:\n- white wing\n- black wing\n- black bill with white wing", truth, {})
    assert found.contradiction == pytest.approx(1 / 3)  # the bill


def test_no_human_list_of_cub_contradicts_itself(real: Path) -> None:
    for entry in read_cub_human(real / "cub"):
        phrases = (*entry.required, *entry.likely)
        assert not any(contradicts_list(phrase, phrases) for phrase in phrases), entry.concept_id


def test_what_all_siblings_share_leaves_a_tie() -> None:
    found = scored("Likely:\n- white belly")
    assert found.discriminability == pytest.approx(1 / 3)
    assert found.discriminability_rank == 2  # better ones 0, two tied: 1 + 2/2


def test_nothing_generated_and_nothing_to_find() -> None:
    silent = scored("no list at all")
    assert (silent.precision, silent.recall, silent.f1, silent.contradiction) == (0, 0, 0, 0)
    nothing = scored("Required:\n- none", truth=concept("x", [], []), siblings={})
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.recall_required) == (1, 1, 1, 1)


def test_rouge_of_equal_and_of_empty_lists() -> None:
    same = rouge(parse_lists("Required:\n- red body\n- no crest\nLikely:\n- white belly\n- gray wing"), RED)
    assert same == {"rouge1": 1.0, "rouge2": 1.0, "rougeL": 1.0}
    assert rouge(parse_lists(""), RED) == {"rouge1": 0.0, "rouge2": 0.0, "rougeL": 0.0}
    half = rouge(parse_lists("Required:\n- red body\n- no crest"), RED)
    assert half["rouge1"] == pytest.approx(2 * 4 / (4 + 8))


@given(
    st.lists(
        st.sampled_from(["red body", "no crest", "white belly", "gray wing", "blue body", "long tail"]), unique=True, max_size=6
    )
)
def test_scores_stay_in_bounds(phrases: list[str]) -> None:
    found = scored("Required:\n" + "\n".join(f"- {p}" for p in phrases) + "\n- none")
    for name in ("precision", "recall", "f1", "recall_required", "contradiction", "hallucination", "discriminability"):
        assert 0 <= getattr(found, name) <= 1 + 1e-9
    assert 1 <= found.discriminability_rank <= 3


def test_similarities_by_name() -> None:
    assert similarity_named("lexical").name == "lexical"
    with pytest.raises(KnowledgeError, match="unknown similarity 'embedding'; give lexical, embedding:<model>"):
        similarity_named("embedding")
    with pytest.raises(KnowledgeError, match="the model cannot be loaded"):
        similarity_named("nli:/nonexistent/model")


def test_entailment_by_a_transformers_model(tmp_path: Path) -> None:
    """A tiny random classifier in the real format: shapes, caching and contradictions, not quality."""
    names = {0: "contradiction", 1: "neutral", 2: "entailment"}
    labels = {"label2id": {name: index for index, name in names.items()}, "id2label": names}
    BertForSequenceClassification(tiny_bert(tmp_path, **labels)).save_pretrained(tmp_path)
    similarity = similarity_named(f"nli:{tmp_path}")
    matrix = similarity(["red body", "blue body"], ["red body", "no crest"])
    assert matrix.shape == (2, 2)
    assert 0 < matrix[0, 0] < 1
    assert matrix[1, 0] == 0  # a contradiction, whatever the model says
    np.testing.assert_array_equal(similarity(["red body"], ["red body"])[0, 0], matrix[0, 0])


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    BertForSequenceClassification(tiny_bert(tmp_path)).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(KnowledgeError, match="the model cannot be loaded"):
        similarity_named(f"nli:{tmp_path}")


def test_a_classifier_without_entailment_is_refused(tmp_path: Path) -> None:
    BertForSequenceClassification(tiny_bert(tmp_path)).save_pretrained(tmp_path)
    with pytest.raises(KnowledgeError, match="label_0, label_1 name no entailment"):
        similarity_named(f"nli:{tmp_path}")


def test_embedding_by_a_sentence_transformers_model(tmp_path: Path) -> None:
    BertModel(tiny_bert(tmp_path)).save_pretrained(tmp_path)
    similarity = similarity_named(f"embedding:{tmp_path}")
    matrix = similarity(["red body", "blue body", "crest"], ["red body", "no crest"])
    assert matrix[0, 0] == pytest.approx(1)
    assert 0 <= matrix[0, 1] < 1
    assert (matrix[1, 0], matrix[2, 1]) == (0, 0)  # contradictions
    assert similarity([], ["red body"]).shape == (0, 1)
    score = score_attributes(parse_lists("Required:\n- red body\n- no crest"), RED, SIBLINGS, similarity)
    assert score.recall_required == pytest.approx(1)
