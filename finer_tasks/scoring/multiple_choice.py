"""The figures of a document whose question offered options: of the answer, or of the likelihoods of letters and names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from finer_tasks.options.choosing import Options
from finer_tasks.replies import no_answer, read_reply
from finer_tasks.scoring.chosen import RIGHT, WRONG, Chosen, by_any_letter, by_first_letter, read_choice
from finer_tasks.scoring.closed import losses
from finer_tasks.scoring.judge import Items, record_fields, unanswered_items

# The figures that name the two kinds of task; beside them stand the options, what was chosen, and the record.
DETAIL, LIKELIHOOD_DETAIL = "mc", "mc_letter"
# What is scored by likelihood: the letter, and the name by its sum and by its mean over tokens.
LIKELIHOODS = ("mc_letter", "mc_name_sum", "mc_name_norm")
RULES = ("mc_foci_rule", "mc_tara_rule")
# The generation argument of a request that asks for the likelihoods of the options of a level ("coarse" or "fine").
OFFERED = "offered"


def choice_items(
    doc: Mapping[str, Any],
    outputs: Sequence[str],
    level: str,
    options: Options,
    readable: bool = True,
    literally: bool = False,
) -> Items:
    """Every figure of an answer; `score` where a mean over documents is meant, `value` elsewhere.

    mc: whether the answer chooses the right option, by letter or name; mc_chance: the same, from which the aggregation takes
    what guessing gives; mc_chose: whether it chooses any option; *_rule: by the reading of a published benchmark, which takes
    the reply `literally`, with any "Answer:" in it, where its protocol asked the question.
    """
    concept: dict[str, Any] = {"concept_id": doc["concept_id"]}
    missing = no_answer(outputs, readable)
    reply = read_reply(outputs[-1])
    chosen = Chosen(None, missing) if missing else read_choice(reply.answer, doc, level, options)
    first = letter = None
    if not missing:
        text = reply.text if literally else reply.answer
        first, letter = by_first_letter(text, options), by_any_letter(text, options)
    position = chosen.position
    reason = chosen.reason if position is None else RIGHT if position == options.right else WRONG
    right = float(position == options.right)
    detail = {"reason": reason, "by": chosen.by, "level": level, "record": record_fields(doc)} | _offered(options, position)
    return {
        "mc": {"score": right} | concept | detail,
        "mc_macro": {"value": right} | concept,
        "mc_chance": {"value": right, "of": len(options.names)} | concept,
        "mc_chose": {"score": float(position is not None)} | concept,
        "mc_foci_rule": {"score": float(first == options.right)} | concept,
        "mc_tara_rule": {"score": float(letter == options.right)} | concept,
    } | unanswered_items(missing, concept)


def replies_to_score(options: Options) -> list[str]:
    """What is scored by likelihood: each letter, then each name; as replies, all stand behind `LEAD`."""
    return [*options.letters, *options.names]


def pack(options: Options, total: Sequence[float], norm: Sequence[float]) -> str:
    """Log-likelihoods of `replies_to_score`, by sum and by mean over tokens, as the text of a reply."""
    return json.dumps({"keys": list(options.keys), "sum": list(map(float, total)), "norm": list(map(float, norm))})


def likelihood_items(
    doc: Mapping[str, Any], results: Sequence[Any], level: str, options: Options, readable: bool = True
) -> Items:
    """Every figure of likelihoods: the reply of `pack`, or the mean loss of each of `replies_to_score`.

    Wrong by every score where the image could not be decoded or the results are neither. Mean losses give no sum, which is
    then left out.
    """
    packed = len(results) == 1 and isinstance(results[0], str) and results[0].startswith("{")
    kinds = LIKELIHOODS if packed else ("mc_letter", "mc_name_norm")
    reason = None if readable else "corrupt_image"
    scores: dict[str, list[float]] = {}
    if readable:
        try:
            scores = _unpacked(results[0], options) if packed else _by_loss(results, options)
        except (ValueError, TypeError, LookupError, AttributeError):
            reason = "request_failed"
    concept: dict[str, Any] = {"concept_id": doc["concept_id"]}
    items: Items = {kind: _by_scores(scores.get(kind), options) | concept for kind in kinds}
    right = items[LIKELIHOOD_DETAIL]["score"]
    items["mc_letter_chance"] = {"value": right, "of": len(options.names)} | concept
    name_right = items["mc_name_norm"]["score"]
    items["mc_name_chance"] = {"value": name_right, "of": len(options.names)} | concept
    items[LIKELIHOOD_DETAIL] |= {"level": level, "record": record_fields(doc)}
    return items | unanswered_items(reason, concept)


def corrected_for_chance(items: Sequence[Mapping[str, Any]]) -> float:
    """Mean over documents of (right - 1/k) / (1 - 1/k) for k options: 0 by guessing, 1 where all are right; nan without any."""
    found = [(item["value"] - 1 / item["of"]) / (1 - 1 / item["of"]) for item in items]
    return sum(found) / len(found) if found else math.nan


def _by_scores(scores: Sequence[float] | None, options: Options) -> dict[str, Any]:
    """The option with the highest score; of equal ones the first."""
    if scores is None:
        return {"score": 0.0} | _offered(options, None)
    position = int(np.argmax(scores))
    return {"score": float(position == options.right), "scores": list(scores)} | _offered(options, position)


def _unpacked(text: str, options: Options) -> dict[str, list[float]]:
    raw = json.loads(text)
    if raw["keys"] != list(options.keys):
        raise ValueError("likelihoods of other options")
    count = len(options.names)
    total, norm = (_finite(raw[kind], 2 * count) for kind in ("sum", "norm"))
    return {"mc_letter": total[:count], "mc_name_sum": total[count:], "mc_name_norm": norm[count:]}


def _by_loss(results: Sequence[Any], options: Options) -> dict[str, list[float]]:
    count = len(options.names)
    means = _finite([-float(loss) for loss in losses(results)], 2 * count)
    return {"mc_letter": means[:count], "mc_name_norm": means[count:]}


def _finite(values: Sequence[Any], count: int) -> list[float]:
    found = [float(value) for value in values]
    if len(found) != count or not np.isfinite(found).all():
        raise ValueError(f"{len(found)} scores for {count} candidates, or some that are no numbers")
    return found


def _offered(options: Options, chosen: int | None) -> dict[str, Any]:
    return {"options": list(options.names), "keys": list(options.keys), "right": options.right, "chosen": chosen}


def offered_in(item: Mapping[str, Any]) -> Options:
    """The options that an item of a samples file tells; raises ValueError, KeyError or TypeError where it tells none."""
    keys, names, right = item["keys"], item["options"], item["right"]
    texts = isinstance(keys, list) and isinstance(names, list) and all(isinstance(one, str) for one in (*keys, *names))
    if not texts or len(keys) != len(names) or not 2 <= len(names) <= 26:
        raise ValueError("options is no list of names with their keys")
    if isinstance(right, bool) or not isinstance(right, int) or not 0 <= right < len(names):
        raise ValueError(f"right is {str(right)[:40]}, no position of an option")
    chosen = item.get("chosen")
    if chosen is not None and (isinstance(chosen, bool) or not isinstance(chosen, int) or not 0 <= chosen < len(names)):
        raise ValueError(f"chosen is {str(chosen)[:40]}, no position of an option")
    return Options(tuple(keys), tuple(names), right)
