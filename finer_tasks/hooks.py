"""The functions that the task YAMLs name. Thin: prompts, scoring and data live in their own modules.

lmms-eval calls some of them from threads and retries those that raise, so none raises for a bad
document: a corrupt image or an odd output is counted and scored as wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from loguru import logger
from PIL import Image

from finer_tasks import questions
from finer_tasks.answers import extract_answer, pack_rounds, rounds_of
from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.datasets.record import LEVELS, accepted_labels
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, NotPreparedError
from finer_tasks.metrics import classification
from finer_tasks.metrics.aggregate import macro_mean, mean, mean_of_known, total  # noqa: F401 (named by YAMLs)
from finer_tasks.metrics.attribute_lists import parse_lists
from finer_tasks.metrics.strict import Lexicon, StrictScore, score_strict
from finer_tasks.questions import dataset_of

Doc = Mapping[str, Any]
_PLACEHOLDER_SIZE = (336, 336)
_readable: dict[str, bool] = {}


def doc_to_visual(doc: Doc) -> list[Image.Image]:
    """The document's image; a gray one, counted and scored as wrong, where the file is corrupt."""
    try:
        image = load_prepared(dataset_of(doc)).image(doc)
        _readable[doc["id"]] = True
    except DatasetContentError as error:
        if _readable.get(doc["id"], True):
            logger.error(f"{doc['id']}: {error}. Scored as wrong; `finer doctor {dataset_of(doc)}` lists all such files")
        _readable[doc["id"]] = False
        image = Image.new("RGB", _PLACEHOLDER_SIZE, (127, 127, 127))
    return [image]


def is_readable(doc: Doc) -> bool:
    """Whether the document's image could be decoded; opens it if this process has not yet (cached answers)."""
    if doc["id"] not in _readable:
        doc_to_visual(doc)
    return _readable[doc["id"]]


def doc_to_text(doc: Doc, lmms_eval_specific_kwargs: Mapping[str, Any]) -> str:
    """The question of a single-turn task: its variant, level and parent as in the YAML."""
    kwargs = lmms_eval_specific_kwargs
    return questions.ask(doc, kwargs.get("variant", "direct"), kwargs["level"], kwargs["parent"])


def doc_to_text_predicted(
    doc: Doc,
    lmms_eval_specific_kwargs: Mapping[str, Any],
    previous_output: Sequence[str] = (),
    round_idx: int | None = None,
    previous_round_info: Any = None,
) -> Any:
    """The chain of questions from superordinate down, each naming the model's own answer one level up.

    First the text of the superordinate question; for later rounds lmms-eval's tuple (images,
    question, whether the rounds are over, replies, info). Each round is a fresh single turn, so
    that it is the same question as the direct one but for the parent.
    """
    levels = LEVELS[: LEVELS.index(lmms_eval_specific_kwargs["level"]) + 1]
    if not round_idx:
        return questions.ask(doc, "direct", levels[0], "none")
    replies = [str(reply) for reply in previous_output]
    if round_idx >= len(levels):
        return None, None, True, [pack_rounds(replies)], None
    parent = questions.as_parent(replies[-1])
    return doc_to_visual(doc), questions.with_parent(doc, levels[round_idx], parent), False, replies, None


def doc_to_text_attrseek(
    doc: Doc,
    lmms_eval_specific_kwargs: Mapping[str, Any],
    previous_output: Sequence[str] = (),
    round_idx: int | None = None,
    previous_round_info: Any = None,
) -> Any:
    """AttrSeek for backends without chat turns: the second question repeats the first one and its reply."""
    level = lmms_eval_specific_kwargs["level"]
    seek = questions.ask(doc, "attrseek_seek", level, "gold_joined")
    if not round_idx:
        return seek
    replies = [str(reply) for reply in previous_output]
    if round_idx >= 2:
        return None, None, True, [pack_rounds(replies)], None
    answer = questions.ask(doc, "attrseek_answer", level, "gold_joined")
    return doc_to_visual(doc), f"{seek}\n{questions.bounded(replies[0])}\n{answer}", False, replies, None


