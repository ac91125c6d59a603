"""Time and peak memory of building a mixture of a million conversations.

    python benchmarks/mixture.py [--conversations 1000000]

Records are made up in iNaturalist's official format, with attributes for its 10,000 species; near-duplicates are
not searched, for there is one picture.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from inat_scale import SPECIES, write_list
from record import save

from finer_tasks.attributes.knowledge import ConceptAttributes, Provenance, knowledge_path, write_knowledge


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FINER_DATA_DIR"] = f"{folder}/data"
        from finer_tasks.datasets.prepare import Request, prepare
        from finer_tasks.training.mixture.build import build_mixture
        from finer_tasks.training.mixture.recipe import MixtureRecipe

        root = Path(folder) / "inat"
        write_list(root, arguments.conversations)
        prepared = prepare(Request("inat", root, ("train",), allow_partial=True))
        write_knowledge(knowledge_path("inat"), attributes_of([concept.concept_id for concept in prepared.concepts()]))
        before = _peak()
        started = time.perf_counter()
        card = build_mixture(MixtureRecipe("scale", {"inat": None}, near_duplicates="ignore"), Path(folder) / "mixture")
        seconds = time.perf_counter() - started
    save(
        "mixture",
        {
            "conversations": card["conversations"],
            "species": SPECIES,
            "seconds": round(seconds),
            "conversations_per_second": round(card["conversations"] / seconds),
            "peak_megabytes": round(_peak()),
            "peak_megabytes_before": round(before),
        },
    )


def attributes_of(concepts: list[str]) -> list[ConceptAttributes]:
    """Three required and two likely attributes for each concept."""
    return [
        ConceptAttributes(
            concept,
            concept,
            (f"red crown number {number}", "white wing bars", "long curved bill"),
            ("brown back", "pale belly"),
            Provenance("made up"),
        )
        for number, concept in enumerate(concepts)
    ]


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
