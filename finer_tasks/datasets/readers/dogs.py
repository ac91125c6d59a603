"""Stanford Dogs: lists/train_list.mat and test_list.mat, or the same lists as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from finer_tasks.datasets.boxes import Box, Boxes, box_of
from finer_tasks.datasets.lines import OFFICIAL_FILE, read_lines
from finer_tasks.datasets.reader import Archive, Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root, inside
from finer_tasks.datasets.readers.mat import load_mat, number_cell, text_cell
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, DatasetLayoutError, at_line

CLASSES = 120
SOURCE = "Stanford Dogs"


_IMAGES = ("Images", "images/Images")  # the second in a copy that packs each archive into a folder of its own
_ANNOTATIONS = ("Annotation", "annotations/Annotation")
_LISTS = "http://vision.stanford.edu/aditya86/ImageNetDogs/lists.tar"


def locate(root: Path) -> Path:
    """The folder that holds Images/ and lists/ (or the lists themselves); those that hold images alone are refused."""
    lists = ("lists/test_list.mat", "test_list.mat", "lists/test_list.txt", "test_list.txt", "lists")
    try:
        return find_root(root, lists, ("stanford_dogs", "StanfordDogs", "Stanford_Dogs"))
    except DatasetLayoutError:
        if not any((root / folder).is_dir() for folder in _IMAGES):
            raise
        raise DatasetLayoutError(
            f"{root} has the images but not the lists that part them into train and test. Unpack {_LISTS} (481 KB) "
            f"into {root / 'lists'}"
        ) from None


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits in list order; labels, where the list has them, are checked against the folders."""
    taxonomy, images = load_taxonomy("dogs"), inside(root, *_IMAGES)
    for split in splits:
        path, files, labels = _read_list(root, split)
        order = {folder: index for index, folder in enumerate(sorted({file.split("/")[0] for _, file in files}), start=1)}
        for position, (number, file) in enumerate(files):
            folder, _, name = file.partition("/")
            _, dash, breed = folder.partition("-")
            if not dash or not name:
                raise DatasetContentError(at_line(path, number, f"expected '<wnid>-<breed>/<file>', found {file!r}"))
            if labels is not None and len(order) == CLASSES and labels[position] != order[folder]:
                raise DatasetContentError(
                    at_line(path, number, f"label {labels[position]} does not fit folder {folder!r} ({order[folder]})")
                )
            concept, image_id = taxonomy.concept(breed), Path(name).stem
            yield FinerRecord.of(concept, "dogs", split, image_id, image=f"{images}/{file}", class_id=breed, source=SOURCE)


def _read_list(root: Path, split: str) -> tuple[Path, list[tuple[int, str]], list[int] | None]:
    """Path of the list, numbered files, and labels (1-based) if it holds any."""
    for folder in (root / "lists", root):
        mat = folder / f"{split}_list.mat"
        if mat.exists():
            content = load_mat(mat, ("file_list", "labels"))
            files = [(n, text_cell(cell, mat, n, "file_list")) for n, cell in enumerate(content["file_list"].ravel(), start=1)]
            labels = [number_cell(cell, mat, n, "labels") for n, cell in enumerate(content["labels"].ravel(), start=1)]
            if len(files) != len(labels):
                raise DatasetContentError(
                    f"{mat} holds {len(files)} files but {len(labels)} labels. Copy the official file again"
                )
            return mat, files, labels
        text = folder / f"{split}_list.txt"
        if text.exists():
            return text, list(read_lines(text, OFFICIAL_FILE)), None
    raise DatasetLayoutError(f"{root}: lists/{split}_list.mat is missing; it comes in lists.tar of the official dataset")


def boxes(root: Path, split: str) -> Boxes:
    """Where the dogs are, by the file of each image below Annotation/ (annotation.tar); an image may show several."""
    found = {}
    images, annotations = inside(root, *_IMAGES), root / inside(root, *_ANNOTATIONS)
    for _, file in _read_list(root, split)[1]:
        path = annotations / file.removesuffix(".jpg")
        if path.is_file():
            found[f"{images}/{file}"] = _annotated(path)
    return found


def _annotated(path: Path) -> tuple[Box, ...]:
    try:
        corners = list(ElementTree.parse(path).iter("bndbox"))
    except (ElementTree.ParseError, OSError) as error:
        raise DatasetContentError(f"{path} cannot be read ({error}). Copy the official file again") from error
    sides = ("xmin", "ymin", "xmax", "ymax")
    return tuple(box_of([one.findtext(side) for side in sides], path, path.name) for one in corners)


_PAPER = Paper(
    "Novel Dataset for Fine-Grained Image Categorization: Stanford Dogs",
    "http://vision.stanford.edu/aditya86/ImageNetDogs/",
    """@inproceedings{khosla2011dogs,
  title = {Novel Dataset for Fine-Grained Image Categorization: {Stanford} Dogs},
  author = {Khosla, Aditya and Jayadevaprakash, Nityananda and Yao, Bangpeng and Fei-Fei, Li},
  booktitle = {First Workshop on Fine-Grained Visual Categorization, CVPR},
  year = {2011}
}""",
)
READER = Reader(
    name="dogs",
    source=SOURCE,
    classes=CLASSES,
    official={"train": 12000, "test": 8580},
    origin=Origin(
        title="Stanford Dogs (Khosla et al. 2011)",
        home="http://vision.stanford.edu/aditya86/ImageNetDogs/",
        terms="images of ImageNet, non-commercial research; they are part of ImageNet's training set",
        root="the folder that holds Images/ and lists/",
        archives=(
            Archive(
                "http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar",
                checksum="sha256:a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
                size=793579520,
            ),
            Archive(
                _LISTS,
                checksum="sha256:34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c",
                size=481280,
                into="lists",
            ),
        ),
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
    benchmark=True,
    boxes=boxes,
    fingerprints={"train": "190f541786dee39d", "test": "c7f0ff36dad98a74"},
)
