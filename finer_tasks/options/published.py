"""The options that FOCI publishes for each test image, as a file of hard negatives: its own questions, not those like them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.options.negatives import Negatives
from finer_tasks.options.settings import ChoicesError
from finer_tasks.parsing import explain, parse_json

_SPLIT = "test"
_TEMPLATE = "an image of a {}"


class _Asked(BaseModel):
    """One image of a list: the options are the right label, then wrong ones, the most alike last."""

    image: str
    options: list[str]
    groundtruth: str


def read_foci(path: Path, dataset: str) -> Negatives:
    """The lists of a file data/<dataset>-<model>-4.json of FOCI's repository (Geigle et al. 2024, arXiv 2406.14496).

    Images are found by the name of their file, labels by id or name. Raises ChoicesError where a test image has no options, an
    image or label is unknown, or the right label is not that of the image.
    """
    prepared, concepts = ensure_prepared(dataset), concepts_of(dataset)
    prepared.check(_SPLIT)
    table = prepared.tables()[_SPLIT].select_columns(["id", "image", "concept_id", "class_id"])
    docs = {Path(doc["image"]).name: doc for doc in table}
    if len(docs) < len(table):
        raise ChoicesError(
            f"test images of {dataset} have one file name in several folders, so that lists of FOCI cannot be read"
        )
    by_class = {doc["class_id"]: doc["concept_id"] for doc in table}

    def concept(label: str, image: str) -> str:
        found = by_class.get(label) or getattr(concepts.named(label), "concept_id", None)
        if found is None:
            raise ChoicesError(f"{path}: {image}: {label!r} is no concept of {dataset}")
        return str(found)

    nearest: dict[str, tuple[str, ...]] = {}
    for asked in _asked(path):
        if (doc := docs.get(Path(asked.image).name)) is None:
            raise ChoicesError(f"{path}: {asked.image} is no test image of {dataset} as it is prepared here")
        keys = [concept(label, asked.image) for label in asked.options]
        if concept(asked.groundtruth, asked.image) != doc["concept_id"]:
            raise ChoicesError(f"{path}: {asked.image} shows {asked.groundtruth!r} there, {doc['concept_id']} here")
        nearest[doc["id"]] = tuple(key for key in reversed(keys) if key != doc["concept_id"])
    if missing := sorted({doc["id"] for doc in docs.values()} - set(nearest)):
        raise ChoicesError(f"{path} has no options for {len(missing)} of {len(table)} test images, for example {missing[0]}")
    return Negatives(
        dataset=dataset,
        by="image",
        model=path.stem,
        weights="",
        template=_TEMPLATE,
        split=_SPLIT,
        data=prepared.manifest.contents[_SPLIT],
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        nearest={"fine": nearest},
    )


def _asked(path: Path) -> Iterator[_Asked]:
    try:
        raw: Mapping[str, Any] = parse_json(path.read_bytes())
        lists = TypeAdapter(dict[str, list[_Asked]]).validate_python(raw)
    except OSError as error:
        raise ChoicesError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        why = explain(error) if isinstance(error, ValidationError) else error
        raise ChoicesError(f"{path} is no list of options of FOCI ({why}). Give a file data/<dataset>-….json of it") from error
    for some in lists.values():
        yield from some
