"""The functions that the task YAMLs name. Thin: prompts, scoring and data live in their own modules.

lmms-eval calls some of them from threads and retries those that raise, so none raises for a bad
document: a corrupt image or an odd output is counted and scored as wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from loguru import logger
from PIL import Image

from finer_tasks.answers import extract_answer
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.datasets.record import LEVELS, accepted_labels
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, NotPreparedError
from finer_tasks.metrics import classification
from finer_tasks.metrics.aggregate import macro_mean, mean, mean_of_known, total  # noqa: F401 (named by YAMLs)
from finer_tasks.metrics.strict import Lexicon, StrictScore, score_strict
from finer_tasks.prompts import active_prompt_set, parent_level

Doc = Mapping[str, Any]
PARENTS = ("gold", "predicted", "none")
_MAX_PARENT_LENGTH = 80
_PLACEHOLDER_SIZE = (336, 336)
_readable: dict[str, bool] = {}


def dataset_of(doc: Doc) -> str:
    """The dataset a document belongs to, from its id."""
    return str(doc["id"]).split("/", 1)[0]


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
    """The direct question of the task's level, naming the gold parent or none."""
    level = lmms_eval_specific_kwargs["level"]
    above = parent_level(level)
    parent = gold_label(doc, above) if above and lmms_eval_specific_kwargs["parent"] == "gold" else None
    return question(doc, level, parent)


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
        return question(doc, levels[0], None)
    replies = [str(reply) for reply in previous_output]
    if round_idx >= len(levels):
        return None, None, True, [json.dumps({"rounds": replies}, ensure_ascii=False)], None
    return doc_to_visual(doc), question(doc, levels[round_idx], _as_parent(replies[-1])), False, replies, None


def question(doc: Doc, level: str, parent: str | None) -> str:
    """The question of a level in the active prompt set."""
    return active_prompt_set().question("direct", level, load_taxonomy(dataset_of(doc)), parent)


def gold_label(doc: Doc, level: str) -> str:
    """The label of a level that prompts name: the first of the list."""
    return doc["superordinate"] if level == "superordinate" else doc[level][0]


def _as_parent(reply: str) -> str | None:
    """A model's answer made fit to be named in the next question: one line, no control characters, bounded."""
    first_line = next(iter(extract_answer(reply[:10_000]).splitlines()), "")
    cleaned = re.sub(r"[\x00-\x1f\x7f\"]", " ", first_line)
    return " ".join(cleaned.split())[:_MAX_PARENT_LENGTH].rstrip(" .") or None


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


def score(doc: Doc, results: Sequence[Any], level: str) -> dict[str, Any]:
    """Every figure of one document; `concept_id` is the cluster of the standard errors.

    em, f1: metrics/classification.py. em_strict, depth, lca_distance, named: metrics/strict.py;
    beside em_strict stand the reason, the names found and the record, since lmms-eval's sample
    files leave the document out. The *_macro figures hold the same scores, averaged by concept.
    """
    rounds = rounds_of(results)
    answer = extract_answer(rounds[-1])
    if is_readable(doc):
        em, f1 = classification.score(answer, accepted_labels(dict(doc), level))
        strict = score_strict(answer, doc, level, lexicon(dataset_of(doc)))
    else:
        em, f1, strict = 0.0, 0.0, StrictScore(False, "corrupt_image", (), 0, None)
    items = score_items(em, f1, strict, doc["concept_id"])
    items["em_strict"] |= {"level": level, "record": record_fields(doc)} | ({"rounds": rounds} if len(rounds) > 1 else {})
    return items


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


def rounds_of(results: Sequence[Any]) -> list[str]:
    """All replies of a document, whichever way lmms-eval hands them over: text, list, or our JSON of rounds."""
    value: Any = results[0] if results else ""
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (list, tuple)):
        return [str(reply) for reply in value] or [""]
    text = "" if value is None else str(value)
    if text.startswith('{"rounds"'):
        try:
            return [str(reply) for reply in json.loads(text)["rounds"]] or [""]
        except (ValueError, KeyError, TypeError):
            return [text]
    return [text]


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
