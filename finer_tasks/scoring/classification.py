"""Exact match and token F1, to the letter of the benchmark's rules (Kim & Ji 2024, released evaluation).

These are the parity scores, with their known weaknesses: "crowned lapwing" is right for "Crow",
"not a Pug" is right for "Pug", and any answer is right for an empty label. The strict scorer
(scoring/strict) stands beside them, never instead of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from finer_tasks.text import normalize

EM_WINDOW = 20
F1_GOLD_TOKENS = 10


@lru_cache(maxsize=1 << 17)
def _label(text: str) -> tuple[str, Counter[str], int]:
    """Normalised label, counts of its first tokens, and how many those are; labels recur for every image."""
    normal = normalize(text)
    tokens = normal.split()[:F1_GOLD_TOKENS]
    return normal, Counter(tokens), len(tokens)


def exact_match(answer: str, labels: Sequence[str]) -> float:
    """1.0 if a normalised label occurs within the first 20 normalised tokens of the answer or equals it.

    em = max over labels l of [n(l) is a substring of n(answer)'s first 20 tokens or n(l) = n(answer)]
    """
    return score(answer, labels)[0]


def token_f1(answer: str, labels: Sequence[str]) -> float:
    """Best token F1 of the normalised answer against the first 10 tokens of a normalised label.

    With c = tokens in common, counted with repetition: P = c/|answer|, R = c/|label|, F1 = 2PR/(P+R).
    """
    return score(answer, labels)[1]


def score(answer: str, labels: Sequence[str]) -> tuple[float, float]:
    """(exact_match, token_f1) with the answer normalised once."""
    normal = normalize(answer)
    tokens = normal.split()
    window = " ".join(tokens[:EM_WINDOW])
    counts = Counter(tokens)
    matched, best = 0.0, 0.0
    for label in labels:
        gold, gold_counts, gold_length = _label(label)
        if gold in window or gold == normal:
            matched = 1.0
        common = sum(min(count, counts[token]) for token, count in gold_counts.items())
        if common:
            best = max(best, 2 * common / (len(tokens) + gold_length))
    return matched, best
