"""lmms-eval scores documents in several threads at once; the figures must not depend on it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk
from lmms_eval.evaluator import _thread_map_ordered
from transformers import BertForSequenceClassification, BertModel

from finer_tasks.attributes import phrases as attribute_phrases
from finer_tasks.datasets import concepts
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.models import similarity
from finer_tasks.scoring import attributes
from finer_tasks.scoring import judge as judging
from finer_tasks.tasks import hooks
from tests.tiny_bert import tiny_bert

REPLY = "<think>a {0} one</think>Required:\n- {0} body\n- {0} wings and no crest\nLikely:\n- {0} tail\nAnswer: {1}"


@pytest.fixture
def documents(mini_data: Path) -> list[dict[str, Any]]:
    table = load_from_disk(str(load_prepared("mini").data))["test"]
    return [dict(table[index]) for index in range(0, len(table), 8)]


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads change places all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def forget() -> None:
    """Every cache that scoring fills."""
    hooks._readable.clear()
    for cached in (
        judging._lexicon, concepts._prepared, concepts._reviewed, attributes._rouge_scorer, similarity.similarity_named,
        attribute_phrases.analyse, attribute_phrases.stem, attribute_phrases._stemmer,
    ):  # fmt: skip
        cached.cache_clear()


def scored(score: Callable[..., Any], documents: list[dict[str, Any]], workers: int) -> list[Any]:
    forget()
    colours = ("red", "blue", "green", "grey", "pale", "dark")

    def one(numbered: tuple[int, dict[str, Any]]) -> tuple[int, Any]:
        number, doc = numbered
        reply = REPLY.format(colours[number % len(colours)], doc["fine"][0] if number % 3 else "Beagle")
        return number, score(doc, [reply])

    return _thread_map_ordered(one, enumerate(documents), max_workers=workers)


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize(
    "score",
    [hooks.score_superordinate, partial(hooks.score_fine_attrseek, parent="gold_joined"), hooks.score_attribute_lists],
)
def test_eight_threads_score_as_one(documents: list[dict[str, Any]], score: Callable[..., Any]) -> None:
    assert scored(score, documents, 8) == scored(score, documents, 1)


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("kind", ["embedding", "nli"])
def test_similarities_by_models_stand_threads(tmp_path: Path, kind: str) -> None:
    architecture = BertForSequenceClassification if kind == "nli" else BertModel
    architecture(
        tiny_bert(tmp_path, id2label={0: "ENTAILMENT", 1: "OTHER"}, label2id={"ENTAILMENT": 0, "OTHER": 1})
    ).save_pretrained(tmp_path)
    words = ("red", "body", "no", "crest", "blue")
    lists = [[" ".join((words * 4)[start : start + length]) for start in range(4)] for length in range(1, 16)]
    lists = [[f"{phrase} {number}" for phrase in phrases] for number in range(2) for phrases in lists]
    at_once = similarity.similarity_named(f"{kind}:{tmp_path}")
    found = _thread_map_ordered(lambda phrases: at_once(phrases, phrases), lists, max_workers=8)
    similarity.similarity_named.cache_clear()
    alone = similarity.similarity_named(f"{kind}:{tmp_path}")
    for phrases, matrix in zip(lists, found, strict=True):
        assert matrix == pytest.approx(alone(phrases, phrases), abs=1e-5)
