"""Perturbed images: the same for a document everywhere, at the published boxes, and told in what identifies the data."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finer_tasks.datasets.boxes import Box
from finer_tasks.datasets.images import image_of, published_image
from finer_tasks.datasets.perturb import KINDS, SEVERITIES, Perturbation, PerturbationError, boxes_of, parse
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.prepared import Prepared, load_prepared
from finer_tasks.datasets.registry import get_reader
from finer_tasks.datasets.seen import perturbation_of, seen_data
from finer_tasks.errors import DatasetContentError
from tests import official

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8))
BOX = Box(20, 10, 100, 80)


def hidden(severity: int, identity: str = "cub/test/1") -> np.ndarray:
    found = np.asarray(Perturbation("occlusion", severity).of(PICTURE, identity, [BOX]))
    return (found != np.asarray(PICTURE)).any(axis=2)


@pytest.mark.parametrize("name", KINDS)
def test_every_severity_changes_the_image_and_more_than_the_one_before(name: str) -> None:
    smooth = PICTURE.resize((40, 30)).resize((120, 90), Image.Resampling.BICUBIC)  # as photographs are
    seen = [smooth, *(Perturbation(name, severity).of(smooth, "x", [BOX]) for severity in SEVERITIES)]
    if name == "crop":
        areas = [image.width * image.height for image in seen]
        assert areas == sorted(set(areas), reverse=True)
        return
    lost = [np.abs(np.asarray(image, float) - np.asarray(smooth, float)).mean() for image in seen]
    assert lost == sorted(set(lost))
    assert {image.size for image in seen} == {smooth.size}


def test_occlusion_covers_its_share_of_the_box_and_all_that_a_lesser_one_covers() -> None:
    area = (BOX.right - BOX.left) * (BOX.bottom - BOX.top)
    for severity, share in zip(SEVERITIES, KINDS["occlusion"].amounts, strict=True):
        assert hidden(severity).sum() == pytest.approx(share * area, rel=0.08)
        assert not hidden(severity)[:, :20].any()
        assert severity == 1 or hidden(severity)[hidden(severity - 1)].all()
    assert not (hidden(3) == hidden(3, "cub/test/2")).all()
    assert (hidden(3) != (np.asarray(Perturbation("occlusion", 3, 7).of(PICTURE, "cub/test/1", [BOX])) == 127).all(2)).any()


def test_a_box_that_lies_outside_counts_as_none() -> None:
    found = np.asarray(Perturbation("occlusion", 5).of(PICTURE, "x", [Box(500, 500, 600, 600)]))
    assert (found == 127).all(axis=2).sum() == pytest.approx(0.7 * 90 * 120, rel=0.06)


@pytest.mark.parametrize("text", ["occlusion", "fog:1", "blur:0", "blur:6", "blur:-1", "blur:1:x", "blur:1:2:3", "blur:²", ":"])
def test_what_is_no_perturbation_is_refused(text: str) -> None:
    with pytest.raises(PerturbationError, match="FINER_PERTURB"):
        parse(text)


def test_a_perturbation_is_read_as_it_is_written() -> None:
    assert [str(parse(text)) for text in ("blur:2", "blur:2:0", "blur:2:9")] == ["blur:2", "blur:2", "blur:2:9"]


def test_another_process_sees_the_same_image(mini_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another order, and with another hash seed."""
    script = (
        "import zlib; from finer_tasks.datasets.images import image_of; from finer_tasks.datasets.prepared import load_prepared;"
        "mini = load_prepared('mini'); rows = mini.tables()['test'];"
        "print([zlib.crc32(image_of(mini, rows[i]).tobytes()) for i in (500, 3)])"
    )
    monkeypatch.setenv("FINER_PERTURB", "occlusion:4")
    there = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | {"PYTHONHASHSEED": "5"}
    )
    mini = load_prepared("mini")
    rows = mini.tables()["test"]
    here = [zlib.crc32(image_of(mini, rows[index]).tobytes()) for index in (3, 500)]
    assert there.stdout.strip() == str(here[::-1]), there.stderr
    assert image_of(mini, rows[3]).tobytes() != published_image(mini, rows[3]).tobytes()


def test_minis_boxes_hold_its_objects(mini_data: Path) -> None:
    mini = load_prepared("mini")
    boxes = boxes_of(mini, "test")
    assert len(boxes) == 640
    for (box,) in boxes.values():
        assert 0 <= box.left < box.right <= 64
        assert 0 <= box.top < box.bottom <= 64
        assert 0.1 < (box.right - box.left) * (box.bottom - box.top) / 64**2 < 0.95


def cub(tmp_path: Path, boxes: str = "3 1 2 10 8\n4 5 6 12 10\n900 0 0 32 24\n901 2.0 3.5 20.0 12.0\n") -> Prepared:
    root = official.cub(tmp_path / "cub")
    if boxes:
        (root / "bounding_boxes.txt").write_text(boxes)
    return prepare(Request("cub", root, allow_partial=True))


