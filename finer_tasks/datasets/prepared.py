"""The prepared form of a dataset on disk, and opening it.

    FINER_DATA_DIR/<dataset>/manifest.json     names the folder in use; replaced in one step
    FINER_DATA_DIR/<dataset>/<fingerprint>/    data/ (Arrow, one table a split) and concepts.json

The manifest is the last thing written, so an interrupted preparation leaves the old one in use. A process
keeps the folder that it opened until it ends, also where a newer one takes its place meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from finer_tasks.datasets.in_use import MARKER, hold
from finer_tasks.datasets.record import Concept
from finer_tasks.datasets.registry import get_reader
from finer_tasks.datasets.taxonomy import taxonomy_hash
from finer_tasks.errors import ChangedDataError, NotPreparedError, os_error_text

if TYPE_CHECKING:
    from datasets import DatasetDict

VARIABLE = "FINER_DATA_DIR"


def data_dir() -> Path:
    """FINER_DATA_DIR, by default ~/.cache/finer."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/finer").expanduser()


@dataclass(frozen=True)
class Manifest:
    """What was prepared, from what, by which version.

    Attributes:
        fingerprint: over images and labels of all splits; `contents` has one for each split,
            which is what a result on that split depends on.
        split_fingerprints: over image, class and split alone, to compare with the official lists.
        digests: SHA-256 of the written tables by split; `concepts_digest` that of concepts.json.
        partial: whether official images are missing from the splits that are there.
        taxonomy: hash of the taxonomy that gave the labels.
        unified: names of the authors' files the labels came from, else empty.
        copy: the options of `finer prepare` that read a copy in another layout, else empty.
        official: by split, how its images are known to be the official ones: by "lists", "file names" or "content"; empty
            where they are not.
    """

    dataset: str
    folder: str
    fingerprint: str
    contents: Mapping[str, str]
    root: str
    source: str
    splits: Mapping[str, Mapping[str, int]]
    split_fingerprints: Mapping[str, str]
    digests: Mapping[str, str]
    concepts_digest: str
    partial: bool
    embedded: bool
    taxonomy: str
    unified: str
    created: str
    finer_version: str
    copy: str = ""
    official: Mapping[str, str] = field(default_factory=dict)

    def is_official(self, split: str) -> bool:
        """Whether the images of a split are known to be those of the official one, though some of them may be missing."""
        return bool(self.official.get(split, "lists"))  # older manifests do not say

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared dataset: its manifest and where it lies. Compared by identity, so that what is read from it can be kept."""

    manifest: Manifest
    folder: Path

    @property
    def data(self) -> Path:
        """The folder that `datasets.load_from_disk` opens."""
        return self.folder / "data"

    def tables(self) -> DatasetDict:
        """The documents of every split; images stay where they are."""
        from datasets import load_from_disk

        return load_from_disk(str(self.data))

    def concepts(self) -> list[Concept]:
        """Every fine concept of the dataset, whether or not an image of it is there; raises ChangedDataError."""
        from pydantic import TypeAdapter, ValidationError

        path = self.folder / MARKER
        try:
            return TypeAdapter(list[Concept]).validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ChangedDataError(f"{path} cannot be read ({_why(error)}). Run: {self.command}") from error

    @property
    def command(self) -> str:
        """The command that prepares it again."""
        return prepare_command(self.manifest.dataset, self.manifest)

    def check(self, split: str) -> None:
        """Raise ChangedDataError if the table of a split or the concepts are not what was prepared, or all images are gone."""
        if split not in self.manifest.digests:
            raise NotPreparedError(f"{self.manifest.dataset} was prepared without its {split} split. Run: {self.command}")
        if problem := self.changed(split):
            raise ChangedDataError(f"{problem}. Run: {self.command}")
        if not self.manifest.embedded and not Path(self.manifest.root).is_dir():
            raise ChangedDataError(
                f"the images of {self.manifest.dataset} are gone: {self.manifest.root} is no folder. "
                f"Put it back, or run with its new place: {self.command}"
            )

    def changed(self, *splits: str) -> str:
        """What of these splits is no longer as it was written, empty if all is."""
        for split in splits:
            if digest(self.data / split) != self.manifest.digests[split]:
                return f"the prepared {split} table ({self.data / split}) is not what was written"
        if _sha256(self.folder / MARKER) != self.manifest.concepts_digest:
            return f"{self.folder / MARKER} is not what was written"
        return ""


def prepare_command(dataset: str, manifest: Manifest | None = None) -> str:
    """The command that mends a missing or damaged dataset; with what was given for it the last time, where that is known."""
    reader = get_reader(dataset)
    if reader.built_in or (reader.own and not manifest):
        return f"finer prepare {dataset}"
    if manifest and manifest.copy:
        return f"finer prepare {dataset} {manifest.copy}"
    root = shlex.quote(manifest.root) if manifest else "FOLDER"
    return f"finer prepare {dataset} --root {root}" + (" --from-unified SPLIT=FILE" if manifest and manifest.unified else "")


def load_prepared(dataset: str, directory: Path | None = None) -> Prepared:
    """The prepared dataset in use, in FINER_DATA_DIR or another directory; raises NotPreparedError naming the command."""
    return _load(dataset, directory or data_dir())


@cache
def _load(dataset: str, directory: Path) -> Prepared:
    path = directory / dataset / "manifest.json"
    for _ in range(3):  # a preparation may put another folder in place while this one is opened
        manifest = _read_manifest(path, dataset)
        prepared = Prepared(manifest, path.parent / manifest.folder)
        if hold(prepared.folder):
            return prepared
    raise ChangedDataError(f"{prepared.folder} is missing or incomplete. Run: {prepared.command}")


def _read_manifest(path: Path, dataset: str) -> Manifest:
    from pydantic import TypeAdapter, ValidationError

    if not path.exists():
        raise NotPreparedError(
            f"dataset {dataset!r} is not prepared in {path.parent.parent} ({VARIABLE}). Run: {prepare_command(dataset)}"
        )
    try:
        manifest = TypeAdapter(Manifest).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ChangedDataError(
            f"{path} cannot be read by this version ({_why(error)}). Run: {prepare_command(dataset)}"
        ) from error
    reader = get_reader(dataset)
    current = manifest.unified or manifest.copy or manifest.source == reader.source
    if not current or manifest.taxonomy != taxonomy_hash(dataset):
        now = reader.own.folder if reader.own else "this version"
        raise ChangedDataError(
            f"{dataset} was prepared with other labels or pictures than {now} has. Run: {prepare_command(dataset, manifest)}"
        )
    return manifest


def _why(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    return os_error_text(error) if isinstance(error, OSError) else str(error)


def forget_loaded() -> None:
    """Make the next load read the disk again (after a preparation in this process)."""
    _load.cache_clear()


def digest(folder: Path) -> str:
    """SHA-256 over the Arrow files of one split, in name order; caches that `datasets` leaves beside them do not count."""
    return _sha256(*sorted(folder.glob("data-*.arrow")))


def _sha256(*paths: Path) -> str:
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 22):
                total.update(chunk)
    return total.hexdigest()
