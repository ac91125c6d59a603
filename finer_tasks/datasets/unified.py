"""The authors' own unified files: JSON lines with idx, three labels and img_path.

They reproduce the paper's exact labels, which may differ from the taxonomies here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finer_tasks.datasets.files import read_lines
from finer_tasks.datasets.record import FinerRecord
from finer_tasks.datasets.taxonomy import Concept, slug
from finer_tasks.errors import DatasetContentError, at_line

_FIELDS = ("idx", "basic-level-lbl", "coarse-level-lbl", "fine-level-lbl", "img_path")


def read(path: Path, dataset: str, root: Path, split: str = "test") -> Iterator[FinerRecord]:
    """Records of one unified file; image paths are taken relative to `root`."""
    seen: set[str] = set()
    for number, line in read_lines(path):
        item = _parse(path, number, line)
        superordinate, coarse, fine = (_labels(path, number, item, field) for field in _FIELDS[1:4])
        identity = f"{dataset}/{split}/{item['idx']}"
        if identity in seen:
            raise DatasetContentError(at_line(path, number, f"idx {item['idx']!r} appears twice"))
        seen.add(identity)
        yield FinerRecord(
            id=identity,
            image=_relative(str(item["img_path"]), root),
            superordinate=superordinate[0],
            coarse=coarse,
            fine=fine,
            concept_id=slug(fine[0]),
            class_id=fine[0],
            split=split,
            source=f"unified file {path.name}",
        )


def concept_of(record: FinerRecord) -> Concept:
    """The concept as the record states it."""
    return Concept(record.concept_id, record.superordinate, record.coarse, record.fine)


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except json.JSONDecodeError as error:
        raise DatasetContentError(at_line(path, number, f"not valid JSON: {error.msg}")) from error
    missing = [field for field in _FIELDS if not isinstance(item, dict) or item.get(field) in (None, "", [])]
    if missing:
        raise DatasetContentError(at_line(path, number, f"field {missing[0]!r} is missing or empty"))
    return item


def _labels(path: Path, number: int, item: dict[str, Any], field: str) -> tuple[str, ...]:
    value = item[field] if isinstance(item[field], list) else [item[field]]
    if not all(isinstance(label, str) and label.strip() for label in value):
        raise DatasetContentError(at_line(path, number, f"field {field!r} must hold text, found {item[field]!r}"))
    return tuple(label.strip() for label in value)


def _relative(image: str, root: Path) -> str:
    """`image` below `root`; a path of another machine keeps its longest tail that exists below root."""
    pieces = [piece for piece in image.replace("\\", "/").split("/") if piece not in ("", ".", "..")]
    for start in range(len(pieces)):
        if (root / "/".join(pieces[start:])).exists():
            return "/".join(pieces[start:])
    return "/".join(pieces)
