"""Which columns of a table hold the images, their classes and their file names: guessed from what is in them, or told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finer_tasks.datasets.copies.names import ClassNames, is_bare_number
from finer_tasks.datasets.readers.imagefolder import IMAGE_SUFFIXES
from finer_tasks.errors import DatasetContentError, DatasetLayoutError

if TYPE_CHECKING:
    from datasets import Dataset

_PARTS = ("image", "label", "file")
# Of columns that are numbers without names: what most tables call the class.
_USUAL = ("label", "labels", "fine_label", "class", "cls", "class_id", "target", "category")
_MANY = 10  # a column with this many times more values than there are classes tells no class
_LOOKED_AT = 20


@dataclass(frozen=True)
class Columns:
    """The columns by what they hold; `file` is empty where no column tells how the images were called."""

    image: str
    label: str
    file: str = ""

    def __str__(self) -> str:
        return ",".join(f"{part}={value}" for part in _PARTS if (value := getattr(self, part)))


def choose_columns(
    tables: Mapping[str, Dataset], names: ClassNames, renamed: Mapping[str, str], told: Mapping[str, str]
) -> Columns:
    """The columns as told, else guessed; raises DatasetLayoutError naming those there are."""
    if unknown := set(told) - set(_PARTS):
        raise DatasetLayoutError(f"--columns: {min(unknown)!r} is none of {', '.join(_PARTS)}; write image=COLUMN,label=COLUMN")
    features = next(iter(tables.values())).features
    for split, table in tables.items():
        for part, column in told.items():
            if column not in table.features:
                raise _not_found(f"--columns {part}={column}: the {split} table has no such column", table.features)
        for part in {"label", "file"} & set(told):
            if not _may_be_label(table.features[told[part]]):
                raise _not_found(
                    f"--columns {part}={told[part]}: that column holds no text and no whole numbers", table.features
                )
        if set(table.features) != set(features):
            odd = min(set(table.features) ^ set(features))
            raise DatasetLayoutError(
                f"column {odd!r} is in some splits and not in others. Save all splits with the same columns"
            )
    image = told.get("image") or _image_column(tables, features)
    label = told.get("label") or _label_column(tables, names, renamed, {image, told.get("file", "")})
    file = told.get("file") or next((name for name in features if name != image and _names_files(tables, name)), "")
    return Columns(image, label, file)


def label_texts(table: Dataset, column: str, split: str) -> list[str]:
    """The different labels of a column as text: names where it has them, else numbers."""
    return [label_text(table, column, value, split) for value in table.unique(column)]


def label_text(table: Dataset, column: str, value: Any, split: str = "") -> str:
    """One label as text; raises DatasetContentError for an image without one, as in test splits whose labels are hidden."""
    feature = table.features[column]
    if value is None or value == "" or (value == -1 and hasattr(feature, "int2str")):
        where = f"{split}: column" if split else "column"
        raise DatasetContentError(
            f"{where} {column!r} has images without a label. Leave that split out with --splits or --take"
        )
    if hasattr(feature, "int2str"):
        return str(feature.int2str(value))
    return str(value)


def _image_column(tables: Mapping[str, Dataset], features: Mapping[str, Any]) -> str:
    from datasets import Image

    found = [name for name, feature in features.items() if isinstance(feature, Image)]
    found = found or [
        name for name, feature in features.items() if isinstance(feature, dict) and {"bytes", "path"} <= set(feature)
    ]
    found = found or [name for name, feature in features.items() if getattr(feature, "dtype", "") in ("binary", "large_binary")]
    found = found or [name for name in features if _names_files(tables, name)]
    if len(found) == 1 or "image" in found:
        return "image" if "image" in found else found[0]
    problem = f"several columns hold images ({', '.join(found)})" if found else "no column holds images"
    raise _not_found(f"{problem}; say which with --columns image=COLUMN", features)


def _label_column(tables: Mapping[str, Dataset], names: ClassNames, renamed: Mapping[str, str], taken: set[str]) -> str:
    """The column whose values are most of the classes; of numbers alone, the one with a usual name."""
    features: Mapping[str, Any] = next(iter(tables.values())).features
    able = [name for name, feature in features.items() if name not in taken and _may_be_label(feature)]
    values = {name: _few_values(tables.values(), name, _MANY * max(1, len(names.concepts))) for name in able}
    told = {name: [renamed.get(value, value) for value in found] for name, found in values.items()}
    meant = {name: {match.class_id for value in found if (match := names.find(value))} for name, found in told.items()}
    best = max(able, key=lambda name: (len(meant[name]), -len(values[name])), default="")
    if best and meant[best]:
        return best
    numbers = [name for name in able if values[name] and all(map(is_bare_number, values[name]))]
    usual = [name for name in _USUAL if name in numbers] or numbers
    texts = [name for name in able if values[name] and name in _USUAL]
    if usual or texts:
        return (usual or texts)[0]
    raise _not_found("no column holds names of classes; say which does with --columns label=COLUMN", features)


def _may_be_label(feature: Any) -> bool:
    dtype = getattr(feature, "dtype", "")
    return dtype in ("string", "large_string") or dtype.lstrip("u").startswith("int")


def _few_values(tables: Iterable[Dataset], column: str, most: int) -> list[str]:
    """The different labels of a column, none where they are too many or some image has none."""
    found: dict[str, None] = {}
    for table in tables:
        values = table.unique(column)
        if len(values) > most:
            return []
        feature = table.features[column]
        known = [value for value in values if value is not None and not (value == -1 and hasattr(feature, "int2str"))]
        found |= dict.fromkeys(label_text(table, column, value) for value in known if value != "")
    return list(found)


def _names_files(tables: Mapping[str, Dataset], column: str) -> bool:
    """Whether a column of text has names that end as those of images do."""
    table = next(iter(tables.values()))
    if getattr(table.features[column], "dtype", "") not in ("string", "large_string"):
        return False
    some = table.select_columns([column])[:_LOOKED_AT][column]
    return bool(some) and all(value and os.path.splitext(value)[1].lower() in IMAGE_SUFFIXES for value in some)


def _not_found(problem: str, features: Mapping[str, Any]) -> DatasetLayoutError:
    return DatasetLayoutError(f"{problem}. The columns are {', '.join(features)}")
