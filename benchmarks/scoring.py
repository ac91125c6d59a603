"""Scoring 100,000 answers: ours against a literal implementation that normalises every label for every answer.

    python benchmarks/scoring.py

Both score em, f1 and em_strict on answers to the fine question of CUB's 200 classes. The results are
asserted to be equal.
"""

from __future__ import annotations

import random
import re
import string
import time
from collections import Counter
from typing import Any

from record import save

from finer_tasks.datasets.record import Concept, accepted_labels
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.scoring import classification
from finer_tasks.scoring.strict import Lexicon, score_strict, words_of

ANSWERS = 100_000
LITERAL_SHARE = 200  # the literal strict scorer is timed on every 200th answer, it is that slow


def main() -> None:
    taxonomy = load_taxonomy("cub")
    concepts = list(taxonomy.classes.values())
    docs, answers = _make(concepts)
    started = time.perf_counter()
    ours = [classification.score(a, accepted_labels(d, "fine")) for d, a in zip(docs, answers, strict=True)]
    our_parity = time.perf_counter() - started
    started = time.perf_counter()
    theirs = [literal_parity(a, accepted_labels(d, "fine")) for d, a in zip(docs, answers, strict=True)]
    literal_parity_time = time.perf_counter() - started
    assert all(a[0] == b[0] and abs(a[1] - b[1]) < 1e-12 for a, b in zip(ours, theirs, strict=True))

    started = time.perf_counter()
    lexicon = Lexicon.of(taxonomy, concepts)
    strict = [score_strict(a, d, "fine", lexicon).right for d, a in zip(docs, answers, strict=True)]
    our_strict = time.perf_counter() - started
    sample = range(0, ANSWERS, LITERAL_SHARE)
    started = time.perf_counter()
    literal = [literal_names(answers[i], concepts) for i in sample]
    literal_strict_time = (time.perf_counter() - started) * LITERAL_SHARE
    for i, named in zip(sample, literal, strict=True):
        if strict[i]:
            assert docs[i]["concept_id"] in named
        elif named == {docs[i]["concept_id"]}:
            assert "not" in answers[i] or "might" in answers[i], answers[i]
    all_ours, all_literal = our_parity + our_strict, literal_parity_time + literal_strict_time
    save(
        "scoring",
        {
            "answers": ANSWERS,
            "em_and_f1_seconds": round(our_parity, 2),
            "em_and_f1_literal_seconds": round(literal_parity_time, 2),
            "em_and_f1_ratio": round(literal_parity_time / our_parity, 1),
            "em_strict_seconds": round(our_strict, 2),
            "em_strict_literal_seconds_extrapolated": round(literal_strict_time, 1),
            "all_ratio": round(all_literal / all_ours, 1),
        },
    )


def _make(concepts: list[Concept]) -> tuple[list[dict[str, Any]], list[str]]:
    rng = random.Random(0)
    forms = ["{}", "The bird in this image is a {}, seen from the side.", "not a {}", "{} or {}", "It might be a {}"]
    docs, answers = [], []
    for _ in range(ANSWERS):
        concept, said, other = (rng.choice(concepts) for _ in range(3))
        said = concept if rng.random() < 0.5 else said
        docs.append(
            {
                "superordinate": concept.superordinate,
                "coarse": concept.coarse,
                "fine": concept.fine,
                "concept_id": concept.concept_id,
            }
        )
        answers.append(rng.choice(forms).format(said.fine[0], other.fine[0]))
    return docs, answers


def literal_normalize(text: str) -> str:
    text = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def literal_parity(answer: str, labels: list[str]) -> tuple[float, float]:
    em, f1 = [], []
    for label in labels:
        window = " ".join(literal_normalize(answer).split()[:20])
        em.append(float(literal_normalize(label) in window or literal_normalize(label) == literal_normalize(answer)))
        predicted, gold = literal_normalize(answer).split(), literal_normalize(label).split()[:10]
        common = sum((Counter(predicted) & Counter(gold)).values())
        f1.append(2 * common / (len(predicted) + len(gold)) if common else 0.0)
    return max(em), max(f1)


def literal_names(answer: str, concepts: list[Concept]) -> set[str]:
    """Every concept any of whose names occurs in the answer as whole words."""
    text = f" {' '.join(words_of(answer))} "
    return {c.concept_id for c in concepts for n in (*c.fine, *c.aliases) if f" {' '.join(words_of(n))} " in text}


if __name__ == "__main__":
    main()
