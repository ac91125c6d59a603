"""Lexical similarity of 100,000 pairs of attributes, against a loop that prepares both phrases for every pair.

    python benchmarks/attributes.py

Phrases are drawn from mini's knowledge base with variations; results are asserted to be equal.
"""

from __future__ import annotations

import random
import time

import numpy as np
from record import save

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.attributes.phrases import analyse, contradicts, stem
from finer_tasks.scoring.attributes import LexicalSimilarity

ROWS, COLUMNS = 1000, 100


def main() -> None:
    rng = random.Random(0)
    known = sorted({p for entry in load_knowledge("mini").concepts.values() for p in (*entry.required, *entry.likely)})
    forms = ["{}", "a {}", "very {}", "{} with spots", "dark {}"]
    generated = [rng.choice(forms).format(rng.choice(known)) for _ in range(ROWS)]
    references = [rng.choice(forms).format(rng.choice(known)) for _ in range(COLUMNS)]
    stem("wings")  # loads the stemmer
    started = time.perf_counter()
    ours = LexicalSimilarity()(generated, references)
    our_seconds = time.perf_counter() - started
    started = time.perf_counter()
    theirs = np.array([[literal(a, b) for b in references] for a in generated])
    literal_seconds = time.perf_counter() - started
    np.testing.assert_allclose(ours, theirs)
    save(
        "attributes",
        {
            "pairs": ROWS * COLUMNS,
            "distinct_phrases": len({*generated, *references}),
            "seconds": round(our_seconds, 3),
            "literal_seconds": round(literal_seconds, 2),
            "ratio": round(literal_seconds / our_seconds, 1),
        },
    )


def literal(one: str, other: str) -> float:
    """The same rule, from the phrases anew for every pair."""
    analyse.cache_clear()
    stem.cache_clear()
    a, b = analyse(one), analyse(other)
    common = len(a.stems & b.stems)
    return 2 * common / (len(a.stems) + len(b.stems)) if common and not contradicts(one, other) else 0.0


if __name__ == "__main__":
    main()
