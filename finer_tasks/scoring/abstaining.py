"""Figures of a document whose question leaves the model free to decline.

The strict scorer tells what a refusal is: its reason `abstained`. An answer is given where the model said something else.

Two kinds of questions. The direct one with leave to decline is scored as any question for a name, with the share of documents
answered and what is right among them. The other one offers a list of names from which the right one is missing for half of
the documents, so that declining is right there and wrong elsewhere (an absent answer, Miyai et al. 2024, arXiv 2403.20331).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

from finer_tasks.datasets.record import dataset_of, labels_at
from finer_tasks.replies import COUNTED_AS, read_reply
from finer_tasks.scoring.aggregate import Item
from finer_tasks.scoring.judge import Items, judge, lexicon, naming_items, record_fields, unanswered_items
from finer_tasks.scoring.neighbours import neighbours
from finer_tasks.scoring.strict import StrictScore, abstains, words_of

DECLINED = "abstained"
# Reasons of the strict scorer for documents to which no answer was given.
NOT_ANSWERED = frozenset((DECLINED, "empty", *COUNTED_AS))
# How many names a list offers at most.
OFFERED = 4
_MISSING = 0.5


def abstaining_items(
    doc: Mapping[str, Any], outputs: Sequence[str], level: str, readable: bool = True, parent: str = "none"
) -> Items:
    """The figures of naming_items, in which a refusal is wrong, and these.

    answered: whether an answer was given. declined: whether the model refused one; empty replies and failed requests are
    neither. em_answered, em_strict_answered: the scores of the answers given, none elsewhere.
    """
    items = naming_items(doc, outputs, level, readable, parent)
    concept = {"concept_id": doc["concept_id"]}
    reason = items["em_strict"]["reason"]
    answered = reason not in NOT_ANSWERED
    items["answered"] = {"score": float(answered)} | concept
    items["declined"] = {"score": float(reason == DECLINED)} | concept
    for name in ("em", "em_strict"):
        items[f"{name}_answered"] = {"score": items[name]["score"]} | concept if answered else concept
    return items


def offered_names(doc: Mapping[str, Any], level: str) -> tuple[str, ...]:
    """The list of names that a document's question offers, in its order; seeded by the document's id.

    Half of the documents are offered wrong names only, the others one fewer with the right one, so that the length tells
    nothing. The wrong ones are up to OFFERED siblings; where a concept has fewer than two, the nearest ones.
    """
    draw = random.Random(f"abstain_names/{level}/{doc['id']}")
    missing = draw.random() < _MISSING
    wrong = list(islice(neighbours(doc, level, draw), OFFERED))
    nearest = [one for one in wrong if one.shares == wrong[0].shares]
    names = [one.name for one in (nearest if len(nearest) > 1 else wrong)]
    if not missing:
        names[-1] = labels_at(doc, level)[0]
    draw.shuffle(names)
    return tuple(names)


def is_missing(doc: Mapping[str, Any], level: str, offered: Collection[str]) -> bool:
    """Whether the right name is not among those offered."""
    return labels_at(doc, level)[0] not in offered


def open_items(
    doc: Mapping[str, Any], outputs: Sequence[str], level: str, readable: bool = True, offered: Sequence[str] = ()
) -> Items:
    """The figures of a document that was asked with a list of names, `offered`; by default that of offered_names.

    open_right: where the right name was offered, whether the answer is right by em_strict; where it was missing, whether the
    model declined. open_named: the first of these alone. open_unlisted: whether it gave the right name where that was missing.
    true_refusal, false_refusal: whether it declined, where that was right and where it was wrong; refusal_balanced and
    refusal_f1 take both together. Without an answer of the model there are no rates.
    """
    offered = list(offered or offered_names(doc, level))
    _, _, strict = judge(doc, outputs, level, readable)
    concept = {"concept_id": doc["concept_id"]}
    missing, refused = is_missing(doc, level, offered), _declines(doc, outputs, strict, offered)
    right = refused if missing else strict.right
    known = {} if strict.reason in COUNTED_AS else {"score": float(refused)}
    detail = {"reason": strict.reason, "named": list(strict.named), "offered": offered, "level": level}
    both = {"value": float(refused)} | concept | ({"missing": missing} if known else {})
    return {
        "open_right": {"score": float(right)} | concept | detail | {"record": record_fields(doc)},
        "open_named": concept if missing else {"score": float(strict.right)} | concept,
        "open_unlisted": {"score": float(strict.right and not refused)} | concept if missing and known else concept,
        "true_refusal": known | concept if missing else concept,
        "false_refusal": concept if missing else known | concept,
        "refusal_balanced": both,
        "refusal_f1": both,
    } | unanswered_items(strict.reason, concept)


def _declines(doc: Mapping[str, Any], outputs: Sequence[str], strict: StrictScore, offered: Sequence[str]) -> bool:
    """Whether an answer declines a list: as a whole, or with a name that is not on it ("None of these, it is an X")."""
    if strict.reason in NOT_ANSWERED:
        return strict.reason == DECLINED
    on_list = {"".join(words_of(name)) for name in offered} & {"".join(words_of(name)) for name in strict.named}
    return not on_list and abstains(read_reply(outputs[-1]).answer, lexicon(dataset_of(doc["id"])))


def balanced_refusals(items: Sequence[Item]) -> float:
    """Balanced accuracy of refusing: (true refusal rate + 1 - false refusal rate) / 2 (Brodersen et al. 2010); chance is 0.5.

    nan where the right name was missing, or offered, for no document.
    """
    missing, offered = (_refusals(items, missing) for missing in (True, False))
    return (_share(missing) + 1 - _share(offered)) / 2


def refusal_f1(items: Sequence[Item]) -> float:
    """F1 of refusing, where a missing name is the positive case: 2 TP / (2 TP + FP + FN); nan without any of these.

    As abstention is scored by Kirichenko et al. 2025 (arXiv 2506.09038).
    """
    missing, offered = (_refusals(items, missing) for missing in (True, False))
    right, wrong = sum(missing), len(missing) - sum(missing) + sum(offered)
    return 2 * right / (2 * right + wrong) if right + wrong else float("nan")


def _refusals(items: Sequence[Item], missing: bool) -> list[float]:
    return [item["value"] for item in items if item.get("missing") is missing]


def _share(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
