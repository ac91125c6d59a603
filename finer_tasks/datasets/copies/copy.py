"""A copy of a dataset in a layout that its authors do not publish: from what its images are called to records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from finer_tasks.datasets.copies.content import OfficialList, find_official
from finer_tasks.datasets.copies.names import ClassNames, Matched, is_bare_number
from finer_tasks.datasets.reader import Reader
from finer_tasks.datasets.readers.imagefolder import split_named
from finer_tasks.datasets.record import SPLITS, Concept, FinerRecord
from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import DatasetContentError, DatasetLayoutError, PartialDatasetError

_NUMBERED = 6  # digits of the number that an image without a name gets


class CopyImage(NamedTuple):
    """An image of a copy: its class as the copy names it, its path below the copy's root, and what it was called, if known."""

    label: str
    path: str
    name: str


class Layout(Protocol):
    """Where the images of a copy are and what they are called, in some layout."""

    @property
    def source(self) -> str:
        """What was read, in words."""

    @property
    def command(self) -> str:
        """The options of `finer prepare` that read it again."""

    @property
    def splits(self) -> Mapping[str, int]:
        """How many images each of the layout's own splits has."""

    @property
    def root(self) -> Path:
        """The folder that the images lie below."""

    def labels(self, splits: Iterable[str]) -> Iterable[str]:
        """Every label that occurs in these of the layout's splits."""

    def images(self, split: str) -> Iterator[CopyImage]:
        """The images of one of the layout's splits, in its order."""


@dataclass(frozen=True)
class Choices:
    """What a user may say of a copy, where it cannot be told from the copy itself.

    Attributes:
        splits: those to prepare; None for all that are there.
        take: which splits of the layout make up ours, as {"test": ("validation",)}.
        class_names: class names by what the copy has in their place.
        official: hashes of the official images, by which each is put into its split whatever the copy says.
        allow_partial: whether images may be left out of which it cannot be told what they are.
    """

    splits: tuple[str, ...] | None = None
    take: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    class_names: Mapping[str, str] = field(default_factory=dict)
    official: OfficialList | None = None
    allow_partial: bool = False


class _Labelled(NamedTuple):
    image: CopyImage
    image_id: str
    class_id: str
    concept: Concept


@dataclass(frozen=True)
class Copy:
    """A copy whose classes and splits are known: what `prepare` reads. `notes` are what its user should be told."""

    dataset: str
    root: Path
    source: str
    command: str
    concepts: Mapping[str, Concept]
    matched: Matched
    notes: tuple[str, ...]
    by_content: bool
    _images: Mapping[str, Sequence[_Labelled]] = field(repr=False)

    def with_note(self, note: str) -> Copy:
        """The same, with another note first."""
        return replace(self, notes=(note, *self.notes))

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that the copy has."""
        return tuple(split for split in SPLITS if split in self._images)

    def read(self, split: str) -> Iterator[FinerRecord]:
        """The records of a split."""
        for image, image_id, class_id, concept in self._images[split]:
            yield FinerRecord.of(
                concept, self.dataset, split, image_id, image=image.path, class_id=class_id, source=self.source
            )


def class_names_of(dataset: str, lists: Path | None) -> ClassNames:
    """The names of a dataset's classes: by its taxonomy, or by the official lists in a folder where they stand there alone."""
    reader = get_reader(dataset)
    if reader.concepts_in is None:
        if lists:
            raise DatasetLayoutError(f"{dataset} takes no --root beside a copy: its class names are known. Leave it out")
        return ClassNames.of(reader.concepts(Path()))
    if lists is None:
        raise DatasetLayoutError(
            f"the class names of {dataset} are in its official lists alone. Give their folder with --root: {reader.origin.root}"
        )
    return ClassNames.of(reader.concepts(reader.locate(lists)))


