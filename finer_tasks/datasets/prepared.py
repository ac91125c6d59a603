"""The prepared form of a dataset on disk, and opening it.

    FINER_DATA_DIR/<dataset>/manifest.json     names the folder in use; replaced in one step
    FINER_DATA_DIR/<dataset>/<fingerprint>/    data/ (Arrow, one table a split) and concepts.json

The manifest is the last thing written, so an interrupted preparation leaves the old one in use.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from finer_tasks.datasets.images import open_image
from finer_tasks.datasets.readers import crop_bottom
from finer_tasks.datasets.taxonomy import Concept
from finer_tasks.errors import ChangedDataError, NotPreparedError

VARIABLE = "FINER_DATA_DIR"


def data_dir() -> Path:
    """FINER_DATA_DIR, by default ~/.cache/finer."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/finer").expanduser()


@dataclass(frozen=True)
class Manifest:
    """What was prepared, from what, by which version."""

    dataset: str
    folder: str
    fingerprint: str
    root: str
    source: str
    splits: Mapping[str, Mapping[str, int]]
    split_fingerprints: Mapping[str, str]
    digests: Mapping[str, str]
    partial: bool
    embedded: bool
    unified: str
    created: str
    finer_version: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True)
class Prepared:
    """A prepared dataset: its manifest and where it lies."""

    manifest: Manifest
    folder: Path

    @property
    def data(self) -> Path:
        """The folder that `datasets.load_from_disk` opens."""
        return self.folder / "data"

    def concepts(self) -> list[Concept]:
        """Every fine concept of the dataset, whether or not an image of it is there."""
        raw = json.loads((self.folder / "concepts.json").read_text(encoding="utf-8"))
        return [_concept(item) for item in raw]

    def image(self, doc: Mapping[str, Any]) -> Any:
        """The RGB image of a task document; raises DatasetContentError if it cannot be decoded whole."""
        embedded = doc.get("embedded_image")
        source = embedded["bytes"] if embedded and embedded.get("bytes") else Path(self.manifest.root) / doc["image"]
        return open_image(source, crop_bottom(self.manifest.dataset))

    def check(self, split: str) -> None:
        """Raise ChangedDataError if the table of a split is not the one that was prepared."""
        if split not in self.manifest.digests:
            raise NotPreparedError(
                f"{self.manifest.dataset} was prepared without its {split} split. Run: {prepare_command(self.manifest.dataset)}"
            )
        if digest(self.data / split) != self.manifest.digests[split]:
            raise ChangedDataError(
                f"{self.data / split}: the prepared data no longer have the fingerprint they were written with. "
                f"Run: {prepare_command(self.manifest.dataset)}"
            )


def _concept(item: dict[str, Any]) -> Concept:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
    return Concept(**fields)


def prepare_command(dataset: str) -> str:
    """The command that mends a missing or damaged dataset."""
    return "finer prepare mini" if dataset == "mini" else f"finer prepare {dataset} --root FOLDER"


def load_prepared(dataset: str) -> Prepared:
    """The prepared dataset in use; raises NotPreparedError naming the command that makes it."""
    return _load(dataset, data_dir())


@cache
def _load(dataset: str, directory: Path) -> Prepared:
    path = directory / dataset / "manifest.json"
    if not path.exists():
        raise NotPreparedError(
            f"dataset {dataset!r} is not prepared in {directory} ({VARIABLE}). Run: {prepare_command(dataset)}"
        )
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ChangedDataError(f"{path} cannot be read ({error}). Run: {prepare_command(dataset)}") from error
    folder = path.parent / manifest.folder
    if not (folder / "concepts.json").exists():
        raise ChangedDataError(f"{folder} is missing or incomplete. Run: {prepare_command(dataset)}")
    return Prepared(manifest, folder)


def forget_loaded() -> None:
    """Make the next load read the disk again (after a preparation in this process)."""
    _load.cache_clear()


def digest(folder: Path) -> str:
    """SHA-256 over the Arrow files of one split, in name order; caches that `datasets` leaves beside them do not count."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("data-*.arrow")):
        with path.open("rb") as file:
            while chunk := file.read(1 << 22):
                total.update(chunk)
    return total.hexdigest()
