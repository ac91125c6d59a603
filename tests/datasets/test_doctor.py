from __future__ import annotations

import json
import shutil
from pathlib import Path

from finer_tasks.datasets.doctor import examine
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.prepared import Prepared, load_prepared
from tests import official


def cub(tmp_path: Path) -> Prepared:
    return prepare(Request("cub", official.cub(tmp_path / "cub"), allow_partial=True))


def problems(prepared: Prepared) -> str:
    return "\n".join(finding.text for finding in examine(prepared) if finding.level == "problem")


def test_mini_is_in_order(mini_data: Path) -> None:
    findings = examine(load_prepared("mini"), decode=False)
    assert {finding.level for finding in findings} == {"ok"}


def test_what_is_not_official_is_said(tmp_path: Path) -> None:
    found = problems(cub(tmp_path))
    assert "train: 2 images listed, the official split has 5994" in found
    assert "differ from the official ones" in found
    assert "test: 2 of 200 classes" in found


def test_corrupt_missing_and_resized_files_are_found(tmp_path: Path) -> None:
    prepared = cub(tmp_path)
    root = Path(prepared.manifest.root) / "images"
    damaged = root / "001.Black_footed_Albatross/b.jpg"
    size = damaged.stat().st_size
    damaged.write_bytes(damaged.read_bytes()[: size // 2] + bytes(size - size // 2 - 2) + b"\x00\x00")
    (root / "017.Cardinal/d.jpg").unlink()
    found = problems(prepared)
    assert "test: 1 image files are missing or changed in size: images/017.Cardinal/d.jpg" in found
    assert "cannot be decoded" in found


def test_one_picture_in_both_splits_is_found(tmp_path: Path) -> None:
    root = official.cub(tmp_path / "cub")
    shutil.copy(root / "images/001.Black_footed_Albatross/a.jpg", root / "images/017.Cardinal/d.jpg")
    prepared = prepare(Request("cub", root, allow_partial=True))
    found = problems(prepared)
    assert "1 pictures are in both splits under different names: " in found
    assert "images/001.Black_footed_Albatross/a.jpg = images/017.Cardinal/d.jpg" in found
    embedded = prepare(Request("cub", root, allow_partial=True, embed_images=True))
    assert "1 pictures are in both splits" in problems(embedded)


def test_one_image_in_both_splits_is_told_once(tmp_path: Path) -> None:
    root = official.cub(tmp_path / "cub")
    rows = {"train": ["a.jpg"], "test": ["a.jpg", "b.jpg"]}
    files = {}
    for split, names in rows.items():
        entries = [
            {"idx": name, "basic-level-lbl": "Bird", "coarse-level-lbl": "Albatross", "fine-level-lbl": "x", "img_path": name}
            for name in names
        ]
        files[split] = official.write(tmp_path / f"{split}.jsonl", *map(json.dumps, entries))
    found = problems(prepare(Request("cub", root / "images/001.Black_footed_Albatross", unified=files)))
    assert "1 images are in both splits: a.jpg" in found
    assert "under different names" not in found


def test_test_labels_on_training_images_are_found(tmp_path: Path) -> None:
    """The mistake of a public fine-tune: in Stanford Cars both splits use the same file names."""
    root = official.cars(tmp_path / "cars")
    shutil.rmtree(root / "cars_test")
    (root / "cars_test").symlink_to(root / "cars_train")
    prepared = prepare(Request("cars", root, allow_partial=True))
    assert "3 pictures are in both splits" in problems(prepared)


def test_a_changed_table_ends_the_examination(tmp_path: Path) -> None:
    prepared = cub(tmp_path)
    arrow = next((prepared.data / "test").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes() + b"x")
    findings = examine(prepared)
    assert len(findings) == 1
    assert "is not what was written" in findings[0].text


def test_changed_concepts_are_found(tmp_path: Path) -> None:
    prepared = cub(tmp_path)
    (prepared.folder / "concepts.json").write_text("[]")
    assert "concepts.json is not what was written" in problems(prepared)


def test_findings_stay_short_however_many_images_are_concerned(tmp_path: Path) -> None:
    """Two thousand entries of both splits name one picture, which cannot be decoded and lies in the folder of the other split."""
    root = official.inat(tmp_path)
    for split in ("train_mini", "val"):
        document = json.loads((root / f"{split}.json").read_text())
        document["images"] = [{"id": number, "file_name": "train_mini/x.jpg"} for number in range(2000)]
        document["annotations"] = [{"image_id": number, "category_id": 7} for number in range(2000)]
        (root / f"{split}.json").write_text(json.dumps(document))
    official.write(root / "train_mini/x.jpg", "no picture")
    found = examine(prepare(Request("inat", root, allow_partial=True)))
    assert max(len(finding.text) for finding in found) < 1000
    text = "\n".join(finding.text for finding in found)
    assert "2000 images are in both splits: train_mini/x.jpg; " in text
    assert "test: 2000 images cannot be decoded" in text
    assert " and 1997 more" in text


def test_a_picture_twice_in_one_split_is_no_more_than_noted(tmp_path: Path) -> None:
    root = official.cub(tmp_path / "cub")
    shutil.copy(root / "images/001.Black_footed_Albatross/b.jpg", root / "images/017.Cardinal/d.jpg")
    prepared = prepare(Request("cub", root, allow_partial=True))
    assert "pictures" not in problems(prepared)
    assert "1 pictures occur more than once within a split" in "\n".join(finding.text for finding in examine(prepared))


def test_a_moved_image_folder_is_named(tmp_path: Path) -> None:
    prepared = cub(tmp_path)
    shutil.move(prepared.manifest.root, tmp_path / "moved")
    assert "is gone" in problems(prepared)
