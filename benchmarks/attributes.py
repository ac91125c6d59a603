"""Lexical similarity of 100,000 pairs of attributes, against a loop that prepares both phrases for every pair.

    python benchmarks/attributes.py

Phrases are drawn from mini's knowledge base with variations; results are asserted to be equal.
"""

from __future__ import annotations

import random
import re
import time

import numpy as np
from nltk.stem.porter import PorterStemmer
from record import save

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.metrics.attributes import _DENIALS, _IGNORED, COLORS, LexicalSimilarity
from finer_tasks.metrics.classification import normalize

ROWS, COLUMNS = 1000, 100


def main() -> None:
    rng = random.Random(0)
    known = sorted({p for entry in load_knowledge("mini").concepts.values() for p in (*entry.required, *entry.likely)})
    forms = ["{}", "a {}", "very {}", "{} with spots", "dark {}"]
    generated = [rng.choice(forms).format(rng.choice(known)) for _ in range(ROWS)]
    references = [rng.choice(forms).format(rng.choice(known)) for _ in range(COLUMNS)]
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
    (stems, colors, denied), (other_stems, other_colors, other_denied) = prepare(one), prepare(other)
    part, other_part = stems - colors, other_stems - other_colors
    if part & other_part:
        if denied != other_denied:
            return 0.0
        if (part <= other_part or other_part <= part) and colors and other_colors and not colors & other_colors:
            return 0.0
    common = len(stems & other_stems)
    return 2 * common / (len(stems) + len(other_stems)) if common else 0.0


def prepare(phrase: str) -> tuple[set[str], set[str], bool]:
    stemmer = PorterStemmer()
    words = [word for word in re.split(r"[\s-]+", normalize(phrase.replace("-", " "))) if word]
    content = [word for word in words if word not in _DENIALS and word not in _IGNORED]
    colors = {"gray" if word == "grey" else word for word in content if word in COLORS}
    stems = {stemmer.stem(word) for word in content if word not in COLORS} | colors
    return stems, colors, any(word in _DENIALS for word in words)


if __name__ == "__main__":
    main()
