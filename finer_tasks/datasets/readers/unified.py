"""The authors' own unified files: JSON lines with idx, three labels and img_path.

They reproduce the paper's exact labels, which may differ from the taxonomies here. The order of the
labels means nothing: one aircraft has its family before its variant, the next one after it. So entries
with the same fine labels are one concept, which takes the id of ours where its names are known.
"""

from __future__ import annotations

import filecmp
import json
import reprlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finer_tasks.datasets.lines import read_lines
from finer_tasks.datasets.record import SPLITS, Concept, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, DatasetLayoutError, at_line
from finer_tasks.text import slug

_FIELDS = ("idx", "basic-level-lbl", "coarse-level-lbl", "fine-level-lbl", "img_path")


def parse_files(arguments: Sequence[str], splits: Sequence[str] | None) -> dict[str, Path]:
    """Files by split, from `train=FILE` and `test=FILE`, or from one `FILE` whose split is given apart.

    Raises DatasetLayoutError where a file's split is not said: one file read as train and as test
    would test a model on what it has seen.
    """
    files: dict[str, Path] = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not equals or name not in SPLITS:
            if len(arguments) > 1 or splits is None or len(splits) != 1:
                raise DatasetLayoutError(
                    f"--from-unified {argument}: say which split the file is, by --splits train or --splits test, "
                    "or give a file for each: --from-unified train=FILE --from-unified test=FILE"
                )
            name, path = splits[0], argument
        if name in files:
            raise DatasetLayoutError(f"--from-unified: two files for the {name} split")
        files[name] = Path(path)
    if splits is not None and set(splits) != set(files):
        raise DatasetLayoutError(f"--from-unified gives the split {','.join(files)}, --splits asks for {','.join(splits)}")
    return files


class UnifiedFiles:
    """The files of a dataset by split; reads each once for its label sets, and again for its records."""

    def __init__(self, dataset: str, files: Mapping[str, Path]) -> None:
        _check_different(files)
        self._dataset, self._files = dataset, files
        sets = {entry.key: entry.fine for path in files.values() for entry in _entries(path)}
        self._names = _name_concepts(dataset, sets)

    def read(self, split: str, root: Path) -> Iterator[FinerRecord]:
        """Records of a split; image paths are taken relative to `root`."""
        path = self._files[split]
        below = _PathsBelow(root)
        seen: set[str] = set()
        for entry in _entries(path):
            if entry.idx in seen:
                raise DatasetContentError(at_line(path, entry.line, f"idx {entry.idx!r} appears twice"))
            seen.add(entry.idx)
            concept_id, first = self._names[entry.key]
            try:
                yield FinerRecord(
                    id=f"{self._dataset}/{split}/{entry.idx}",
                    image=below(entry.image),
                    superordinate=entry.superordinate,
                    coarse=entry.coarse,
                    fine=(first, *(label for label in entry.fine if label != first)),
                    concept_id=concept_id,
                    class_id=first,
                    split=split,
                    source=f"unified file {path.name}",
                )
            except DatasetContentError as error:
                raise DatasetContentError(at_line(path, entry.line, str(error))) from error


def _check_different(files: Mapping[str, Path]) -> None:
    """Raise DatasetLayoutError if one file stands for both splits."""
    if len(files) < 2 or not all(path.is_file() for path in files.values()):
        return  # one that is absent is named when it is read
    first, second = files.values()
    if filecmp.cmp(first, second, shallow=False):
        raise DatasetLayoutError(f"{first} and {second} hold the same entries; give the file of each split")


def concept_of(record: FinerRecord) -> Concept:
    """The concept as the record states it."""
    return Concept(record.concept_id, record.superordinate, record.coarse, record.fine)


@dataclass(frozen=True)
class _Entry:
    line: int
    idx: str
    superordinate: str
    coarse: tuple[str, ...]
    fine: tuple[str, ...]
    image: str

    @property
    def key(self) -> frozenset[str]:
        return frozenset(label.casefold() for label in self.fine)


