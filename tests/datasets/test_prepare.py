from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import load_from_disk

from finer_tasks.datasets import prepared as prepared_module
from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.obtain import obtain
from finer_tasks.datasets.prepare import Request, ensure_prepared, prepare, summary
from finer_tasks.datasets.prepared import data_dir, load_prepared
from finer_tasks.errors import (
    ChangedDataError,
    DatasetContentError,
    DatasetLayoutError,
    NotPreparedError,
    OutputError,
    PartialDatasetError,
)
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
    assert image_of(result, rows[0]).size == (32, 24)
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


def test_a_copy_whose_flags_of_the_split_are_inverted_is_refused_even_as_a_partial_one(tmp_path: Path) -> None:
    request = cub_request(tmp_path)
    name = "001.Black_footed_Albatross"
    numbers = range(5994 + 5794)
    official.write(request.root / "images.txt", *(f"{number} {name}/{number}.jpg" for number in numbers))
    official.write(request.root / "image_class_labels.txt", *(f"{number} 1" for number in numbers))
    official.write(request.root / "train_test_split.txt", *(f"{number} {int(number < 5794)}" for number in numbers))
    official.picture(request.root / f"images/{name}/0.jpg", seed=1)
    official.picture(request.root / f"images/{name}/9000.jpg", seed=2)
    with pytest.raises(
        DatasetContentError, match=r"5794 images for train, .* the official test split has: .* exchanged.*1 is train"
    ):
        prepare(request)


def test_a_split_that_a_dataset_does_not_have_is_refused_by_name(tmp_path: Path) -> None:
    root = official.animals(tmp_path / "imagenet")
    with pytest.raises(DatasetLayoutError, match=r"animals has no train split\. Prepare it with --splits test"):
        prepare(Request("animals", root, allow_partial=True))
    assert obtain("animals", root, None, download=False) == (root, ("test",))
    assert prepare(Request("animals", root, ("test",), allow_partial=True)).manifest.splits["test"]["images"] == 2


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


def test_a_second_preparation_replaces_the_first_but_not_under_a_process_that_reads_it(tmp_path: Path) -> None:
    request = cub_request(tmp_path / "a")
    script = f"""
from pathlib import Path
from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.obtain import obtain
from finer_tasks.datasets.prepare import Request, prepare
print(prepare(Request("cub", Path({str(request.root)!r}), allow_partial=True)).folder, flush=True)
input()
"""
    reader = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    first = Path(reader.stdout.readline().strip())
    second = prepare(cub_request(tmp_path / "b"))
    assert first.exists()
    reader.kill()
    reader.communicate()
    third = prepare(request)
    assert not first.exists()
    assert second.folder.exists(), "this process reads it"
    assert load_prepared("cub").folder == third.folder


def test_killed_in_the_middle_the_old_data_stay_and_the_next_run_succeeds(tmp_path: Path) -> None:
    request = cub_request(tmp_path)
    before = prepare(request).manifest
    script = f"""
import signal
from pathlib import Path
from finer_tasks.datasets import prepare as module
original = module.join_splits
def slow(*arguments):
    original(*arguments)
    print("half", flush=True)
    signal.pause()
module.join_splits = slow
module.prepare(module.Request("cub", Path({str(request.root)!r}), allow_partial=True))
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ.copy())
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
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
    with pytest.raises(ChangedDataError, match=r"table .* is not what was written\. Run: finer prepare cub --root /"):
        load_prepared("cub").check("test")
    (result.folder / "concepts.json").write_text("[]")
    arrow.unlink()
    with pytest.raises(ChangedDataError, match=r"finer prepare cub"):
        load_prepared("cub").check("test")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "EOF while parsing"),
        (b"[]", "should be an object"),
        (b'{"dataset": "\\ud800"}', "Invalid JSON"),
        (b"[" * 100_000, "recursion limit"),
        (b'{"dataset": "cub"}', "folder: Field required"),
        (b"\xff", "dataset|expected|invalid"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = prepare(cub_request(tmp_path)).folder.parent / "manifest.json"
    path.write_bytes(content)
    prepared_module.forget_loaded()
    with pytest.raises(
        ChangedDataError, match=rf"manifest\.json cannot be read by this version \(.*({message}).*finer prepare cub"
    ):
        load_prepared("cub")


@pytest.mark.parametrize("changes", [{"taxonomy": "0"}, {"source": "CUB-200-2010"}])
def test_data_prepared_with_other_labels_are_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    path = prepare(cub_request(tmp_path)).folder.parent / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    prepared_module.forget_loaded()
    with pytest.raises(
        ChangedDataError, match=r"other labels or pictures than this version has\. Run: finer prepare cub --root /"
    ):
        load_prepared("cub")


def test_images_that_are_gone_or_outside_are_refused(tmp_path: Path) -> None:
    result = prepare(cub_request(tmp_path))
    official.picture(tmp_path / "secret.jpg")
    for path in ("../secret.jpg", str(tmp_path / "secret.jpg")):
        with pytest.raises(DatasetContentError, match=r"secret\.jpg' is not below"):
            image_of(result, {"image": path})
    Path(result.manifest.root).rename(tmp_path / "moved")
    with pytest.raises(ChangedDataError, match="the images of cub are gone"):
        result.check("test")


@pytest.fixture
def mini_images(mini_data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The pictures of mini, with a data directory that has nothing else prepared."""
    root = Path(load_prepared("mini").manifest.root)
    monkeypatch.setenv("FINER_DATA_DIR", str(tmp_path / "fresh"))
    (tmp_path / "fresh/mini").mkdir(parents=True)
    (tmp_path / "fresh/mini" / root.name).symlink_to(root)
    prepared_module.forget_loaded()
    return root


