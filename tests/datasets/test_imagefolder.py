"""Trees of class folders as they are found: with and without splits, doubled, linked, with strangers among the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.datasets.readers.imagefolder import FolderImage, split_named, walk_image_folder
from finer_tasks.errors import DatasetLayoutError


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_split_class_image(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/Pug/2.jpg", "train/Pug/1.JPG", "test/Beagle/1.png", "README.md", "train/Pug/Thumbs.db")
    tree(root, "__MACOSX/train/Pug/._1.jpg", ".cache/Pug/1.jpg", "train/Pug/._2.jpg")
    assert list(walk_image_folder(root)) == [
        FolderImage("test", "Beagle", "test/Beagle/1.png"),
        FolderImage("train", "Pug", "train/Pug/1.JPG"),
        FolderImage("train", "Pug", "train/Pug/2.jpg"),
    ]


@pytest.mark.parametrize("above", ["", "Images/", "images/Images/"])
def test_class_folders_alone_have_no_split_however_deep_they_lie(tmp_path: Path, above: str) -> None:
    root = tree(tmp_path, f"{above}Pug/1.jpg", f"{above}Beagle/1.jpg")
    assert [(image.split, image.class_name) for image in walk_image_folder(root)] == [("", "Beagle"), ("", "Pug")]


def test_doubled_folders_are_passed_through_and_one_split_alone_is_still_one(tmp_path: Path) -> None:
    root = tree(
        tmp_path, "car_data/car_data/cars_train/cars_train/Audi/1.jpg", "car_data/car_data/cars_train/cars_train/BMW/1.jpg"
    )
    assert [(image.split, image.class_name) for image in walk_image_folder(root)] == [
        ("cars_train", "Audi"),
        ("cars_train", "BMW"),
    ]


def test_links_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    tree(tmp_path / "elsewhere", "1.jpg")
    root = tree(tmp_path / "root", "train/Pug/1.jpg")
    (root / "train" / "Beagle").symlink_to(tmp_path / "elsewhere")
    (root / "train" / "Pug" / "up").symlink_to(root)
    assert [image.class_name for image in walk_image_folder(root)] == ["Beagle", "Pug"]


def test_an_image_outside_of_class_folders_is_refused_by_name(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/Pug/1.jpg", "train/stray.jpg")
    with pytest.raises(DatasetLayoutError, match=r"train/stray\.jpg lies in no class folder"):
        list(walk_image_folder(root))


@pytest.mark.parametrize(
    ("folder", "split"),
    [("train", "train"), ("Training", "train"), ("cars_test", "test"), ("val", "validation"), ("trainval", "train"),
     ("testing", "test"), ("Latest", None), ("images", None), ("test_tube", None)],
)  # fmt: skip
def test_what_a_folder_says_of_its_split(folder: str, split: str | None) -> None:
    assert split_named(folder) == split
