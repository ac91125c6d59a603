"""The official split found by what images show, where their names and folders say nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from finer_tasks.cli.main import main
from finer_tasks.datasets import prepared as prepared_module
from finer_tasks.datasets.copies.content import read_official
from finer_tasks.datasets.doctor import examine
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.errors import DatasetContentError
from tests import official


@pytest.fixture
def listed(mini_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The list of mini, and a copy of its test images in another format, under numbers, without a split."""
    names = tmp_path / "mini.csv"
    assert main(["fingerprint", "mini", "--output", str(names)]) == 0
    prepared = load_prepared("mini")
    copy = tmp_path / "copy"
    table = prepared.tables()["test"]
    for number, row in enumerate(table.select(range(len(table) - 1, -1, -1))):
        path = copy / row["class_id"].upper() / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(Path(prepared.manifest.root) / row["image"]).save(path)
    monkeypatch.setenv("FINER_DATA_DIR", str(tmp_path / "finer-data"))
    prepared_module.forget_loaded()
    return names, copy


def test_images_get_their_official_ids_and_split_by_content(
    listed: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    names, copy = listed
    command = ["prepare", "mini", "--from-imagefolder", str(copy), "--official", str(names), "--splits", "test"]
    assert main(command) == 0
    assert "test: 640 of 640 official images are in the copy, found by content" in capsys.readouterr().out
    prepared = load_prepared("mini")
    assert dict(prepared.manifest.official) == {"test": "content"}
    row = prepared.tables()["test"][0]
    assert row["id"] == "mini/test/alder_finch/000"
    assert row["image"] == "ALDER FINCH/0639.png"
    assert not [finding for finding in examine(prepared, decode=False) if finding.level == "problem"]
    stranger = copy / "ALDER FINCH/stranger.png"
    official.picture(stranger)
    assert main(command) == 2
    assert "1 of 641 images of the copy look like no image of their class in" in capsys.readouterr().err
    (copy / "ALDER FINCH/0639.png").unlink()
    assert main([*command, "--allow-partial"]) == 0
    assert main(["prepare", "mini", "--from-imagefolder", str(copy), "--official", str(names), "--splits", "train"]) == 2
    manifest = load_prepared("mini").manifest
    assert manifest.partial
    assert not manifest.is_official("test")


def test_a_list_holds_names_and_hashes_and_nothing_else(listed: tuple[Path, Path]) -> None:
    lines = listed[0].read_text().splitlines()
    assert lines[1] == "split,image,class,hash"
    assert len(lines) == 2 + 3072 + 640
    split, image, name, digits = lines[2].split(",")
    assert (split, image, name, len(digits)) == ("train", "alder_finch/000", "Alder Finch", 48)


def test_no_list_is_made_of_what_is_not_known_to_be_official(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "cub", "--root", str(official.cub(tmp_path)), "--allow-partial"]) == 0
    assert main(["fingerprint", "cub", "--output", str(tmp_path / "cub.csv")]) == 2
    assert "the prepared cub is a partial copy, so that a list of it would mislead" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["split,image,class,hash"], r":1: no list of hashes .*finer fingerprint"),
        (
            ["finer-tasks hashes 1,cub,x,", "split,image,class,hash", "test,1,Cardinal,abc"],
            ":3: expected split, image, class and 48",
        ),
        (["finer-tasks hashes 1,cub,x,", "split,image,class,hash"], "lists no image"),
    ],
)
def test_broken_lists_are_refused_with_the_line(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(DatasetContentError, match=said):
        read_official(official.write(tmp_path / "list.csv", *lines))
