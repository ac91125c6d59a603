"""Copies as class folders: through the command to the prepared data, and what of the split is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.datasets.copies.copy import Choices, choose_splits, image_ids
from finer_tasks.datasets.doctor import examine
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.errors import DatasetLayoutError
from tests import official


def dogs(root: Path) -> Path:
    for seed, path in enumerate(
        ["train/n02085620-Chihuahua/n02085620_1.jpg", "train/pug/n02110958_2.jpg", "test/Chihuahua/n02085620_3.jpg",
         "test/Pug/n02110958_4.jpg"]
    ):  # fmt: skip
        official.picture(root / path, seed)
    return root


def test_a_copy_in_folders_is_prepared_and_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = dogs(tmp_path / "my dogs")
    assert main(["prepare", "dogs", "--from-imagefolder", str(root), "--allow-partial"]) == 0
    told = capsys.readouterr().out
    assert "4 of 4 class names match, 2 in another spelling" in told
    assert "not known to be the official split: train, test" in told
    prepared = load_prepared("dogs")
    assert [row["id"] for row in prepared.tables()["test"]] == ["dogs/test/n02085620_3", "dogs/test/n02110958_4"]
    assert [row["class_id"] for row in prepared.tables()["train"]] == ["Chihuahua", "pug"]
    assert not prepared.manifest.is_official("test")
    assert prepared.command == f"finer prepare dogs --from-imagefolder '{root}'"
    assert any("not known to be official" in finding.text for finding in examine(prepared))


def test_a_copy_with_exchanged_splits_is_refused_with_the_option_that_mends_it(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = next(path for path in (shared_data / "mini").glob("images-*") if path.is_dir())
    for ours, theirs in (("train", "test"), ("test", "train")):
        (tmp_path / "copy" / theirs).parent.mkdir(exist_ok=True)
        (tmp_path / "copy" / theirs).symlink_to(images / ours)
    assert main(["prepare", "mini", "--from-imagefolder", str(tmp_path / "copy")]) == 2
    assert "the splits are exchanged. Say which is which with --take train=NAME,test=NAME" in capsys.readouterr().err
    assert main(["prepare", "mini", "--from-imagefolder", str(tmp_path / "copy"), "--take", "train=test,test=train"]) == 0


def test_a_copy_with_the_official_names_and_counts_is_known_to_be_official(tmp_path: Path, shared_data: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(next(path for path in (shared_data / "mini").glob("images-*") if path.is_dir()), copy)
    assert main(["prepare", "mini", "--from-imagefolder", str(copy)]) == 0
    manifest = load_prepared("mini").manifest
    assert dict(manifest.official) == {"train": "file names", "test": "file names"}
    assert not manifest.partial
    first, second = sorted((copy / "test").iterdir())[:2]
    (first / "000.bmp").rename(second / "010.bmp")
    assert main(["prepare", "mini", "--from-imagefolder", str(copy)]) == 0
    assert dict(load_prepared("mini").manifest.official) == {"train": "file names", "test": ""}


def test_a_name_that_is_no_class_is_refused_until_it_is_said_which_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = dogs(tmp_path / "dogs")
    (root / "test/Pug").rename(root / "test/Pekinesse")
    command = ["prepare", "dogs", "--from-imagefolder", str(root), "--splits", "test"]
    assert main(command) == 2
    assert "no class: 'Pekinesse' (nearest: 'Pekinese')" in capsys.readouterr().err
    names = official.write(tmp_path / "names.yaml", "Pekinesse: pug")
    assert main([*command, "--allow-partial", "--class-names", str(names)]) == 0
    assert load_prepared("dogs").tables()["test"]["class_id"] == ["Chihuahua", "pug"]


def test_numbered_folders_need_names_whatever_is_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = dogs(tmp_path / "dogs")
    (root / "test/Pug").rename(root / "test/1")
    (root / "test/Chihuahua").rename(root / "test/0")
    command = ["prepare", "dogs", "--from-imagefolder", str(root), "--splits", "test", "--allow-partial"]
    assert main(command) == 2
    assert "classes of the copy are numbers without a name, for example '0'. Give names with" in capsys.readouterr().err
    names = official.write(tmp_path / "names.txt", "Chihuahua", "Pug", "Chihuahua", "Pug")
    for folder in ("n02085620-Chihuahua", "pug"):
        shutil.rmtree(root / "train" / folder)
    assert main([*command, "--class-names", str(names)]) == 0
    assert load_prepared("dogs").tables()["test"]["class_id"] == ["Chihuahua", "pug"]


def test_images_of_unknown_classes_are_left_out_on_consent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = dogs(tmp_path / "dogs")
    (root / "test/Pug").rename(root / "test/Cat")
    assert main(["prepare", "dogs", "--from-imagefolder", str(root), "--splits", "test", "--allow-partial"]) == 0
    assert load_prepared("dogs").manifest.splits["test"]["listed"] == 1
    assert "1 images of names that are no class are left out" in capsys.readouterr().out


def test_folders_without_a_split_need_to_be_told_which_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = dogs(tmp_path / "dogs") / "test"
    command = ["prepare", "dogs", "--from-imagefolder", str(root), "--allow-partial"]
    assert main(command) == 2
    assert "the copy does not say which images are for testing: images without a split (2)" in capsys.readouterr().err
    assert main([*command, "--splits", "test"]) == 0
    assert json.loads((load_prepared("dogs").folder.parent / "manifest.json").read_text())["official"] == {"test": ""}


@pytest.mark.parametrize(
    ("there", "counts", "found"),
    [
        ({"train": 5, "test": 3}, {"train": 5, "test": 3}, {"train": ("train",), "test": ("test",)}),
        (
            {"train": 3, "validation": 2, "test": 4},
            {"train": 5, "test": 4},
            {"train": ("train", "validation"), "test": ("test",)},
        ),
        ({"train": 3, "validation": 2, "test": 4}, {"train": 3, "test": 9}, {"train": ("train",), "test": ("test",)}),
        ({"train": 5, "val": 3}, {"train": 8, "test": 3}, {"train": ("train",), "test": ("val",)}),
        ({"test": 3}, {"train": 5, "test": 3}, {"test": ("test",)}),
    ],
)
def test_validation_is_what_the_official_counts_make_of_it(
    there: dict[str, int], counts: dict[str, int], found: dict[str, tuple[str, ...]]
) -> None:
    assert choose_splits(there, counts, Choices()) == found


def test_splits_can_be_told(tmp_path: Path) -> None:
    there, counts = {"part1": 5, "part2": 3}, {"train": 5, "test": 3}
    assert choose_splits(there, counts, Choices(take={"test": ("part2",)})) == {"test": ("part2",)}
    with pytest.raises(DatasetLayoutError, match=r"'part3' is not there; .* part1 \(5\), part2 \(3\)"):
        choose_splits(there, counts, Choices(take={"test": ("part3",)}))
    with pytest.raises(DatasetLayoutError, match="has no train split, only test"):
        choose_splits({"test": 3}, counts, Choices(splits=("train", "test")))


def test_ids_are_file_names_where_those_tell_images_apart() -> None:
    assert image_ids(["a/1.jpg", "b/2.jpg"]) == ["1", "2"]
    assert image_ids(["a/1.jpg", "b/1.jpg"]) == ["a/1", "b/1"]
    assert image_ids(["", ""]) == ["000000", "000001"]


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["cub", "dogs"])
def test_all_official_names_of_a_dataset_make_its_split_official(dataset: str, real: Path, tmp_path: Path) -> None:
    for split, below in official_paths(dataset, real):
        path = tmp_path / "copy" / split / below
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")  # preparing decodes nothing
    assert main(["prepare", dataset, "--from-imagefolder", str(tmp_path / "copy")]) == 0
    manifest = load_prepared(dataset).manifest
    assert dict(manifest.official) == {"train": "file names", "test": "file names"}
    assert not manifest.partial


def official_paths(dataset: str, real: Path) -> Iterator[tuple[str, str]]:
    """Split and <class>/<image> of every official image."""
    if dataset == "dogs":
        for split in ("train", "test"):
            yield from ((split, line) for line in (real / f"dogs/{split}_list.txt").read_text().split())
        return
    root = next((real / "cub").rglob("images.txt")).parent
    images, flags = (
        dict(line.split() for line in (root / name).read_text().splitlines()) for name in ("images.txt", "train_test_split.txt")
    )
    yield from (("train" if flags[key] == "1" else "test", path) for key, path in images.items())
