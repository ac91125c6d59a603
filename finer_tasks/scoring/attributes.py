"""Scores of generated attributes against a knowledge base.

A generated list is matched one-to-one to the reference list so that the summed similarity is
greatest (Hungarian method). Contradictions (attributes/phrases.py) have similarity 0 and are
counted apart, however many words they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from finer_tasks.attributes.knowledge import ConceptAttributes
from finer_tasks.attributes.lists import AttributeLists
from finer_tasks.attributes.phrases import analyse, contradicts, contradicts_list

REQUIRED_WEIGHT = 1.0
LIKELY_WEIGHT = 0.5
# From this similarity on, two phrases are taken to say the same.
SAME = 0.5


class Similarity(Protocol):
    """A named scorer: similarities in 0…1 of every phrase of one list to every phrase of another."""

    name: str

    def __call__(self, generated: Sequence[str], references: Sequence[str]) -> np.ndarray: ...


class LexicalSimilarity:
    """Token F1 of stems without function words: 2|A∩B| / (|A|+|B|), 0 for contradictions. No model.

    A denied word is another than the same word stated.
    """

    name = "lexical"

    def __call__(self, generated: Sequence[str], references: Sequence[str]) -> np.ndarray:
        rows, columns = ([analyse(phrase).stems for phrase in phrases] for phrases in (generated, references))
        common = _common(rows, columns)
        sizes = np.add.outer([len(stems) for stems in rows], [len(stems) for stems in columns])
        return without_contradictions(2 * common / np.maximum(sizes, 1), generated, references)


def without_contradictions(matrix: np.ndarray, generated: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """The similarities with 0 for contradictions, which are looked for only where two phrases name a part in common."""
    shared = _common([analyse(phrase).parts for phrase in generated], [analyse(phrase).parts for phrase in references])
    for row, column in np.argwhere((shared > 0) & (matrix > 0)):
        if contradicts(generated[row], references[column]):
            matrix[row, column] = 0.0
    return matrix


def _common(rows: Sequence[Set[str]], columns: Sequence[Set[str]]) -> np.ndarray:
    """How many members each row's set shares with each column's, as a product of incidence matrices."""
    from scipy.sparse import csr_matrix

    numbers: dict[str, int] = {}
    incidence = []
    for sets in (rows, columns):
        indices = [numbers.setdefault(member, len(numbers)) for members in sets for member in members]
        starts = np.cumsum([0, *map(len, sets)])
        incidence.append((np.ones(len(indices)), np.array(indices, dtype=np.int64), starts))
    left, right = (csr_matrix(parts, shape=(len(parts[2]) - 1, len(numbers))) for parts in incidence)
    return np.asarray((left @ right.T).toarray())


@dataclass(frozen=True)
class AttributeScore:
    """Scores of one generated list.

    With s the similarities of the matched pairs, G generated phrases, and weights w of the
    references (required 1, likely 0.5):
        precision = sum(s) / |G|;  recall = sum(w s) / sum(w);  f1 their harmonic mean
        recall_required = sum of s over required references / number of required references
        contradiction = share of generated phrases that contradict a reference and agree with none on that part
        hallucination = share of generated phrases that match no reference of the concept
            (similarity below 0.5) but match one of a sibling's
        discriminability = 1 if the list fits its own concept best among the siblings by f1,
            1/k at a tie of k, else 0;  discriminability_rank = 1 + better ones + half of the other tied ones
    """

    precision: float
    recall: float
    f1: float
    recall_required: float
    contradiction: float
    hallucination: float
    discriminability: float
    discriminability_rank: float


def score_attributes(
    lists: AttributeLists,
    truth: ConceptAttributes,
    siblings: Mapping[str, ConceptAttributes],
    similarity: Similarity,
) -> AttributeScore:
    """Score a list against its concept and the concept's siblings (those of the same coarse class, itself left out)."""
    generated = lists.all
    references = (*truth.required, *truth.likely)
    columns = [*references, *(phrase for sibling in siblings.values() for phrase in (*sibling.required, *sibling.likely))]
    matrix = similarity(generated, columns)
    precision, recall, f1, recall_required = _match(matrix[:, : len(references)], truth)
    contradicting = sum(contradicts_list(phrase, references) for phrase in generated)
    own = matrix[:, : len(references)].max(axis=1, initial=0.0)
    foreign = matrix[:, len(references) :].max(axis=1, initial=0.0)
    others, start = [], len(references)
    for sibling in siblings.values():
        end = start + len(sibling.required) + len(sibling.likely)
        others.append(_match(matrix[:, start:end], sibling)[2])
        start = end
    better = sum(other > f1 for other in others)
    tied = sum(other == f1 for other in others)
    count = max(1, len(generated))
    return AttributeScore(
        precision=precision,
        recall=recall,
        f1=f1,
        recall_required=recall_required,
        contradiction=contradicting / count,
        hallucination=float(((own < SAME) & (foreign >= SAME)).sum()) / count,
        discriminability=0.0 if better else 1 / (1 + tied),
        discriminability_rank=1 + better + tied / 2,
    )


def _match(matrix: np.ndarray, truth: ConceptAttributes) -> tuple[float, float, float, float]:
    """(precision, recall, f1, recall over required) from similarities; empty against empty is a perfect match."""
    from scipy.optimize import linear_sum_assignment

    generated, references = matrix.shape
    if not generated or not references:
        same = float(not generated and not references)
        return same, same, same, 1.0 if not truth.required else 0.0
    weights = np.array([REQUIRED_WEIGHT] * len(truth.required) + [LIKELY_WEIGHT] * len(truth.likely))
    rows, columns = linear_sum_assignment(matrix * weights, maximize=True)
    matched = matrix[rows, columns]
    precision = float(matched.sum()) / generated
    recall = float((matched * weights[columns]).sum() / weights.sum())
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    in_required = columns < len(truth.required)
    recall_required = float(matched[in_required].sum()) / len(truth.required) if truth.required else 1.0
    return precision, recall, f1, recall_required


def rouge(lists: AttributeLists, truth: ConceptAttributes) -> dict[str, float]:
    """ROUGE-1, -2 and -L F1 of the linearised lists (rouge-score, with stemming), as in the paper."""
    scores = _rouge_scorer().score(linearise(truth.required, truth.likely), linearise(lists.required, lists.likely))  # type: ignore[attr-defined]
    return {name: float(value.fmeasure) for name, value in scores.items()}


def linearise(required: Sequence[str], likely: Sequence[str]) -> str:
    """Both lists as one text, without headings, which would match in any two lists."""
    return ", ".join((*required, *likely))


@cache
def _rouge_scorer() -> object:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