def test_a_split_is_complete_in_itself_and_the_order_of_splits_means_nothing(mini_data: Path, mini_images: Path) -> None:
    both = prepare(Request("mini", mini_images, ("test", "train"))).manifest
    assert list(both.splits) == ["train", "test"]
    assert json.loads((mini_data / "mini/manifest.json").read_text())["fingerprint"] == both.fingerprint
    alone = prepare(Request("mini", mini_images, ("test",))).manifest
    assert not alone.partial
    assert alone.contents == {"test": both.contents["test"]}
    assert alone.fingerprint != both.fingerprint


def test_an_upgraded_mini_is_rendered_and_prepared_anew(mini_data: Path, mini_images: Path) -> None:
    old = json.loads((mini_data / "mini/manifest.json").read_text()) | {"source": "mini 0.9 seed 1", "root": "/old"}
    path = data_dir() / "mini/manifest.json"
    path.write_text(json.dumps(old))
    fresh = ensure_prepared("mini")
    assert fresh.manifest.source == mini.READER.source
    assert Path(fresh.manifest.root) == mini_images


def test_fewer_images_than_the_official_lists_make_a_partial_copy(tmp_path: Path) -> None:
    assert prepare(cub_request(tmp_path)).manifest.partial


@pytest.mark.parametrize("embed", [False, True])
def test_a_folder_named_like_an_image_is_a_missing_image(tmp_path: Path, embed: bool) -> None:
    request = replace(cub_request(tmp_path), embed_images=embed)
    image = request.root / "images/017.Cardinal/d.jpg"
    image.unlink()
    image.mkdir()
    assert prepare(request).manifest.splits["test"]["missing"] == 1


def test_a_root_that_cannot_be_written_down_is_refused(tmp_path: Path) -> None:
    root = official.cub(tmp_path / os.fsdecode(b"caf\xe9"))
    with pytest.raises(DatasetLayoutError, match=r"caf\\udce9' is no text in UTF-8; rename the folder"):
        prepare(Request("cub", root, allow_partial=True))


def test_a_disk_that_refuses_is_named_and_what_was_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = cub_request(tmp_path)
    before = prepare(request)
    script = f"""
import resource
from pathlib import Path
from finer_tasks.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # as a full disk, every larger file fails
raise SystemExit(main(["prepare", "cub", "--allow-partial", "--root", {str(request.root)!r}]))
"""
    failed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.splitlines()[-1].startswith(f"finer: {before.folder.parent} cannot be written: File too large")
    prepared_module.forget_loaded()
    assert load_prepared("cub").manifest == before.manifest
    assert not list(before.folder.parent.glob(".*"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FINER_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        prepare(request)


def test_one_split_alone(tmp_path: Path) -> None:
    result = prepare(replace(cub_request(tmp_path), splits=("test",)))
    assert set(result.manifest.splits) == {"test"}
    assert result.manifest.partial, "two images are not the official split"
    with pytest.raises(NotPreparedError, match="prepared without its train split"):
        result.check("train")


def test_embedded_images_need_the_root_no_more(tmp_path: Path) -> None:
    request = replace(cub_request(tmp_path), embed_images=True)
    result = prepare(request)
    row = load_from_disk(str(result.data))["test"][0]
    (request.root / "images").rename(tmp_path / "gone")
    assert image_of(result, row).size == (32, 24)


@pytest.mark.parametrize("dataset", ["aircraft", "dogs", "cars", "nabirds", "inat"])
def test_every_reader_goes_through(tmp_path: Path, dataset: str) -> None:
    root = getattr(official, dataset)(tmp_path / "data-set")
    result = prepare(Request(dataset, root, allow_partial=True))
    rows = list(load_from_disk(str(result.data))["test"])
    assert rows
    assert all(image_of(result, row).mode == "RGB" for row in rows)
    known = {concept.concept_id for concept in result.concepts()}
    assert {row["concept_id"] for row in rows} <= known


def test_the_banner_of_aircraft_is_cut_off(tmp_path: Path) -> None:
    result = prepare(Request("aircraft", official.aircraft(tmp_path / "x"), allow_partial=True))
    assert image_of(result, load_from_disk(str(result.data))["test"][0]).size == (32, 4)


def test_the_first_images_of_each_concept_make_a_small_partial_copy_elsewhere(mini_data: Path, tmp_path: Path) -> None:
    whole = load_prepared("mini")
    request = Request("mini", Path(whole.manifest.root), ("test",), per_concept=2)
    small = prepare(request, tmp_path / "small")
    assert small.folder.is_relative_to(tmp_path / "small")
    assert (small.manifest.partial, list(small.manifest.splits)) == (True, ["test"])
    kept, everything = small.tables()["test"], whole.tables()["test"]
    assert len(kept) == 2 * 64
    first = [index for index, _ in sorted(enumerate(everything["concept_id"]), key=lambda pair: pair[0])]
    wanted = [everything[i]["id"] for i in first if everything["concept_id"][:i].count(everything["concept_id"][i]) < 2]
    assert kept["id"][:] == wanted
    assert load_prepared("mini").manifest == whole.manifest