def attrseek_messages(
    doc: Doc,
    lmms_eval_specific_kwargs: Mapping[str, Any],
    round_idx: int | None = None,
    previous_output: Sequence[str] = (),
    previous_round_info: Any = None,
) -> Any:
    """AttrSeek as two true turns: the reply stays in the conversation when the name is asked for.

    Messages of the first turn, then lmms-eval's tuple (messages, whether the rounds are over,
    replies, info).
    """
    level = lmms_eval_specific_kwargs["level"]
    images = [{"type": "image", "url": image} for image in doc_to_visual(doc)]
    seek = {"type": "text", "text": questions.ask(doc, "attrseek_seek", level, "gold_joined")}
    first = [{"role": "user", "content": [*images, seek]}]
    if not round_idx:
        return first
    if round_idx >= 2:
        return None, True, previous_output, None
    answer = questions.ask(doc, "attrseek_answer", level, "gold_joined")
    reply = {"role": "assistant", "content": [{"type": "text", "text": questions.bounded(previous_output[0])}]}
    return [*first, reply, {"role": "user", "content": [{"type": "text", "text": answer}]}], False, previous_output, None


def superordinate_target(doc: Doc) -> list[str]:
    return accepted_labels(dict(doc), "superordinate")


def coarse_target(doc: Doc) -> list[str]:
    return accepted_labels(dict(doc), "coarse")


def fine_target(doc: Doc) -> list[str]:
    return accepted_labels(dict(doc), "fine")