def _entries(path: Path) -> Iterator[_Entry]:
    for number, line in read_lines(path):
        item = _parse(path, number, line)
        idx, image = item["idx"], item["img_path"]
        if not isinstance(idx, int | str) or isinstance(idx, bool) or str(idx).startswith("-"):
            raise DatasetContentError(
                at_line(path, number, f"field 'idx' must be a number from 0 or text, found {_short(idx)}")
            )
        if not isinstance(image, str):
            raise DatasetContentError(at_line(path, number, f"field 'img_path' must be text, found {_short(image)}"))
        superordinate, coarse, fine = (_labels(path, number, item, field) for field in _FIELDS[1:4])
        if len(superordinate) > 1:
            raise DatasetContentError(
                at_line(path, number, f"field 'basic-level-lbl' must be one label, found {superordinate}")
            )
        yield _Entry(number, str(idx), superordinate[0], coarse, fine, image)


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        item: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DatasetContentError(at_line(path, number, f"not valid JSON: {error}")) from error
    missing = [field for field in _FIELDS if not isinstance(item, dict) or item.get(field) in (None, "", [])]
    if missing:
        raise DatasetContentError(at_line(path, number, f"field {missing[0]!r} is missing or empty"))
    return item


def _labels(path: Path, number: int, item: dict[str, Any], field: str) -> tuple[str, ...]:
    """The labels of a field, empty ones left out: a species of iNaturalist may have no common name."""
    value = item[field] if isinstance(item[field], list) else [item[field]]
    if not all(isinstance(label, str | None) for label in value):
        raise DatasetContentError(at_line(path, number, f"field {field!r} must hold text, found {_short(item[field])}"))
    labels = tuple(dict.fromkeys(label.strip() for label in value if label and label.strip()))
    if not labels:
        raise DatasetContentError(at_line(path, number, f"field {field!r} is missing or empty"))
    return labels


_short = reprlib.repr  # bounded in depth and length, whatever the file holds


def _name_concepts(dataset: str, sets: Mapping[frozenset[str], tuple[str, ...]]) -> dict[frozenset[str], tuple[str, str]]:
    """Concept id and leading label of each set of fine labels."""
    official = _Official(load_taxonomy(dataset).classes)
    counts = Counter(label for key in sets for label in key)
    names: dict[frozenset[str], tuple[str, str]] = {}
    for key, labels in sets.items():
        own = next((label for label in labels if counts[label.casefold()] == 1), None)
        concept = official.find(labels)
        if concept is None:
            names[key] = (slug(own or " ".join(labels)), own or labels[0])
        else:
            ranks = {slug(label): rank for rank, label in enumerate(concept.fine)}
            names[key] = (concept.concept_id, min(labels, key=lambda label: ranks.get(slug(label), len(ranks))))
    return names


class _Official:
    """The concepts of a taxonomy by the names they bear."""

    def __init__(self, classes: Mapping[str, Concept]) -> None:
        self._concepts = {concept.concept_id: concept for concept in classes.values()}
        self._exact = {frozenset(map(slug, concept.fine)): concept for concept in classes.values()}
        self._owners: dict[str, set[str]] = defaultdict(set)
        for name, concept in classes.items():
            for label in (name, *concept.fine, *concept.aliases):
                self._owners[slug(label)].add(concept.concept_id)

    def find(self, labels: Iterable[str]) -> Concept | None:
        """The concept with just these labels, else the only one that bears all those of them that are known."""
        slugs = frozenset(map(slug, labels))
        if slugs in self._exact:
            return self._exact[slugs]
        known = [self._owners[name] for name in slugs if name in self._owners]
        shared = set.intersection(*known) if known else set()
        return self._concepts[shared.pop()] if len(shared) == 1 else None


class _PathsBelow:
    """Image paths below a folder; a path of another machine keeps its longest tail that exists there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._prefix: list[str] = []  # what led nowhere here for the last image, and most often does for the next

    def __call__(self, image: str) -> str:
        pieces = [piece for piece in image.replace("\\", "/").split("/") if piece not in ("", ".", "..")]
        known = len(self._prefix)
        starts = range(len(pieces)) if pieces[:known] != self._prefix else (known, *range(len(pieces)))
        for start in starts:
            tail = "/".join(pieces[start:])
            if tail and _is_file(self._root / tail):
                self._prefix = pieces[:start]
                return tail
        return "/".join(pieces)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a character that no file has
        return False
