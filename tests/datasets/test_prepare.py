from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import load_from_disk

from finer_tasks.datasets import prepared as prepared_module
from finer_tasks.datasets.prepare import Request, prepare, summary
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.errors import ChangedDataError, DatasetContentError, NotPreparedError, PartialDatasetError
from tests import official


def cub_request(tmp_path: Path) -> Request:
    return Request("cub", official.cub(tmp_path / "CUB_200_2011"), allow_partial=True)


def test_the_prepared_form_keeps_labels_paths_and_sizes(tmp_path: Path) -> None:
    request = cub_request(tmp_path)
    result = prepare(request)
    rows = list(load_from_disk(str(result.data))["test"])
    assert [row["id"] for row in rows] == ["cub/test/4", "cub/test/901"]
    assert rows[1]["fine"] == ["Northern Cardinal", "Cardinal"]
    assert rows[0]["size"] == (request.root / rows[0]["image"]).stat().st_size
    assert result.image(rows[0]).size == (32, 24)
    assert summary(result) == [("train", "2", "0", "1", "2", "2"), ("test", "2", "0", "1", "2", "2")]
    assert len(result.concepts()) == 200


def test_the_fingerprint_depends_on_content_only(tmp_path: Path) -> None:
    first = prepare(cub_request(tmp_path / "a")).manifest
    again = prepare(cub_request(tmp_path / "b")).manifest
    assert again.fingerprint == first.fingerprint
    root = official.cub(tmp_path / "c")
    official.picture(root / "images/017.Cardinal/d.jpg", seed=99)
    changed = prepare(Request("cub", root, allow_partial=True)).manifest
    assert changed.fingerprint != first.fingerprint
    assert changed.split_fingerprints == first.split_fingerprints


def test_official_counts_are_required_unless_a_partial_copy_is_admitted(tmp_path: Path) -> None:
    request = replace(cub_request(tmp_path), allow_partial=False)
    with pytest.raises(PartialDatasetError, match=r"the lists name 2 images, the official dataset has 5994.*--allow-partial"):
        prepare(request)
    with pytest.raises(NotPreparedError, match="finer prepare cub --root FOLDER"):
        load_prepared("cub")


def test_missing_images_are_counted_and_left_out(tmp_path: Path) -> None:
    request = cub_request(tmp_path)
    (request.root / "images/017.Cardinal/d.jpg").unlink()
    (request.root / "images/017.Cardinal/c.jpg").write_bytes(b"")
    result = prepare(request)
    assert result.manifest.partial
    assert [counts["missing"] for counts in result.manifest.splits.values()] == [1, 1]
    assert [row["id"] for row in load_from_disk(str(result.data))["test"]] == ["cub/test/4"]