def read_copy(dataset: str, layout: Layout, names: ClassNames, choices: Choices) -> Copy:
    """Match the names of a copy's classes, and find which of its images are in which split.

    Raises DatasetContentError where labels are numbers without names or a name is no class, DatasetLayoutError where no
    split can be told, and PartialDatasetError where images are not among the official ones. With `allow_partial`, images of
    names that are no class and those that are not official are left out.
    """
    reader = get_reader(dataset)
    if choices.official:
        taken = choices.take or {"": tuple(layout.splits)}
        _check_taken(choices.take, layout.splits)
    else:
        taken = choose_splits(layout.splits, reader.official, choices)
    sources = [source for names in taken.values() for source in names]
    matched = _match(reader, layout.labels(sources), names, choices)
    if choices.official:
        images, notes = _by_content(reader, layout, names, matched, choices, choices.official, sources)
    else:
        images, notes = _by_split(reader, layout, matched, taken)
    source = f"{reader.source}, from {layout.source}"
    by_content = choices.official is not None
    return Copy(dataset, layout.root, source, layout.command, names.concepts, matched, tuple(notes), by_content, images)


def _match(reader: Reader, labels: Iterable[str], names: ClassNames, choices: Choices) -> Matched:
    told = {label: choices.class_names.get(label, label) for label in dict.fromkeys(labels)}
    if bare := [label for label, name in told.items() if is_bare_number(name)]:
        known = f", for which --class-names has no name among its {len(choices.class_names)}" if choices.class_names else ""
        raise DatasetContentError(
            f"{reader.name}: {len(bare)} classes of the copy are numbers without a name, for example {bare[0]!r}{known}. Give "
            "names with --class-names FILE (one a line, the first for label 0; or a mapping of labels to names in a .yaml file)"
        )
    matched = names.match(told)
    if not matched.classes:
        raise DatasetContentError(f"{reader.name}: {matched.describe()}\nIs this a copy of {reader.origin.title}?")
    if matched.unmatched and not choices.allow_partial:
        raise DatasetContentError(
            f"{reader.name}: {matched.describe()}\nSay which classes these are with --class-names FILE (a mapping of the "
            "copy's names to class names in a .yaml file), or pass --allow-partial to leave their images out"
        )
    return matched


def _by_split(
    reader: Reader, layout: Layout, matched: Matched, taken: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[_Labelled]], list[str]]:
    """Images in the splits that the copy has them in."""
    images: dict[str, list[_Labelled]] = {}
    for split, sources in taken.items():
        found = _of_classes(layout, sources, matched)
        ids = image_ids([image.name for image in found])
        images[split] = [
            _Labelled(image, reader.id_of_file(image_id), *matched.classes[image.label])
            for image, image_id in zip(found, ids, strict=True)
        ]
    used = {source for sources in taken.values() for source in sources}
    renamed = {split: sources for split, sources in taken.items() if sources != (split,)}
    notes = [f"{split} is {_called(sources)}" for split, sources in renamed.items()]
    notes += [f"not used: {_called((source,))}" for source in layout.splits if source not in used]
    if left := sum(layout.splits[source] for source in used) - sum(map(len, images.values())):
        notes.append(f"{left} images of names that are no class are left out")
    return images, notes


def _of_classes(layout: Layout, sources: Iterable[str], matched: Matched) -> list[CopyImage]:
    return [image for source in sources for image in layout.images(source) if image.label in matched.classes]


def _by_content(
    reader: Reader,
    layout: Layout,
    names: ClassNames,
    matched: Matched,
    choices: Choices,
    official: OfficialList,
    sources: Sequence[str],
) -> tuple[dict[str, list[_Labelled]], list[str]]:
    """Images in the splits that the official list has them in, found by what they show."""
    if official.dataset != reader.name:
        raise DatasetContentError(f"{official.path} lists images of {official.dataset}, not of {reader.name}")
    if missing := set(choices.splits or ()) - set(official.splits):
        raise DatasetContentError(f"{official.path} lists no image of the {min(missing)} split. Leave it out of --splits")
    images = _of_classes(layout, sources, matched)
    owners = [matched.classes[image.label].concept.concept_id for image in images]
    found = find_official(official, [layout.root / image.path for image in images], owners, reader, names)
    listed: dict[str, list[_Labelled]] = {}
    for split in choices.splits or official.splits:
        places = sorted((row, place) for (row, place) in found.get(split, {}).items())
        rows = official.rows[split]
        listed[split] = [
            _Labelled(images[place], rows[row].image_id, rows[row].class_id, matched.classes[images[place].label].concept)
            for row, place in places
        ]
    strangers = len(images) - sum(len(rows) for rows in found.values())
    notes = [
        f"{split}: {len(listed[split])} of {len(official.rows[split])} official images are in the copy, found by content"
        for split in listed
    ]
    if strangers:
        notes.append(f"{strangers} of {len(images)} images of the copy are none of the official ones and are left out")
        if not choices.allow_partial:
            raise PartialDatasetError(
                f"{reader.name}: {strangers} of {len(images)} images of the copy look like no image of their class in "
                f"{official.path}. Pass --allow-partial to leave them out, or give no --official to keep the copy's splits"
            )
    if empty := [split for split, rows in listed.items() if not rows and (choices.splits or not any(listed.values()))]:
        raise PartialDatasetError(f"{reader.name}: no official image of the {empty[0]} split is in the copy")
    return {split: rows for split, rows in listed.items() if rows}, notes