def score_superordinate(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """Scores of one answer at superordinate level; see `score`."""
    return score(doc, results, "superordinate")


def score_coarse(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """Scores of one answer at coarse level; see `score`."""
    return score(doc, results, "coarse")


def score_fine(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """Scores of one answer at fine level; see `score`."""
    return score(doc, results, "fine")


def score_coarse_text(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """As score_coarse, for tasks that show no image."""
    return score(doc, results, "coarse", has_image=False)


def score_fine_text(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """As score_fine, for tasks that show no image."""
    return score(doc, results, "fine", has_image=False)


def score_coarse_attrseek(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """As score_coarse, with the state of the first turn."""
    return score(doc, results, "coarse") | _seek_items(doc, results, "coarse")


def score_fine_attrseek(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """As score_fine, with the state of the first turn."""
    return score(doc, results, "fine") | _seek_items(doc, results, "fine")


def _seek_items(doc: Doc, results: Sequence[Any], level: str) -> dict[str, Any]:
    """Counts of first turns that were empty, did not end, or named the concept before they were asked."""
    state = questions.seek_state(rounds_of(results)[0], accepted_labels(dict(doc), level))
    concept = {"concept_id": doc["concept_id"]}
    return {f"seek_{name}": {"value": float(state == name)} | concept for name in questions.SEEK_STATES}


def score_attribute_lists(doc: Doc, results: Sequence[Any], similarity: str = "lexical") -> dict[str, Any]:
    """Attribute scores of a reply from the image; formulas in metrics/attributes.py.

    `similarity` is bound from the YAML or FINER_SIMILARITY when the task is loaded.
    """
    return _attribute_items(doc, results, True, similarity)


def score_attribute_lists_text(doc: Doc, results: Sequence[Any], similarity: str = "lexical") -> dict[str, Any]:
    """Attribute scores of a reply from the concept's name."""
    return _attribute_items(doc, results, False, similarity)


def _attribute_items(doc: Doc, results: Sequence[Any], has_image: bool, similarity: str) -> dict[str, Any]:
    from finer_tasks.metrics import attributes

    dataset = dataset_of(doc)
    knowledge = load_knowledge(dataset)
    output = rounds_of(results)[-1]
    readable = not has_image or is_readable(doc)
    lists = parse_lists(output) if readable else parse_lists("")
    truth = knowledge[doc["concept_id"]]
    siblings = {i: knowledge.concepts[i] for i in siblings_of(dataset, doc["concept_id"]) if i in knowledge.concepts}
    scored = attributes.score_attributes(lists, truth, siblings, attributes.similarity_named(similarity))
    concept = {"concept_id": doc["concept_id"]}
    items = {f"attr_{name}": {"score": value} | concept for name, value in vars(scored).items()}
    items |= {name: {"score": value} | concept for name, value in attributes.rouge(lists, truth).items()}
    items["attr_f1"] |= {"required": list(lists.required), "likely": list(lists.likely), "record": record_fields(doc)}
    items["attr_unparsed"] = {"value": float(not lists.parsed)} | concept
    items["corrupt_images"] = {"value": float(not readable)} | concept
    return items


@cache
def siblings_of(dataset: str, concept_id: str) -> tuple[str, ...]:
    """Concepts with the same first coarse label, itself left out."""
    concepts = load_prepared(dataset).concepts()
    coarse = next(concept.coarse[0] for concept in concepts if concept.concept_id == concept_id)
    return tuple(c.concept_id for c in concepts if c.coarse[0] == coarse and c.concept_id != concept_id)


def score(doc: Doc, results: Sequence[Any], level: str, has_image: bool = True) -> dict[str, Any]:
    """Every figure of one document; `concept_id` is the cluster of the standard errors.

    em, f1: metrics/classification.py. em_strict, depth, lca_distance, named: metrics/strict.py;
    beside em_strict stand the reason, the names found and the record, since lmms-eval's sample
    files leave the document out. The *_macro figures hold the same scores, averaged by concept.
    """
    rounds = rounds_of(results)
    answer = extract_answer(rounds[-1])
    em, f1, strict = judge(doc, answer, level, readable=not has_image or is_readable(doc))
    items = score_items(em, f1, strict, doc["concept_id"])
    items["em_strict"] |= {"level": level, "record": record_fields(doc)} | ({"rounds": rounds} if len(rounds) > 1 else {})
    return items


def judge(doc: Doc, answer: str, level: str, readable: bool = True) -> tuple[float, float, StrictScore]:
    """em, f1 and the strict score of an answer; all wrong where the image could not be decoded."""
    if not readable:
        return 0.0, 0.0, StrictScore(False, "corrupt_image", (), 0, None)
    em, f1 = classification.score(answer, accepted_labels(dict(doc), level))
    return em, f1, score_strict(answer, doc, level, lexicon(dataset_of(doc)))


def score_items(em: float, f1: float, strict: StrictScore, concept_id: str) -> dict[str, dict[str, Any]]:
    """The items of all metrics; `score` where a mean over documents is meant, `value` elsewhere."""
    concept = {"concept_id": concept_id}
    right = float(strict.right)
    return {
        "em": {"score": em} | concept,
        "em_macro": {"value": em} | concept,
        "f1": {"score": f1} | concept,
        "f1_macro": {"value": f1} | concept,
        "em_strict": {"score": right} | concept | {"reason": strict.reason, "named": list(strict.named)},
        "em_strict_macro": {"value": right} | concept,
        "depth": {"score": float(strict.depth)} | concept,
        "lca_distance": concept if strict.distance is None else {"score": float(strict.distance)} | concept,
        "named": {"score": float(strict.distance is not None)} | concept,
        "corrupt_images": {"value": float(strict.reason == "corrupt_image")} | concept,
    }


def record_fields(doc: Doc) -> dict[str, Any]:
    """What a sample file keeps of a document, enough to score its answers again without the images."""
    return {key: doc[key] for key in ("id", "superordinate", "coarse", "fine", "concept_id", "class_id")}


@cache
def lexicon(dataset: str) -> Lexicon:
    """All names of a dataset's concepts (as prepared, else as in its taxonomy) and of the superordinates to choose from."""
    taxonomy = load_taxonomy(dataset)
    try:
        concepts = load_prepared(dataset).concepts()
    except NotPreparedError:
        if not taxonomy.classes:
            raise
        concepts = list({concept.concept_id: concept for concept in taxonomy.classes.values()}.values())
    superordinates = {name: taxonomy.superordinate_aliases.get(name, ()) for name in taxonomy.superordinate_choices}
    return Lexicon(concepts, superordinates)