def test_data_of_perturbed_images_have_another_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes are no part of what was prepared, so a list that is added later leaves its fingerprint."""
    without = seen_data(cub(tmp_path / "a", boxes=""), "test")
    data = cub(tmp_path / "b")
    plain = seen_data(data, "test")
    assert plain == without == {"data_fingerprint": data.manifest.contents["test"]}
    monkeypatch.setenv("FINER_PERTURB", "occlusion:3")
    seen = seen_data(data, "test")
    assert seen["perturbation"]["of"] == plain["data_fingerprint"] != seen["data_fingerprint"]
    assert seen["perturbation"]["what"] == "a gray patch hides 35% of each object's box"
    assert (seen["perturbation"]["images_with_a_box"], seen["perturbation"]["images_without_a_box"]) == (2, 0)
    nowhere = seen_data(cub(tmp_path / "c", boxes=""), "test")
    assert nowhere["perturbation"]["images_without_a_box"] == 2
    others = [seen["data_fingerprint"], nowhere["data_fingerprint"]]
    for text in ("occlusion:2", "occlusion:3:1", "blur:3"):
        monkeypatch.setenv("FINER_PERTURB", text)
        others.append(seen_data(data, "test")["data_fingerprint"])
    assert len(set(others)) == 5


def test_a_recorded_perturbation_is_found_again_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = cub(tmp_path / "a")
    monkeypatch.setenv("FINER_PERTURB", "occlusion:3:8")
    told = seen_data(data, "test")
    monkeypatch.delenv("FINER_PERTURB")
    assert perturbation_of(told, data) == Perturbation("occlusion", 3, 8)
    assert perturbation_of({}, data) is None
    with pytest.raises(PerturbationError, match="other images here"):
        perturbation_of(told, cub(tmp_path / "b", boxes=""))
    with pytest.raises(PerturbationError, match="no perturbation"):
        perturbation_of({"perturbation": {"name": "blur"}}, data)


def test_boxes_that_are_no_numbers_or_of_resized_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_PERTURB", "occlusion:3")
    for boxes in ("4 5 6 12\n", "4 5 6 x 10\n", "4 5 6 inf 10\n", "4 5 6 0 10\n"):
        with pytest.raises(DatasetContentError, match=r"bounding_boxes.txt.*image 4 "):
            seen_data(cub(tmp_path / str(abs(hash(boxes))), boxes), "test")
    with pytest.raises(PerturbationError, match=r"beyond .*b\.jpg.*resized"):
        seen_data(cub(tmp_path / "large", "4 100 80 200 150\n901 1 1 30 20\n"), "test")


def test_boxes_of_the_other_datasets(tmp_path: Path) -> None:
    aircraft = official.aircraft(tmp_path / "aircraft")
    (aircraft / "data/images_box.txt").write_text("0000003 1 2 30 20\n")
    assert get_reader("aircraft").boxes(aircraft / "data", "test") == {"images/0000003.jpg": (Box(0, 1, 30, 20),)}
    birds = official.nabirds(tmp_path / "nabirds")
    (birds / "bounding_boxes.txt").write_text("bb 3 4 10 12\n")
    assert get_reader("nabirds").boxes(birds, "test") == {"images/0295/bb.jpg": (Box(3, 4, 13, 16),)}
    dogs = official.dogs(tmp_path / "dogs")
    file = dogs / "Annotation/n02085620-Chihuahua/n02085620_3"
    file.parent.mkdir(parents=True)
    corner = "<object><bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object>"
    file.write_text(f"<annotation>{corner.format(1)}{corner.format(9)}</annotation>")
    two = {"Images/n02085620-Chihuahua/n02085620_3.jpg": (Box(1, 2, 30, 20), Box(9, 2, 30, 20))}
    assert get_reader("dogs").boxes(dogs, "test") == two
    file.write_text("<annotation>")
    with pytest.raises(DatasetContentError, match="n02085620_3 cannot be read"):
        get_reader("dogs").boxes(dogs, "test")
    assert get_reader("cars").boxes(official.cars_csv(tmp_path / "cars"), "test").popitem()[1] == (Box(1, 2, 30, 20),)
    assert get_reader("cars").boxes(official.cars(tmp_path / "devkit"), "test") == {}


def test_boxes_of_the_real_lists(real: Path) -> None:
    boxes = get_reader("cub").boxes(real / "cub", "test")
    assert len(boxes) == 11788
    assert boxes["images/001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg"] == (Box(60, 27, 385, 331),)
    assert get_reader("cars").boxes(real / "cars", "train")["cars_train/00001.jpg"] == (Box(39, 116, 569, 375),)
