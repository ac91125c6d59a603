"""Oxford-IIIT Pet: annotations/trainval.txt and annotations/test.txt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finer_tasks.datasets.lines import OFFICIAL_FILE, read_lines
from finer_tasks.datasets.reader import Archive, Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, at_line

SOURCE = "Oxford-IIIT Pet"
_LISTS = {"train": "trainval", "test": "test"}
_SPECIES = {"1": "Cat", "2": "Dog"}


def locate(root: Path) -> Path:
    """The folder that holds annotations/ and images/."""
    return find_root(root, "annotations/test.txt", ("oxford-iiit-pet", "pets"))


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits (trainval as train) in list order; the breed is in the name of the image.

    A line is `<image> <class> <species> <breed within the species>`: class and species must agree with the name.
    """
    taxonomy = load_taxonomy("pets")
    numbers: dict[str, str] = {}
    for split in splits:
        path, seen = root / "annotations" / f"{_LISTS[split]}.txt", set[str]()
        for number, line in read_lines(path, OFFICIAL_FILE):
            if line.startswith("#"):
                continue
            image, label, species = _fields(path, number, line)
            breed = image.rpartition("_")[0]
            concept = taxonomy.concept(breed)
            if image in seen:
                raise DatasetContentError(at_line(path, number, f"image {image!r} appears twice"))
            if _SPECIES.get(species) != concept.superordinate:
                raise DatasetContentError(at_line(path, number, f"species {species} of {image!r}, which is a {breed}"))
            if numbers.setdefault(breed, label) != label:
                raise DatasetContentError(
                    at_line(path, number, f"class {label} of {image!r}; others of {breed} have {numbers[breed]}")
                )
            seen.add(image)
            yield FinerRecord.of(concept, "pets", split, image, image=f"images/{image}.jpg", class_id=breed, source=SOURCE)


def _fields(path: Path, number: int, line: str) -> tuple[str, str, str]:
    fields = line.split()
    if len(fields) != 4 or "_" not in fields[0]:
        raise DatasetContentError(
            at_line(path, number, f"expected '<breed>_<number> <class> <species> <breed>', found {line!r}")
        )
    return fields[0], fields[1], fields[2]


_PAPER = Paper(
    "Cats and Dogs",
    "https://doi.org/10.1109/CVPR.2012.6248092",
    """@inproceedings{parkhi2012pets,
  title = {Cats and Dogs},
  author = {Parkhi, Omkar M. and Vedaldi, Andrea and Zisserman, Andrew and Jawahar, C. V.},
  booktitle = {CVPR},
  year = {2012}
}""",
)
READER = Reader(
    name="pets",
    source=SOURCE,
    classes=37,
    official={"train": 3680, "test": 3669},
    origin=Origin(
        title="Oxford-IIIT Pet (Parkhi et al. 2012)",
        home="https://www.robots.ox.ac.uk/~vgg/data/pets/",
        terms="CC BY-SA 4.0; photographs belong to their photographers",
        root="the folder that holds annotations/ and images/",
        archives=(
            Archive(
                "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz", checksum="md5:5c4f3ee8e5d25df40f4fd59a7f44e54c"
            ),
            Archive(
                "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
                checksum="md5:95a8c909bbe2e81eed6a22bccdf3f68f",
            ),
        ),
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
)
