"""The one unified record that every reader yields and every task document is, and the concept that it shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from finer_tasks.errors import DatasetContentError

LEVELS = ("superordinate", "coarse", "fine")
SPLITS = ("train", "test")
T = TypeVar("T")
# Control characters, which would break lines and hashes, and halves of characters, which cannot be written.
_FLAW = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def parent_level(level: str) -> str | None:
    """The level above, None above superordinate."""
    place = LEVELS.index(level)
    return LEVELS[place - 1] if place else None


def dataset_of(identity: str) -> str:
    """The dataset of a record by its id, `<dataset>/<split>/<image id>`, or of a concept by its key."""
    return identity.split("/", 1)[0]


def concept_key(dataset: str, concept_id: str) -> str:
    """What a concept is called among those of several datasets."""
    return f"{dataset}/{concept_id}"


def first_of_each(items: Iterable[T], concept_of: Callable[[T], str], count: int | None) -> Iterator[T]:
    """The first `count` items of each concept, in their order; all without a count."""
    seen: Counter[str] = Counter()
    for item in items:
        concept = concept_of(item)
        seen[concept] += 1
        if count is None or seen[concept] <= count:
            yield item


def is_inside(image: str) -> bool:
    """Whether a path, as it is written, stays below the folder it is meant for."""
    return not image.startswith("/") and ".." not in image.split("/")


@dataclass(frozen=True)
class Concept:
    """A fine concept with its place in the taxonomy; labels are in order of preference.

    `ranks` are scientific ranks with names, kingdom to genus, where the dataset has them.
    """

    concept_id: str
    superordinate: str
    coarse: tuple[str, ...]
    fine: tuple[str, ...]
    coarse_aliases: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    general: tuple[str, ...] = ()
    ranks: tuple[str, ...] = ()


@dataclass(frozen=True)
class FinerRecord:
    """One labelled image.

    Attributes:
        id: `<dataset>/<split>/<image id of the dataset>`, the same on every machine.
        image: path of the image below the dataset's root; the file is opened only when a
            model needs the pixels.
        superordinate: for example "Bird".
        coarse: accepted coarse labels, the first being the one used in prompts.
        fine: accepted fine labels (common name, dataset's spelling, binomial, family).
        concept_id: slug of the fine concept; several classes may share one (a male and a
            female of a species).
        class_id: the dataset's own class name or number, kept for audits.
        split: "train" or "test".
        source: dataset version and original split.
        size: bytes of the image file, 0 if unknown.
    """

    id: str
    image: str
    superordinate: str
    coarse: tuple[str, ...]
    fine: tuple[str, ...]
    concept_id: str
    class_id: str
    split: str
    source: str
    size: int = 0

    def __post_init__(self) -> None:
        """Raise DatasetContentError if a label is missing or the split is unknown."""
        if self.split not in SPLITS:
            raise DatasetContentError(f"record {self.id}: split {self.split!r} is neither 'train' nor 'test'")
        if flaw := _FLAW.search("".join((self.id, self.image, self.superordinate, *self.coarse, *self.fine, self.class_id))):
            raise DatasetContentError(f"record {self.id!r}: the character {flaw.group()!r} in its labels or paths is no text")
        if not is_inside(self.image):
            raise DatasetContentError(f"record {self.id}: image {self.image!r} must be a path below the folder of the images")
        for field in ("id", "image", "superordinate", "concept_id"):
            if not getattr(self, field).strip():
                raise DatasetContentError(f"record {self.id!r}: field {field!r} is empty")
        for field in ("coarse", "fine"):
            labels = getattr(self, field)
            if isinstance(labels, str) or not labels or not all(label.strip() for label in labels):
                raise DatasetContentError(f"record {self.id}: field {field!r} needs at least one label, none empty")

    @classmethod
    def of(
        cls, concept: Concept, dataset: str, split: str, image_id: str, *, image: str, class_id: str, source: str
    ) -> FinerRecord:
        """The record of an image of a concept."""
        return cls(
            id=f"{dataset}/{split}/{image_id}",
            image=image,
            superordinate=concept.superordinate,
            coarse=concept.coarse,
            fine=concept.fine,
            concept_id=concept.concept_id,
            class_id=class_id,
            split=split,
            source=source,
        )

    def to_row(self) -> dict[str, Any]:
        """The record as a row of the prepared dataset (lists instead of tuples)."""
        return vars(self) | {"coarse": list(self.coarse), "fine": list(self.fine)}


def labels_at(doc: Mapping[str, Any], level: str) -> list[str]:
    """The labels of a document at one level, the one used in prompts first."""
    return [doc["superordinate"]] if level == "superordinate" else list(doc[level])


def accepted_labels(doc: Mapping[str, Any], level: str) -> list[str]:
    """Labels that count as right when `level` is asked.

    The rule of the benchmark: superordinate accepts any label of the three levels, coarse
    accepts coarse and fine labels, fine only fine ones.
    """
    return [label for name in LEVELS[LEVELS.index(level) :] for label in labels_at(doc, name)]
