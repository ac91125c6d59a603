"""Verification: is it X, and is it Y? The true name and a wrong one of the same level, in two questions of their own.

A document counts as right where both answers are (the rule of FG-BMK's `answer_acc.py` for the questions of an image, Yu et al.
2026, arXiv 2504.14988, and of MME's accuracy+, Fu et al. 2023, arXiv 2306.13394): a model that always agrees gets nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

from finer_tasks.datasets.record import labels_at
from finer_tasks.replies import no_answer, read_reply
from finer_tasks.scoring.aggregate import Item
from finer_tasks.scoring.judge import Items, record_fields, unanswered_items
from finer_tasks.scoring.neighbours import neighbours

Said = Literal["yes", "no", "neither"]
# "yes" or "no" that is all its clause says, or ends it: "Yes.", "no, …", "the answer is no".
_MARK = re.compile(r"(?<!not )\b(yes|no)\b(?=[\W_]*(?:[.,;:!?\n]|$))", re.IGNORECASE)
# At the start of an answer the word may go on: "Yes it is". "No doubt" and the like say something else.
_START = re.compile(r"[\W_]*(yes|no)\b(?!\s+(?:doubt|question|idea|one|way|longer|matter|answer|comment)\b)", re.IGNORECASE)
# "yes or no" says neither, and nor does a word that the model says it cannot give: "I can't say yes."
_OR = r"(?:[\W_]+n?or[\W_]+|[\W_]*/[^\w/]*)"
_PAIR = re.compile(rf"\b(?:yes{_OR}no|no{_OR}yes)\b", re.IGNORECASE)
_UNSAID = re.compile(r"(?:n['\u2019]t|\bnot|\bcannot) (?:say|answer|reply|respond)(?: with)?[\W_]*(?:yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Claims:
    """The true name and the wrong one, and the deepest level whose label both have; nothing where there is none."""

    true: str
    false: str
    shares: str


def claims_of(doc: Mapping[str, Any], level: str) -> Claims:
    """What a document's questions claim; the wrong name is a sibling drawn by the document's id.

    One from one level up where there is no sibling, as `shares` tells. Raises DatasetContentError where there is no other name.
    """
    wrong = next(neighbours(doc, level, random.Random(f"yesno/{level}/{doc['id']}")))
    return Claims(labels_at(doc, level)[0], wrong.name, wrong.shares)


def read_yes_no(reply: str) -> Said:
    """What a reply says; "neither" where it says both, or nothing that is plainly one of the two."""
    answer = read_reply(reply).answer
    if _PAIR.search(answer):
        return "neither"
    answer = _UNSAID.sub(" ", answer)
    start = _START.match(answer)
    said = {mark.lower() for mark in _MARK.findall(answer)} | ({start[1].lower()} if start else set())
    if len(said) != 1:
        return "neither"
    return "yes" if said == {"yes"} else "no"


def yesno_items(
    doc: Mapping[str, Any],
    outputs: Sequence[str],
    level: str,
    readable: bool = True,
    claims: Claims | None = None,
) -> Items:
    """The figures of a document from the replies to the true and the false claim; by default those of claims_of.

    yesno_both: whether both are right. yesno_true, yesno_false: whether each is. yesno_accuracy: the share of the two that is.
    yesno_yes: the share of yes among the answers yes and no, none where there is none of them. yesno_neither: how many
    replies are neither, which are wrong. yesno_dprime: see d_prime. Without an answer of the model all is wrong.
    """
    claims = claims or claims_of(doc, level)
    concept = {"concept_id": doc["concept_id"]}
    missing = no_answer(outputs, readable)
    said: list[Said] = [] if missing else [read_yes_no(output) for output in outputs[:2]]
    on_true, on_false = said == ["yes", *said[1:]], said[1:] == ["no"]
    plain = [one for one in said if one != "neither"]
    both = on_true and on_false
    detail = {"claims": [claims.true, claims.false], "shares": claims.shares, "said": said, "rounds": list(outputs)}
    return {
        "yesno_both": {"score": float(both)} | concept | detail | {"level": level, "record": record_fields(doc)},
        "yesno_true": {"score": float(on_true)} | concept,
        "yesno_false": {"score": float(on_false)} | concept,
        "yesno_accuracy": {"score": (on_true + on_false) / 2} | concept,
        "yesno_yes": {"score": plain.count("yes") / len(plain)} | concept if plain else concept,
        "yesno_neither": {"value": float(said.count("neither"))} | concept,
        "yesno_dprime": {"value": float(both), "said": said} | concept,
    } | unanswered_items(missing, concept)


def d_prime(items: Sequence[Item]) -> float:
    """d' = z(hit rate) - z(false alarm rate): yes to true claims against yes to false ones (Green & Swets 1966).

    Over the answers that are yes or no. Rates are (yes + 0.5) / (n + 1), so that none is 0 or 1 (the log-linear correction,
    Hautus 1995, Behav. Res. Methods Instrum. Comput. 27, 46-51). nan where either claim has no such answer.
    """
    rates = []
    for place in (0, 1):
        said = [item["said"][place] for item in items if len(item["said"]) > place and item["said"][place] != "neither"]
        if not said:
            return float("nan")
        rates.append((said.count("yes") + 0.5) / (len(said) + 1))
    normal = NormalDist()
    return normal.inv_cdf(rates[0]) - normal.inv_cdf(rates[1])
