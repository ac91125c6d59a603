"""Closed-set scoring: from the log-likelihoods of all names of a level to a document's rank, choice and confidence.

A concept scores as its best name does. Three scores, higher is better:

* sum: log p(name | image, question), summed over the tokens of the answer;
* norm: the same, divided by the number of tokens;
* pmi: the sum less that of the same name after the same question without the image.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from finer_tasks.datasets.record import dataset_of
from finer_tasks.scoring.candidates import Candidates, candidates_of
from finer_tasks.scoring.judge import Items, record_fields, unanswered_items
from finer_tasks.statistics.clusters import Floats

KINDS = ("sum", "norm", "pmi")
FIGURES = ("top1", "top5", "rank", "ece")
# The figures that are no shares.
RANKS = tuple(f"closed_rank_{kind}" for kind in KINDS)
# The figure that every way of scoring has; beside it stand the choice and the record.
DETAIL = "closed_top1_norm"
BINS = 15
_KEPT = 5
_LOSS = re.compile(r"\(\s*(-?[0-9][0-9.eE+-]*)\s*,")


@dataclass(frozen=True)
class Ranking:
    """How one score orders the concepts of a level for a document.

    Attributes:
        rank: place of the best right concept; each tie with a wrong one costs half a place.
        top: the first concepts with their scores, best first.
        confidence: softmax probability of the first one over all concepts.
        right: score of the best right concept.
    """

    rank: float
    top: tuple[tuple[str, float], ...]
    confidence: float
    right: float


def rank_concepts(scores: Floats, candidates: Candidates, right: Collection[str]) -> Ranking:
    """The ranking by scores of shape (concepts,); of equal scores the earlier concept stands first."""
    gold = np.isin(candidates.keys, sorted(right))
    best = scores[gold].max()
    others = scores[~gold]
    order = np.argsort(-scores, kind="stable")[:_KEPT]
    total = scores.max() + math.log(np.exp(scores - scores.max()).sum())
    return Ranking(
        rank=1.0 + float((others > best).sum()) + float((others == best).sum()) / 2,
        top=tuple((candidates.keys[place], float(scores[place])) for place in order),
        confidence=math.exp(scores.max() - total),
        right=float(best),
    )


def rankings(
    candidates: Candidates,
    right: Collection[str],
    norm: Floats,
    total: Floats | None = None,
    prior: Floats | None = None,
) -> dict[str, Ranking]:
    """The ranking by each score that is known, from those of shape (names,): mean and sum, and the sum without the image."""
    known = {"sum": total, "norm": norm, "pmi": None if total is None or prior is None else total - prior}
    return {
        kind: rank_concepts(candidates.best(scores), candidates, right) for kind, scores in known.items() if scores is not None
    }


def right_concepts(doc: Mapping[str, Any], level: str) -> list[str]:
    """The concepts of a level that are right for a document: at coarse level all that its accepted labels head."""
    return {"superordinate": [doc["superordinate"]], "coarse": list(doc["coarse"]), "fine": [doc["concept_id"]]}[level]


def judge_closed(doc: Mapping[str, Any], results: Sequence[Any], level: str, readable: bool = True) -> Items:
    """The figures of a document from what lmms-eval hands over: the reply of `pack`, or the mean loss of each name.

    All wrong where the image could not be decoded or the results are neither.
    """
    packed = len(results) == 1 and isinstance(results[0], str) and results[0].startswith("{")
    kinds = KINDS if packed else ("norm",)
    if not readable:
        return closed_items(doc, level, None, "corrupt_image", kinds)
    try:
        found = unpack(results[0]) if packed else _by_name(doc, results, level)
    except ValueError:
        return closed_items(doc, level, None, "request_failed", kinds)
    return closed_items(doc, level, found)


def _by_name(doc: Mapping[str, Any], results: Sequence[Any], level: str) -> dict[str, Ranking]:
    candidates, means = candidates_of(dataset_of(doc["id"]), level), losses(results)
    if len(means) != len(candidates.names) or not np.isfinite(means).all():
        raise ValueError(f"{len(means)} losses for {len(candidates.names)} names, or some that are no numbers")
    return rankings(candidates, right_concepts(doc, level), norm=-means)


def pack(found: Mapping[str, Ranking]) -> str:
    """Rankings as the text of a reply, whose size does not grow with the number of names."""
    return json.dumps({kind: asdict(ranking) for kind, ranking in found.items()})


def unpack(text: str) -> dict[str, Ranking]:
    """The rankings of `pack`. Raises ValueError where the text is none."""
    try:
        raw = json.loads(text)
        return {
            kind: Ranking(**(fields | {"top": tuple((key, score) for key, score in fields["top"])}))
            for kind, fields in raw.items()
        }
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"no rankings: {error}") from error


def losses(results: Sequence[Any]) -> Floats:
    """The mean losses of loglikelihood results, which lmms-eval hands over as pairs or as their text. Raises ValueError."""
    return np.array([_loss(result) for result in results])


def _loss(result: Any) -> float:
    if not isinstance(result, str):
        return float(result[0])
    if found := _LOSS.match(result):
        return float(found[1])
    raise ValueError(f"{result[:40]!r} is no result of loglikelihood")


def closed_items(
    doc: Mapping[str, Any],
    level: str,
    found: Mapping[str, Ranking] | None,
    reason: str | None = None,
    kinds: Sequence[str] = KINDS,
) -> Items:
    """The figures of a document: `score` where a mean over documents is meant, `value` elsewhere.

    Without an answer, for which `reason` tells why, it counts as wrong by each of `kinds`, without rank and confidence.
    """
    concept = {"concept_id": doc["concept_id"]}
    items: Items = {}
    for kind in found or kinds:
        ranking = found[kind] if found else None
        first = float(ranking is not None and ranking.rank == 1)
        items[f"closed_top1_{kind}"] = {"score": first, **concept} | ({} if ranking is None else {"top": list(ranking.top)})
        items[f"closed_top5_{kind}"] = {"score": float(ranking is not None and ranking.rank <= 5), **concept}
        items[f"closed_rank_{kind}"] = concept if ranking is None else {"score": ranking.rank, **concept}
        items[f"closed_ece_{kind}"] = {"value": first, **concept} | (
            {} if ranking is None else {"confidence": ranking.confidence}
        )
    items[DETAIL] |= {"level": level, "record": record_fields(doc)}
    return items | unanswered_items(reason, concept)


def calibration_error(items: Sequence[Mapping[str, Any]]) -> float:
    """Expected calibration error: sum over bins of n_b / n |accuracy_b - confidence_b|, in 15 bins of equal width.

    Over the documents that have a confidence; nan without any (Guo et al. 2017, arXiv 1706.04599).
    """
    known = [(item["confidence"], item["value"]) for item in items if "confidence" in item]
    if not known:
        return math.nan
    confidence, right = np.array(known).T
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(known))