def test_without_any_image_the_root_is_wrong(tmp_path: Path) -> None:
    request = cub_request(tmp_path)
    (request.root / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(PartialDatasetError, match="none of the 2 images of the train split"):
        prepare(request)


def test_a_failed_preparation_leaves_the_earlier_one_in_use(tmp_path: Path) -> None:
    request = cub_request(tmp_path)
    before = prepare(request).manifest
    official.write(request.root / "train_test_split.txt", "3 1", "4 0", "900 1", "901 maybe")
    with pytest.raises(DatasetContentError):
        prepare(request)
    prepared_module.forget_loaded()
    after = load_prepared("cub")
    assert after.manifest == before
    after.check("test")
    assert not list(after.folder.parent.glob(".tmp-*"))


def test_a_second_preparation_replaces_the_first(tmp_path: Path) -> None:
    first = prepare(cub_request(tmp_path / "a"))
    second = prepare(cub_request(tmp_path / "b"))
    assert not first.folder.exists()
    assert second.folder.exists()


def test_killed_in_the_middle_the_old_data_stay_and_the_next_run_succeeds(tmp_path: Path) -> None:
    request = cub_request(tmp_path)
    before = prepare(request).manifest
    script = f"""
import time
from pathlib import Path
from finer_tasks.datasets import prepare as module
original = module._join_splits
def slow(*arguments):
    original(*arguments)
    print("half", flush=True)
    time.sleep(60)
module._join_splits = slow
module.prepare(module.Request("cub", Path({str(request.root)!r}), allow_partial=True))
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ.copy())
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.1)
    prepared_module.forget_loaded()
    survivor = load_prepared("cub")
    assert survivor.manifest == before
    survivor.check("test")
    again = prepare(request)
    assert again.manifest.fingerprint == before.fingerprint
    assert not list(again.folder.parent.glob(".tmp-*"))


def test_damage_to_the_prepared_data_is_noticed(tmp_path: Path) -> None:
    result = prepare(cub_request(tmp_path))
    arrow = next((result.data / "test").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:-8] + b"damaged!")
    with pytest.raises(ChangedDataError, match=r"no longer have the fingerprint.*finer prepare cub"):
        load_prepared("cub").check("test")
    (result.folder.parent / "manifest.json").write_text("{")
    prepared_module.forget_loaded()
    with pytest.raises(ChangedDataError, match=r"manifest\.json cannot be read"):
        load_prepared("cub")


def test_one_split_alone(tmp_path: Path) -> None:
    result = prepare(replace(cub_request(tmp_path), splits=("test",)))
    assert set(result.manifest.splits) == {"test"}
    with pytest.raises(NotPreparedError, match="prepared without its train split"):
        result.check("train")


def test_embedded_images_need_the_root_no_more(tmp_path: Path) -> None:
    request = replace(cub_request(tmp_path), embed_images=True)
    result = prepare(request)
    row = load_from_disk(str(result.data))["test"][0]
    (request.root / "images").rename(tmp_path / "gone")
    assert result.image(row).size == (32, 24)


def test_unified_files_of_the_authors(tmp_path: Path) -> None:
    official.picture(tmp_path / "images/001/x.jpg")
    lines = [
        {"idx": 5, "basic-level-lbl": "Bird", "coarse-level-lbl": ["Albatross"], 
         "fine-level-lbl": ["Laysan Albatross", "Phoebastria"],
         "img_path": "/home/someone/cub/images/001/x.jpg"},
    ]  # fmt: skip
    file = official.write(tmp_path / "unified.jsonl", *(json.dumps(line) for line in lines))
    result = prepare(Request("cub", tmp_path, ("test",), unified=file))
    row = load_from_disk(str(result.data))["test"][0]
    assert (row["id"], row["image"], row["fine"]) == ("cub/test/5", "images/001/x.jpg", ["Laysan Albatross", "Phoebastria"])
    assert [concept.concept_id for concept in result.concepts()] == ["laysan_albatross"]
    official.write(file, json.dumps(lines[0]), "", '{"idx": 6, "img_path": "x"}')
    with pytest.raises(DatasetContentError, match=r"unified\.jsonl:3: field 'basic-level-lbl' is missing"):
        prepare(Request("cub", tmp_path, ("test",), unified=file))
    official.write(file, "not json")
    with pytest.raises(DatasetContentError, match=r"unified\.jsonl:1: not valid JSON"):
        prepare(Request("cub", tmp_path, ("test",), unified=file))


@pytest.mark.parametrize("dataset", ["aircraft", "dogs", "cars", "nabirds", "inat"])
def test_every_reader_goes_through(tmp_path: Path, dataset: str) -> None:
    root = getattr(official, dataset)(tmp_path / "data-set")
    result = prepare(Request(dataset, root, allow_partial=True))
    rows = list(load_from_disk(str(result.data))["test"])
    assert rows
    assert all(result.image(row).mode == "RGB" for row in rows)
    known = {concept.concept_id for concept in result.concepts()}
    assert {row["concept_id"] for row in rows} <= known


def test_the_banner_of_aircraft_is_cut_off(tmp_path: Path) -> None:
    result = prepare(Request("aircraft", official.aircraft(tmp_path / "x"), allow_partial=True))
    assert result.image(load_from_disk(str(result.data))["test"][0]).size == (32, 4)
