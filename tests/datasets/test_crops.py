"""Parts of test images among the train ones: crops of photographs are found, other photographs and plain colours are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from finer_tasks.cli.main import main
from finer_tasks.datasets.crops import LEAST_POINTS, PartIndex, SharedPart, shared_parts
from finer_tasks.datasets.prepare import Request, prepare
from tests import official


@pytest.fixture
def photos(real: Path) -> list[Path]:
    return sorted((real / "photos").rglob("*.jpg"))[:12]


def part(image: Image.Image) -> Image.Image:
    """The middle half of a picture, in another size."""
    width, height = image.size
    middle = image.crop((width // 7, height // 7, width * 6 // 7, height * 6 // 7))
    return middle.resize((round(middle.width * 0.8), round(middle.height * 0.8)))


def test_a_crop_is_found_in_its_picture_and_in_no_other(photos: list[Path]) -> None:
    pictures = [Image.open(path).convert("RGB") for path in photos]
    index = PartIndex(pictures[1:])
    for row, picture in enumerate(pictures[1:4]):
        found = index.find(part(picture))
        assert found.row == row
        assert found.points >= LEAST_POINTS
    assert index.find(part(pictures[0])).points < LEAST_POINTS


def test_pictures_without_anything_to_see_are_found_by_nobody() -> None:
    index = PartIndex([Image.new("RGB", (64, 64), "white"), None])
    assert index.find(Image.new("RGB", (64, 64), "white")).points == 0
    assert index.find(None).points == 0


def test_the_doctor_lists_them_and_keeps_what_it_found(
    photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = official.cub(tmp_path / "cub")
    train, test = (root / "images" / name for name in ("001.Black_footed_Albatross/a.jpg", "017.Cardinal/d.jpg"))
    shutil.copy(photos[0], test)
    with Image.open(photos[0]) as image:
        ImageOps.mirror(part(image.convert("RGB"))).save(train, quality=80)
    prepared = prepare(Request("cub", root, allow_partial=True))
    (found,) = shared_parts(prepared)
    assert found == SharedPart(0, 1, found.points, mirrored=True)
    assert shared_parts(prepared) == [found]
    assert main(["doctor", "cub", "--fast", "--crops"]) == 2  # for what a partial copy lacks
    said = capsys.readouterr().out
    assert "1 train images show part of a test image (at least 6 points agree)" in said
    assert "points: images/001.Black_footed_Albatross/a.jpg ~ images/017.Cardinal/d.jpg (mirrored)" in said
