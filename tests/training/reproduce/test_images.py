"""Which images train a base model and its probes: none that is a copy of a test image."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from finer_tasks.attributes.knowledge import knowledge_path
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.training.recipe import read_recipe
from finer_tasks.training.reproduce.images import chosen
from finer_tasks.training.reproduce.plan import Plan
from tests import official


def test_copies_of_test_images_are_left_out_as_they_are_of_mixtures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_DATA_DIR", str(tmp_path / "data"))
    root = official.cub(tmp_path / "cub")
    shutil.copyfile(root / "images/017.Cardinal/d.jpg", root / "images/001.Black_footed_Albatross/a.jpg")
    prepare(Request("cub", root, allow_partial=True))
    assert not knowledge_path("cub").exists()  # which images are shown needs no attributes
    for overrides, images in (([], ["cub/train/900"]), (["near_duplicates=ignore"], ["cub/train/3", "cub/train/900"])):
        plan = read_recipe(Plan, Path("photos"), overrides)
        assert [one.document["id"] for one in chosen(plan, "train", None)] == images
        assert [one.document["id"] for one in chosen(plan, "test", None)] == ["cub/test/4", "cub/test/901"]
