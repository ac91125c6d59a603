"""A task as a TSV of VLMEvalKit, which its custom datasets read (vlmeval/dataset/image_base.py, image_vqa.py, smp/file.py).

Columns: index (the document's number), id, image_path or image, question, answer, category, l2-category, split, and for
multiple choice A, B, … with the letter of the right one as the answer. The kit keeps all columns but the image in its result
file, and adds `prediction`.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.record import labels_at
from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import DatasetContentError, OutputError
from finer_tasks.exchange.asking import Asked, ExchangeError
from finer_tasks.options.settings import LETTERS
from finer_tasks.writing import replacing

Images = Literal["path", "base64"]
_COLUMNS = ("index", "id", "question", "answer", "category", "l2-category", "split")
_ORIENTATION = 0x0112
_PLAIN = ("RGB", "L")


def write_tsv(asked: Asked, output: Path, images: Images = "path", limit: int | None = None) -> int:
    """Write the task; returns how many documents it has.

    With `path`, rows name the image files where the kit shows them as they are published; where it would show other
    pixels than lmms-eval does, rows name PNG files, which are written into a folder beside the output. With `base64`,
    rows hold the image, which the kit saves as JPEG before it is shown. Raises ExchangeError for an image that cannot be read.
    """
    if output.suffix != ".tsv":
        raise OutputError(f"{output}: VLMEvalKit looks for NAME.tsv. Give a name that ends in .tsv")
    folder = output.with_name(f"{output.stem}_images")
    column = "image_path" if images == "path" else "image"
    letters = tuple(LETTERS[: _most_options(asked)])
    count = 0
    with replacing(output) as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow((*_COLUMNS, *letters, column))
        for row in _rows(asked, folder, images, limit, len(letters)):
            writer.writerow(row)
            count += 1
    return count


def _rows(asked: Asked, folder: Path, images: Images, limit: int | None, offered: int) -> Iterator[tuple[str, ...]]:
    level = asked.task.level
    for number, document in enumerate(asked.prepared.tables()["test"]):
        if number == limit:
            return
        label = labels_at(document, level)[0]
        place = document["coarse"][0], document["superordinate"]
        shown = _image(asked, document, folder / f"{number}.png", images)
        options: tuple[str, ...] = ()
        if offered:
            found = asked.options(document)
            label, options = found.letters[found.right], (*found.names, *[""] * (offered - len(found.names)))
        yield str(number), document["id"], asked.question(document), label, *place, "test", *options, shown


def _most_options(asked: Asked) -> int:
    """How many columns of options there are; none of questions that offer none."""
    if not asked.offers_options:
        return 0
    return max(len(asked.options(document).names) for document in asked.documents())


def _image(asked: Asked, document: Mapping[str, Any], copy: Path, images: Images) -> str:
    """The path of an image whose pixels are those that models of lmms-eval see, or its content as base64."""
    path = Path(asked.prepared.manifest.root) / document["image"]
    if images == "path" and "perturbation" not in asked.identity and _is_shown_as_it_is(asked, path):
        return str(path.resolve())
    try:
        image = image_of(asked.prepared, document)
    except DatasetContentError as error:
        raise ExchangeError(f"{document['id']}: {error}. `finer doctor {asked.task.dataset}` lists all such files") from error
    if images == "base64":
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        return base64.b64encode(buffer.getvalue()).decode()
    with replacing(copy) as fresh:
        image.save(fresh, format="PNG")
    return str(copy.resolve())


def _is_shown_as_it_is(asked: Asked, path: Path) -> bool:
    """Whether opening the file gives what lmms-eval shows: nothing cropped, upright, of a plain kind."""
    if asked.prepared.manifest.embedded or get_reader(asked.task.dataset).crop_bottom:
        return False
    try:
        with Image.open(path) as image:
            return image.mode in _PLAIN and image.getexif().get(_ORIENTATION, 1) == 1 and not image.has_transparency_data
    except Exception:  # told where it is opened as a whole
        return False
