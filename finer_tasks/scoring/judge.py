"""The figures of one document, from its record and the model's replies; the same for a run, a rescored log and a submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.attributes.lists import parse_lists
from finer_tasks.datasets.concepts import Concepts, concepts_of
from finer_tasks.datasets.record import accepted_labels, dataset_of
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.replies import COUNTED_AS, no_answer, read_reply
from finer_tasks.scoring import classification
from finer_tasks.scoring.attributes import Similarity, rouge, score_attributes
from finer_tasks.scoring.echo import is_echo
from finer_tasks.scoring.seeking import STATES, seek_state
from finer_tasks.scoring.strict import Lexicon, StrictScore, score_strict

Doc = Mapping[str, Any]
Items = dict[str, dict[str, Any]]


def naming_items(doc: Doc, outputs: Sequence[str], level: str, readable: bool = True, parent: str = "none") -> Items:
    """Every figure of a document that was asked for a name; `concept_id` is the cluster of the standard errors.

    em, f1: classification.py. em_strict, depth, lca_distance, named: strict/; beside em_strict stand
    the reason, the names found, how specific they are, and the record, which lmms-eval's sample files leave out. The *_macro
    figures hold the same scores, averaged by concept; *_no_echo leave out the documents whose question told a label
    that counts as right. `parent` is what the question told, as told_parent gives it.
    """
    em, f1, strict = judge(doc, outputs, level, readable)
    items = score_items(em, f1, strict, doc["concept_id"], is_echo(doc, level, parent))
    items["em_strict"] |= {"level": level, "record": record_fields(doc)}
    if len(outputs) > 1:
        items["em_strict"]["rounds"] = list(outputs)
    return items


def judge(doc: Doc, outputs: Sequence[str], level: str, readable: bool = True) -> tuple[float, float, StrictScore]:
    """em, f1 and the strict score of the last reply; all wrong where the image could not be decoded or a reply is none."""
    if missing := no_answer(outputs, readable):
        return 0.0, 0.0, StrictScore(False, missing, (), 0, None)
    answer = read_reply(outputs[-1]).answer
    em, f1 = classification.score(answer, accepted_labels(doc, level))
    return em, f1, score_strict(answer, doc, level, lexicon(dataset_of(doc["id"])))


def score_items(em: float, f1: float, strict: StrictScore, concept_id: str, echo: bool = False) -> Items:
    """The items of all metrics; `score` where a mean over documents is meant, `value` elsewhere."""
    concept: dict[str, Any] = {"concept_id": concept_id}
    right = float(strict.right)
    return {
        "em": {"score": em} | concept,
        "em_macro": {"value": em} | concept,
        "f1": {"score": f1} | concept,
        "f1_macro": {"value": f1} | concept,
        "em_strict": {"score": right}
        | concept
        | {"reason": strict.reason, "named": list(strict.named), "concept": strict.concept}
        | {"specificity": strict.specificity},
        "em_strict_macro": {"value": right} | concept,
        "depth": {"score": float(strict.depth)} | concept,
        "lca_distance": concept if strict.distance is None else {"score": float(strict.distance)} | concept,
        "named": {"score": float(strict.distance is not None)} | concept,
        "echo": {"score": float(echo)} | concept,
        "em_no_echo": concept if echo else {"score": em} | concept,
        "em_strict_no_echo": concept if echo else {"score": right} | concept,
    } | unanswered_items(strict.reason, concept)


def seek_items(doc: Doc, outputs: Sequence[str], level: str) -> Items:
    """Counts of first turns that were empty, did not end, or named the concept before they were asked."""
    first = read_reply(outputs[0])
    state = "" if first.state else seek_state(first.text, accepted_labels(doc, level))
    concept = {"concept_id": doc["concept_id"]}
    return {f"seek_{name}": {"value": float(state == name)} | concept for name in STATES}


def list_items(doc: Doc, outputs: Sequence[str], similarity: Similarity, readable: bool = True) -> Items:
    """The attribute scores of a reply; formulas in attributes.py. Without an answer, as for an empty list."""
    dataset = dataset_of(doc["id"])
    knowledge = load_knowledge(dataset)
    missing = no_answer(outputs, readable)
    lists = parse_lists("" if missing else read_reply(outputs[-1]).text)
    truth = knowledge[doc["concept_id"]]
    siblings = concepts_of(dataset).siblings_of(doc["concept_id"])
    known = {sibling: knowledge.concepts[sibling] for sibling in siblings if sibling in knowledge.concepts}
    scored = score_attributes(lists, truth, known, similarity)
    concept = {"concept_id": doc["concept_id"]}
    items = {f"attr_{name}": {"score": value} | concept for name, value in vars(scored).items()}
    items |= {name: {"score": value} | concept for name, value in rouge(lists, truth).items()}
    items["attr_f1"] |= {"required": list(lists.required), "likely": list(lists.likely), "record": record_fields(doc)}
    items["attr_unparsed"] = {"value": float(not lists.parsed)} | concept
    return items | unanswered_items(missing, concept)


def unanswered_items(reason: str | None, concept: dict[str, Any]) -> Items:
    """The figures that count documents without an answer of the model."""
    return {name: {"value": float(reason == wanted)} | concept for wanted, name in COUNTED_AS.items()}


def record_fields(doc: Doc) -> dict[str, Any]:
    """What a sample file keeps of a document, enough to score its answers again without the images."""
    return {key: doc[key] for key in ("id", "superordinate", "coarse", "fine", "concept_id", "class_id")}


def lexicon(dataset: str) -> Lexicon:
    """All names of a dataset's concepts and of the superordinates to choose from."""
    return _lexicon(dataset, concepts_of(dataset))


@cache
def _lexicon(dataset: str, concepts: Concepts) -> Lexicon:
    return Lexicon.of(load_taxonomy(dataset), concepts)
