"""Mixtures of a user's own dataset, and what they leave as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.datasets.prepared import load_prepared
from tests import official, own


def test_a_dataset_of_ones_own_gets_attributes_and_is_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own.init(own.photos(tmp_path / "photos"))
    assert main(["prepare", "fungi"]) == 0
    concepts = load_prepared("fungi").concepts()
    entries = [
        {"concept_id": concept.concept_id, "name": concept.fine[0], "required": [f"cap {number}"], "likely": ["a stem"]}
        for number, concept in enumerate(concepts)
    ]
    knowledge = official.write(tmp_path / "fungi.jsonl", *map(json.dumps, entries))
    assert main(["attributes", "import", "fungi", str(knowledge)]) == 0
    assert main(["attributes", "check", "fungi"]) == 0
    assert main(["attributes", "show", "fungi", "fly agaric"]) == 0
    assert "Fly Agaric" in capsys.readouterr().out
    recipe = official.write(
        tmp_path / "mix.yaml", "name: fungi-finer", "style: finer", "datasets:", "  fungi:", "near_duplicates: ignore"
    )
    made = []
    for name in ("one", "two"):
        assert main(["mixture", "build", str(recipe), "--output", str(tmp_path / name)]) == 0
        made.append((tmp_path / name / "conversations.jsonl").read_text())
        own.init(tmp_path / "photos", name="another")  # what else the user has changes nothing
    assert made[0] == made[1]
    assert len(made[0].splitlines()) == 8
    assert "fungi/train/" in made[0]
    recipe.write_text(recipe.read_text().replace("fungi:", "fungus:"))
    assert main(["mixture", "build", str(recipe), "--output", str(tmp_path / "three")]) == 2
    assert "unknown dataset 'fungus'" in capsys.readouterr().err
