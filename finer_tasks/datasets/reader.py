"""What a dataset is: where it comes from, what its authors publish of it, and how it is read.

Every module of readers/ ends in one Reader; registry.py lists them. What sets one dataset apart from
the others is a member here, so that no other code asks for a dataset by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from finer_tasks.datasets.boxes import Boxes
from finer_tasks.datasets.record import SPLITS, Concept, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy


@dataclass(frozen=True)
class Archive:
    """One file to download; `checksum` is '<algorithm>:<hex>' or '' where none is published."""

    url: str
    checksum: str = ""
    size: int | None = None
    into: str = "."

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def packed(self) -> bool:
        """Whether it is to be unpacked; any other file is kept as it is."""
        return self.name.endswith((".tar", ".tar.gz", ".tgz"))


class Paper(NamedTuple):
    """What to read and cite of a dataset; `bibtex` is its entry."""

    title: str
    address: str
    bibtex: str


@dataclass(frozen=True)
class Origin:
    """Where a dataset comes from, under which terms, and the ways to get it.

    Attributes:
        root: which folder --root means, in words.
        manual: the steps by hand, where nothing may or can be downloaded.
        archives: what --download fetches, checked by the sums of the authors, of torchvision or of
            TensorFlow Datasets.
        unpacked: the folder of the dataset among what the archives unpack to.
        splits: those that the archives hold.
        paper: by its authors; none of a dataset that is built in.
    """

    title: str
    home: str
    terms: str
    root: str
    manual: str = ""
    archives: tuple[Archive, ...] = ()
    unpacked: str = "."
    splits: tuple[str, ...] = SPLITS
    paper: Paper | None = None

    def describe(self, name: str) -> str:
        """What a user needs to know to get the dataset, as indented text."""
        lines = [f"{name}: {self.title}", f"  from:  {self.home}", f"  terms: {self.terms}", f"  --root: {self.root}"]
        if self.archives:
            lines.append("  --download fetches: " + ", ".join(archive.url for archive in self.archives))
        if self.manual:
            lines += ["  by hand:"] + [f"    {line}" for line in self.manual.rstrip().splitlines()]
        return "\n".join(lines)


class ExactAttributes(NamedTuple):
    """The attributes of a concept, known because its pictures are drawn by them."""

    concept_id: str
    name: str
    required: tuple[str, ...]
    likely: tuple[str, ...]


class Own(NamedTuple):
    """Where a dataset of the user's own lies: the folder of its list and taxonomy, and that of its images."""

    folder: Path
    images: Path


@dataclass(frozen=True)
class Reader:
    """One dataset. The members with a default are what only some datasets have.

    Attributes:
        source: the version, as records and manifests name it.
        classes: how many classes it has.
        official: images per split that the authors publish.
        locate: the dataset's folder, from the one that the user gave; raises DatasetLayoutError.
        read: the records of the wanted splits below that folder.
        benchmark: whether FINER's authors evaluate on it: groups over several datasets hold those.
        fingerprints: by split, which image belongs to which class over the official lists, where that
            is known (see Manifest.split_fingerprints).
        file_fingerprints: the same with file names in place of ids, where the two differ.
        id_of_file: the dataset's own id of an image, from the name of its file without suffix.
        crop_bottom: rows of pixels at the bottom of every image that are not part of the picture.
        near_bits: up to how many of the 192 bits of their perceptual hashes two images differ that are one picture.
        has_ranks: whether its concepts have scientific ranks, which questions in text then tell.
        official_in: as `official`, where it depends on which files a folder holds.
        concepts_in: every concept by class name, where the files have them and not the taxonomy.
        remark: what a preparation from that folder should tell its user.
        render: writes the images, of a dataset that is built in.
        exact_attributes: the attributes of every concept, where they need no knowledge base.
        boxes: where the objects are in the images of a split, below that folder; empty where a copy lacks the files.
        own: of a dataset of the user's own, where it lies.
    """

    name: str
    source: str
    classes: int
    official: Mapping[str, int]
    origin: Origin
    locate: Callable[[Path], Path]
    read: Callable[[Path, tuple[str, ...]], Iterator[FinerRecord]]
    benchmark: bool = False
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    file_fingerprints: Mapping[str, str] = field(default_factory=dict)
    id_of_file: Callable[[str], str] = str
    crop_bottom: int = 0
    near_bits: int = 20  # of photographs; docs/datasets.md has what was found at which distance
    has_ranks: bool = False
    official_in: Callable[[Path], Mapping[str, int]] | None = None
    concepts_in: Callable[[Path], Mapping[str, Concept]] | None = None
    remark: Callable[[Path], str] | None = None
    render: Callable[[Path], None] | None = None
    exact_attributes: Callable[[], list[ExactAttributes]] | None = None
    boxes: Callable[[Path, str], Boxes] | None = None
    own: Own | None = None

    @property
    def copy_again(self) -> str:
        """What to do where the lists are not as expected, as a sentence without its end."""
        if self.own:
            return f"If {self.own.folder} was changed on purpose, run `finer dataset update {self.name}`"
        return "Copy the official files again"

    @property
    def built_in(self) -> bool:
        """Whether its images are rendered when they are first needed."""
        return self.render is not None

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that the dataset has, train before test."""
        return tuple(split for split in SPLITS if split in self.official)

    def official_counts(self, root: Path) -> Mapping[str, int]:
        """Images per split that the authors publish of what a folder holds."""
        return self.official_in(root) if self.official_in else self.official

    def concepts(self, root: Path) -> Mapping[str, Concept]:
        """Every concept by class name, whether or not an image of it is there."""
        return self.concepts_in(root) if self.concepts_in else load_taxonomy(self.name).classes
