"""`finer dataset init`: from images and a list to the folder of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from finer_tasks.datasets.own.description import Counted, Description, count, description_text
from finer_tasks.datasets.own.images import Listed, images_csv
from finer_tasks.datasets.own.skeleton import Words, skeleton
from finer_tasks.datasets.own.sources import Found, from_folder, from_list, official_splits
from finer_tasks.datasets.own.splitting import split_of_each
from finer_tasks.datasets.places import DESCRIPTION, IMAGES, TAXONOMY
from finer_tasks.datasets.record import is_inside
from finer_tasks.datasets.taxonomy import read_taxonomy
from finer_tasks.datasets.taxonomy.users import UNFILLED
from finer_tasks.errors import DatasetContentError, DatasetLayoutError, TaxonomyError, os_error_text
from finer_tasks.writing import write_text

_SHOWN = 3


@dataclass(frozen=True)
class Request:
    """What to make a dataset of.

    Attributes:
        images: the folder below which the images lie.
        listing: a list of them with their classes; without it, the folders are the classes.
        taxonomy: a taxonomy to take; without it, a skeleton is written.
        columns: which column of the list is for what, where its name does not tell.
        splits: what the owner calls the splits: train, test, or none for what is left out.
        test_share: the share of each class that is for testing, where there are no splits.
        seed: what such a split is drawn from.
    """

    name: str
    images: Path
    listing: Path | None = None
    taxonomy: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    test_share: float = 0.5
    seed: int = 0
    title: str = ""
    terms: str = ""
    words: Words = field(default_factory=Words)


@dataclass(frozen=True)
class Made:
    """What a new dataset holds, and what its user should know of it, each in a sentence."""

    counted: Counted
    unfilled: int
    notes: tuple[str, ...]


def make(request: Request, folder: Path) -> Made:
    """Write dataset.yaml, taxonomy.yaml and images.csv into a folder that is there.

    Raises DatasetLayoutError, DatasetContentError or TaxonomyError, with file and line, for what does not fit.
    """
    if not request.images.is_dir():
        raise DatasetLayoutError(f"{request.images} is no folder. Give the folder of the images with --images")
    images = request.images.resolve()
    notes, found = _found(request, images)
    _check_paths(found)
    if any(one.split for one in found):
        found = list(official_splits(found, request.splits))
        how = f"by {request.listing.name if request.listing else 'the folders'}"
    else:
        splits = split_of_each(found, images, request.test_share, request.seed)
        found = [replace(one, split=split) for one, split in zip(found, splits, strict=True)]
        how = f"by class from seed {request.seed}, {request.test_share:.0%} of each for testing"
    if not any(one.split == "test" for one in found):
        raise DatasetContentError("no image is left for testing: tasks ask about those of the test split")
    notes += [f"split {how}; {IMAGES} keeps it", *_missing(found, images)]
    listed = [Listed(one.image, one.class_name, one.split) for one in found]
    counted = count(request.name, listed)
    notes += _untested(found)
    taxonomy = _taxonomy(request, found, folder / TAXONOMY)
    write_text(folder / IMAGES, images_csv(listed))
    description = Description(
        name=request.name,
        title=request.title or request.name,
        terms=request.terms or "not stated",
        images=str(images),
        split=how,
        counted=counted,
    )
    write_text(folder / DESCRIPTION, description_text(description))
    return Made(counted, _to_fill(taxonomy), tuple(notes))


def _found(request: Request, images: Path) -> tuple[list[str], list[Found]]:
    try:
        if request.listing is None:
            return [], from_folder(images)
        columns, found = from_list(request.listing, images, request.columns)
    except OSError as error:
        raise DatasetLayoutError(f"{error.filename} cannot be read: {os_error_text(error)}") from error
    return [f"columns of {request.listing}: " + ", ".join(f"{use}={name}" for use, name in columns.items())], found


def _check_paths(found: Sequence[Found]) -> None:
    """Raise DatasetContentError for an image outside the folder, or one that is listed twice."""
    first: dict[str, str] = {}
    for one in found:
        if not is_inside(one.image):
            raise DatasetContentError(f"{one.where}: {one.image!r:.200} is no path below the folder of the images (--images)")
        if one.image in first:
            raise DatasetContentError(f"{one.where}: {one.image!r:.200} is listed at {first[one.image]} already")
        first[one.image] = one.where


def _missing(found: Sequence[Found], images: Path) -> list[str]:
    """A note on images that are not there; raises DatasetLayoutError where none is."""
    missing = [one for one in found if not (images / one.image).is_file()]
    if len(missing) == len(found):
        raise DatasetLayoutError(
            f"{found[0].where}: none of the {len(found)} listed images is below {images}, such as {found[0].image}. "
            "Give another --images, or the column of the paths by --columns image=COLUMN"
        )
    examples = ", ".join(one.image for one in missing[:_SHOWN])
    return [f"{len(missing)} of {len(found)} listed images are not below {images}, for example {examples}"] if missing else []


def _untested(found: Sequence[Found]) -> list[str]:
    tested = {one.class_name for one in found if one.split == "test"}
    never = sorted({one.class_name for one in found} - tested)
    examples = ", ".join(never[:_SHOWN])
    return [f"{len(never)} classes have no test image, for example {examples}"] if never else []


def _taxonomy(request: Request, found: Sequence[Found], path: Path) -> str:
    """Write the taxonomy, and see that it has every class; returns its text."""
    if request.taxonomy is None:
        _check_groups(found)
        write_text(path, text := skeleton(request.name, request.words, found))
        return text
    classes = read_taxonomy(request.taxonomy, request.name, unfilled=True).classes
    if lacking := next((one for one in found if one.class_name not in classes), None):
        raise TaxonomyError(
            f"{lacking.where}: class {lacking.class_name!r:.80} is none of the {len(classes)} of {request.taxonomy}. "
            "Add it there, or mend the name"
        )
    write_text(path, text := request.taxonomy.read_text(encoding="utf-8"))
    return text


def _check_groups(found: Sequence[Found]) -> None:
    """Raise DatasetContentError for a class that the list has in two groups."""
    groups: dict[str, Found] = {}
    for one in found:
        first = groups.setdefault(one.class_name, one)
        for use in ("coarse", "superordinate"):
            here, there = getattr(one, use), getattr(first, use)
            if here != there:
                raise DatasetContentError(
                    f"{one.where}: class {one.class_name!r:.80} has {use} {here!r:.80}, and {there!r:.80} at {first.where}"
                )


def _to_fill(taxonomy: str) -> int:
    """How many places of a taxonomy are to be filled in, its comments left out."""
    lines = (line for line in taxonomy.splitlines() if not line.lstrip().startswith("#"))
    return sum(line.count(UNFILLED) for line in lines)