def image_ids(names: Sequence[str]) -> list[str]:
    """An id for each image of a split: its file name without suffix where that tells all apart, its path, or a number."""
    plain = [PurePosixPath(name) for name in names]
    for found in ([path.stem for path in plain], [str(path.with_suffix("")) if path.name else "" for path in plain]):
        if all(found) and len(set(found)) == len(found):
            return found
    return [f"{place:0{_NUMBERED}d}" for place in range(len(names))]


def choose_splits(there: Mapping[str, int], official: Mapping[str, int], choices: Choices) -> dict[str, tuple[str, ...]]:
    """Which splits of a copy make up ours: as told, else those named so; of two ways, the one with the official count.

    So `validation` is the test split where there is no other, and part of the train split where the authors train on both.
    Raises DatasetLayoutError where none can be told, or one that is wanted is not there.
    """
    if choices.take:
        _check_taken(choices.take, there)
        found = {split: choices.take[split] for split in SPLITS if split in choices.take}
    else:
        named: dict[str, list[str]] = {}
        for name in there:
            named.setdefault(split_named(name) or "", []).append(name)
        ways = {
            "train": [tuple(named.get("train", ())), tuple(named.get("train", []) + named.get("validation", []))],
            "test": [tuple(named.get("test", ())), tuple(named.get("validation", ()))],
        }
        found = {
            split: names for split in SPLITS if split in official and (names := _best(ways[split], there, official[split]))
        }
        if "train" in found and set(found.get("train", ())) & set(found.get("test", ())):
            found["train"] = tuple(named.get("train", ()))
        if not found and choices.splits and len(choices.splits) == 1:
            found = {choices.splits[0]: tuple(there)}
    if not found:
        raise DatasetLayoutError(
            f"the copy does not say which images are for testing: {_counted(there)}. Say what they are with --splits train or "
            "--splits test, or find the official splits by content with --official LIST"
        )
    if choices.splits is None:
        return found
    if missing := [split for split in choices.splits if split not in found]:
        raise DatasetLayoutError(
            f"the copy has no {missing[0]} split, only {_counted(there)}. Leave it out of --splits, or say what it is with "
            f"--take {missing[0]}=NAME"
        )
    return {split: found[split] for split in choices.splits}


def _check_taken(take: Mapping[str, Sequence[str]], there: Mapping[str, int]) -> None:
    """Raise DatasetLayoutError for a split that the copy does not have, or that would be taken twice."""
    names = [name for names in take.values() for name in names]
    for name in names:
        if name not in there:
            raise _no_such_split(name, there)
        if names.count(name) > 1:
            raise DatasetLayoutError(
                f"--take: {name!r} is taken twice. Its images can be for training or for testing, not for both"
            )


def _best(ways: Sequence[tuple[str, ...]], there: Mapping[str, int], wanted: int) -> tuple[str, ...]:
    able = [names for names in ways if names]
    return next((names for names in able if sum(there[name] for name in names) == wanted), able[0] if able else ())


def _no_such_split(name: str, there: Mapping[str, int]) -> DatasetLayoutError:
    return DatasetLayoutError(f"--take: {name!r} is not there; give train=NAME or test=NAME with {_counted(there)}")


def _called(sources: Sequence[str]) -> str:
    return f"what the copy calls {' and '.join(sources)}" if all(sources) else "the whole copy, which names no splits"


def _counted(there: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'images without a split'} ({count})" for name, count in there.items()) or "nothing"
