"""Look-alikes across splits: copies are found in another size, quality or mirrored; other photographs are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from finer_tasks.cli.main import main
from finer_tasks.datasets.doctor import Finding, examine
from finer_tasks.datasets.duplicates import Hashes, hashes_of, look_alikes, near_duplicates, perceptual_hashes
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.registry import get_reader
from tests import official

BITS = get_reader("cub").near_bits


def hashed(*images: Image.Image) -> Hashes:
    return np.array([hashes_of(image.convert("RGB")) for image in images], dtype=np.uint64)


def notes(prepared: Prepared) -> list[Finding]:
    return [found for found in examine(prepared, decode=False, near=True) if "alike" in found.text or "bits:" in found.text]


def test_copies_are_found_through_rescaling_and_compression(real: Path, tmp_path: Path) -> None:
    photos = [Image.open(path).convert("RGB") for path in sorted((real / "photos").rglob("*.jpg"))[:8]]
    for number, photo in enumerate(photos):
        photo.resize((photo.width // 2, photo.height // 2)).save(tmp_path / f"{number}.jpg", quality=70)
    copies = hashed(*(Image.open(tmp_path / f"{number}.jpg") for number in range(len(photos))))
    originals = hashed(*photos)
    assert near_duplicates(copies, originals, 6).all()
    others = [near_duplicates(originals[[n]], np.delete(originals, n, axis=0), BITS)[0] for n in range(len(photos))]
    assert not any(others)
    assert not near_duplicates(hashed(*map(ImageOps.mirror, photos)), originals, BITS).any()


def test_a_mirrored_and_a_damaged_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = official.cub(tmp_path / "cub")
    train, test = (root / "images" / name for name in ("001.Black_footed_Albatross/a.jpg", "017.Cardinal/d.jpg"))
    with Image.open(train) as image:
        ImageOps.mirror(image).save(test, quality=95)
    prepared = prepare(Request("cub", root, allow_partial=True))
    (pair,) = look_alikes(prepared, BITS)
    assert pair.mirrored
    assert [found.level for found in notes(prepared)] == ["note", "note"]
    assert main(["doctor", "cub", "--fast", "--near-duplicates"]) == 2  # for what a partial copy lacks
    assert "images/001.Black_footed_Albatross/a.jpg ~ images/017.Cardinal/d.jpg (mirrored)" in capsys.readouterr().out

    for damaged in (train, test):
        damaged.write_bytes(damaged.read_bytes()[:60])
    prepared = prepare(Request("cub", root, allow_partial=True))
    assert not perceptual_hashes(prepared, "train").any(axis=1).all()
    assert look_alikes(prepared, BITS) == []
    assert [found.level for found in notes(prepared)] == ["ok"]


def test_one_split_has_none_to_be_compared_with(tmp_path: Path) -> None:
    prepared = prepare(Request("cub", official.cub(tmp_path / "cub"), allow_partial=True, splits=("test",)))
    assert [found.text for found in notes(prepared)] == ["no look-alikes across splits are looked for: only test is prepared"]


@pytest.mark.slow
def test_of_real_photographs_the_copies_alone_are_found(real: Path) -> None:
    """Looked at by eye: these four are one photograph each, and false alarms begin at 22 bits."""
    if not (real / "cub100").is_dir():
        pytest.skip(f"{real / 'cub100'} is not here; it is not part of the project")
    prepared = prepare(Request("cub", real / "cub100", allow_partial=True))
    found = look_alikes(prepared, BITS)
    names = [Path(prepared.tables()["train"][pair.train]["image"]).parent.name for pair in found]
    assert names == ["079.Cerulean_Warbler", "055.Hooded_Oriole", "006.Bobolink", "014.Bronzed_Cowbird"]
    assert [pair.mirrored for pair in found] == [True, False, False, False]


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    prepared = prepare(Request("cub", official.cub(tmp_path / "cub"), allow_partial=True))
    known = perceptual_hashes(prepared, "test", mirrored=True)
    assert known.shape == (4, 3)
    (cache,) = (prepared.folder.parents[1] / "hashes").iterdir()
    shutil.copyfile(__file__, cache)
    np.testing.assert_array_equal(perceptual_hashes(prepared, "test", mirrored=True), known)
