from __future__ import annotations

import hashlib
import random
from itertools import combinations
from pathlib import Path

from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.mini.art import render
from finer_tasks.datasets.mini.shapes import SHAPES


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """The sum over all files of the set; it must not depend on machine, Python or Pillow."""
    mini.write_images(tmp_path)
    total = hashlib.sha256()
    for path in sorted(tmp_path.rglob("*.bmp")):
        total.update(path.relative_to(tmp_path).as_posix().encode() + path.read_bytes())
    assert total.hexdigest() == "8c6c698604f39fa178569dc1619d899e9457fc26de70cb877e2e5bb552fa497b"


def test_siblings_differ_in_one_or_two_attributes_and_each_concept_is_unique() -> None:
    concepts = mini.mini_concepts()
    assert len(concepts) == 64
    for one, other in combinations(concepts, 2):
        if one.concept.coarse == other.concept.coarse:
            differing = [part for part in one.parts if one.parts[part] != other.parts[part]]
            assert 1 <= len(differing) <= 2
            assert set(one.attributes().required) != set(other.attributes().required)
    assert {
        len({c.concept.coarse for c in concepts if c.concept.superordinate == s}) for s in ("Bird", "Airplane", "Dog", "Car")
    } == {4}


def test_every_part_that_a_shape_draws_is_visible() -> None:
    """Changing any single part changes the picture, so that attributes are facts about pixels."""
    for concept in mini.mini_concepts():
        plain = render(concept.shape, dict(concept.parts), random.Random(5), 64)
        for part in concept.discriminative:
            changed = dict(concept.parts) | {part: "round" if part == "windows" and concept.parts[part] == "none" else "pink"}
            assert render(concept.shape, changed, random.Random(5), 64).tobytes() != plain.tobytes(), (concept.name, part)
    assert {concept.shape for concept in mini.mini_concepts()} == set(SHAPES)


def test_splits_share_no_picture(tmp_path: Path) -> None:
    mini.write_images(tmp_path)
    digests = {
        split: {hashlib.sha256(p.read_bytes()).digest() for p in (tmp_path / split).rglob("*.bmp")}
        for split in ("train", "test")
    }
    assert len(digests["train"]) == 3072
    assert len(digests["test"]) == 640
    assert not digests["train"] & digests["test"]


def test_attributes_are_worded() -> None:
    concept = next(c for c in mini.mini_concepts() if c.name == "Borrow Finch")
    assert concept.attributes() == (
        "borrow_finch",
        "Borrow Finch",
        ("red body", "black crest"),
        ("white belly", "gray wing", "black tail", "orange beak"),
    )
    assert mini.phrase("stripe", "none") == "no side stripe"
