"""The reader of a dataset of the user's own: images.csv, and the labels of its taxonomy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from finer_tasks.datasets.own.description import Description, list_digest, read_description
from finer_tasks.datasets.own.images import read_images
from finer_tasks.datasets.places import DESCRIPTION, IMAGES, TAXONOMY, own_folder, stamp
from finer_tasks.datasets.reader import Origin, Own, Reader
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, DatasetLayoutError, at_line


def own_reader(name: str) -> Reader:
    """The reader of a dataset in FINER_TASKS_DIR; raises DatasetContentError with file and line where it is damaged."""
    folder = own_folder(name)
    return _reader(folder, stamp(folder / DESCRIPTION), stamp(folder / IMAGES))


@cache
def _reader(folder: Path, *_: tuple[Path, int, int]) -> Reader:
    found = read_description(folder)
    digest = list_digest(folder / IMAGES)
    source = f"{found.title}, list {digest}"
    return Reader(
        name=found.name,
        source=source,
        classes=found.counted.classes,
        official={split: found.counted.images[split] for split in SPLITS if found.counted.images.get(split)},
        origin=_origin(found),
        locate=locate,
        read=partial(read, found.name, folder, source),
        fingerprints=found.counted.fingerprints,
        own=Own(folder, folder / found.images),
    )


def _origin(found: Description) -> Origin:
    return Origin(
        title=found.title,
        home=found.home or "a dataset of one's own",
        terms=found.terms,
        root=f"the folder of its images, by default {found.images}",
    )


def locate(root: Path) -> Path:
    """The folder itself."""
    if not root.is_dir():
        raise DatasetLayoutError(
            f"{root} is no folder. Give the folder of the images with --root, or write it in dataset.yaml as `images`"
        )
    return root


def read(name: str, folder: Path, source: str, root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits in the order of the list; raises DatasetContentError with file and line."""
    path, classes = folder / IMAGES, load_taxonomy(name).classes
    for one in read_images(path):
        if one.class_name not in classes:
            raise DatasetContentError(
                at_line(path, one.line, f"class {one.class_name!r:.80} is none of the {len(classes)} of {folder / TAXONOMY}",
                        "Add it there, or mend the name")
            )  # fmt: skip
        if one.split in splits:
            try:
                yield FinerRecord.of(
                    classes[one.class_name], name, one.split, one.image,
                    image=one.image, class_id=one.class_name, source=source,
                )  # fmt: skip
            except DatasetContentError as error:
                raise DatasetContentError(at_line(path, one.line, str(error))) from error
