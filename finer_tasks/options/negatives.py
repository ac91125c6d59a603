"""Files of hard negatives: by level, which wrong concepts a model finds most alike to each image or to each concept's name.

Made once by `finer negatives`, so that a run needs no embedding model, and read with everything in them checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from finer_tasks.options.settings import VARIABLE, ChoicesError
from finer_tasks.parsing import explain, parse_json
from finer_tasks.writing import write_text

KIND, SCHEMA = "finer-negatives", 1
By = Literal["image", "name"]


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class Negatives:
    """The contents of a file.

    Attributes:
        dataset: whose concepts these are.
        by: image, where `nearest` has an entry for each document of `split`; name, where it has one for each concept.
        model: what found them, as the user named it; `weights` is the fingerprint of its weights, empty where unknown.
        template: what stood around a name, with {} in its place.
        split: of the images; empty by name.
        data: fingerprint of that split as published, or of the names.
        created: date, ISO 8601.
        nearest: by level, and by document or concept, the keys of wrong concepts (ids at fine level, first labels at
            coarse level), the most alike first.
    """

    dataset: str
    by: By
    model: str
    weights: str
    template: str
    split: str
    data: str
    created: str
    nearest: Mapping[str, Mapping[str, tuple[str, ...]]]
    kind: Literal["finer-negatives"] = KIND  # type: ignore[assignment]
    schema: Literal[1] = SCHEMA  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class NegativesFile:
    """A file that was read, with the fingerprint of its contents. Compared by identity: what is made of it can be kept."""

    path: Path
    contents: Negatives
    fingerprint: str

    def of(self, level: str, document: str, concept: str) -> Sequence[str]:
        """The keys of the wrong concepts for a document, the most alike first; raises ChoicesError where it has none."""
        key = document if self.contents.by == "image" else concept
        try:
            return self.contents.nearest[level][key]
        except KeyError:
            raise ChoicesError(f"{self.path} ({VARIABLE}) has no hard negatives for {key} at {level} level{_MAKE}") from None

    def check(self, dataset: str, level: str, data: Mapping[str, str], keys: Collection[str], images_only: bool) -> None:
        """Raise ChoicesError unless it is of this dataset, level, data (fingerprint by split, or of the names) and concepts."""
        found = self.contents
        if found.dataset != dataset or level not in found.nearest:
            there = f"{found.dataset} at level {', '.join(found.nearest)}"
            raise ChoicesError(f"{self.path} ({VARIABLE}) holds the hard negatives of {there}, not of {dataset} {level}{_MAKE}")
        if images_only and found.by != "image":
            raise ChoicesError(
                f"{self.path} ({VARIABLE}) goes by names, but the protocol takes what is most alike to each image. "
                "Make it with an image-text model: finer negatives --by image"
            )
        if data.get(found.split) != found.data:
            raise ChoicesError(f"{self.path} ({VARIABLE}) was made for other data than {dataset} as it is prepared here{_MAKE}")
        unknown = sorted({key for some in found.nearest[level].values() for key in some} - set(keys))
        if unknown:
            raise ChoicesError(f"{self.path} ({VARIABLE}): {unknown[0]!r} is no concept of {dataset} at {level} level{_MAKE}")


_MAKE = ". Make it again with `finer negatives`"


def file_of(path: Path, dataset: str) -> Path:
    """The file itself, or that of the dataset where the path is a folder."""
    return path / f"{dataset}.json" if path.is_dir() else path


@cache
def read_negatives(path: Path) -> NegativesFile:
    """Read a file; raises ChoicesError if it cannot be used."""
    try:
        content = path.read_bytes()
        found = TypeAdapter(Negatives).validate_python(parse_json(content))
    except OSError as error:
        raise ChoicesError(f"{path} ({VARIABLE}) cannot be read: {error.strerror}{_MAKE}") from error
    except ValueError as error:
        why = explain(error) if isinstance(error, ValidationError) else error
        raise ChoicesError(f"{path} ({VARIABLE}) is no file of hard negatives ({why}){_MAKE}") from error
    return NegativesFile(path, found, fingerprint(found))


def write_negatives(negatives: Negatives, path: Path) -> None:
    """Write under a temporary name, then rename."""
    write_text(path, json.dumps(_plain(negatives), ensure_ascii=False, separators=(",", ":")) + "\n")


def fingerprint(negatives: Negatives) -> str:
    """First 12 hex digits of a hash of what is used of a file: two that differ in their date alone are the same."""
    plain = _plain(negatives)
    used = {key: plain[key] for key in ("dataset", "by", "split", "data", "nearest")}
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:12]


def _plain(negatives: Negatives) -> dict[str, Any]:
    plain: dict[str, Any] = TypeAdapter(Negatives).dump_python(negatives, mode="json")
    return plain


def names_fingerprint(names: Mapping[str, Mapping[str, str]]) -> str:
    """Of the names of all concepts by level: what hard negatives by name depend on."""
    return hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()[:16]
