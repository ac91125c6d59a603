"""Opening images: whole or not at all, and the same way for every backend, thumbnails and training."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from finer_tasks.datasets.perturb import Perturbation, active_perturbation, boxes_of
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.record import is_inside
from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import DatasetContentError


def image_of(prepared: Prepared, doc: Mapping[str, Any]) -> Image.Image:
    """The RGB image of a document as models see it: perturbed where FINER_PERTURB says so. Raises as `published_image`."""
    return perturbed_image(prepared, doc, active_perturbation())


def perturbed_image(prepared: Prepared, doc: Mapping[str, Any], perturbation: Perturbation | None) -> Image.Image:
    """As `image_of`, for a perturbation that is given; None for the image as published."""
    image = published_image(prepared, doc)
    if perturbation is None:
        return image
    boxes = boxes_of(prepared, doc["split"]).get(doc["image"], ()) if perturbation.kind.placed else ()
    return perturbation.of(image, doc["id"], boxes)


def published_image(prepared: Prepared, doc: Mapping[str, Any]) -> Image.Image:
    """The RGB image of a document; raises DatasetContentError if it cannot be decoded whole."""
    manifest, embedded = prepared.manifest, doc.get("embedded_image")
    if not is_inside(doc["image"]):
        raise DatasetContentError(f"image {doc['image']!r} is not below {manifest.root}")
    source = embedded["bytes"] if embedded and embedded.get("bytes") else Path(manifest.root) / doc["image"]
    return open_image(source, get_reader(manifest.dataset).crop_bottom)


def open_image(source: Path | bytes, crop_bottom: int = 0) -> Image.Image:
    """An RGB image of 8 bits, upright, decoded now: what models, thumbnails and training see.

    The EXIF orientation is applied; what is transparent shows white; 16-bit gray and floats from 0 to 1 are
    scaled; of several frames the first is taken. Colour profiles are not applied. `crop_bottom` rows of pixels
    are cut off at the bottom (the banner of FGVC-Aircraft). Raises DatasetContentError if the image is
    missing, corrupt or truncated, or if its values have no known range.
    """
    name = "embedded image" if isinstance(source, bytes) else str(source)
    try:
        with _whole_images_only(), Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            image = _rgb(opened)
            turn = _TURNS.get(_orientation(opened))
    except Exception as error:  # the decoders raise many kinds on a damaged file
        raise DatasetContentError(f"{name}: image cannot be decoded ({error or type(error).__name__})") from error
    image = image if turn is None else image.transpose(turn)
    return image.crop((0, 0, *_kept(image.size, crop_bottom))) if crop_bottom else image


def image_size(path: Path, crop_bottom: int = 0) -> tuple[int, int]:
    """Width and height that `open_image` gives, from the header where that tells; raises DatasetContentError."""
    try:
        with Image.open(path) as image:
            if image.format == "TIFF":
                image.load()  # Pillow turns these itself, and by its version the size says so before or after
            width, height = image.size
            sideways = _TURNS.get(_orientation(image)) in _SIDEWAYS
    except Exception as error:  # as above
        raise DatasetContentError(f"{path}: image cannot be read ({error or type(error).__name__})") from error
    return _kept((height, width) if sideways else (width, height), crop_bottom)


def _kept(size: tuple[int, int], crop_bottom: int) -> tuple[int, int]:
    return size[0], max(1, size[1] - crop_bottom)


_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {_TURNS[number] for number in (5, 6, 7, 8)}


def _orientation(image: Image.Image) -> int:
    """The number in the EXIF data; 1, upright, where there is none or it cannot be read, as viewers take it."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken EXIF data raise many kinds, and the picture itself may be whole
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode[0] in "IF":
        return _scaled(image).convert("RGB")
    if image.has_transparency_data:
        visible = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", visible.size, "white"), visible).convert("RGB")
    return image.convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """8-bit gray of deep gray, which Pillow's own conversion would clip to white or black."""
    values = np.asarray(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        full = 65535
    elif image.mode == "F" and values.min() >= 0 and values.max() <= 1:  # false for NaN
        full = 1
    else:
        raise ValueError(
            f"its {'integers' if image.mode[0] == 'I' else 'floats'} from {values.min():g} to {values.max():g} "
            "have no known range; save it with 8 or 16 bits a channel"
        )
    return Image.fromarray(np.rint(values.astype(np.float64) * (255 / full)).astype(np.uint8))


_lock = threading.Lock()
_open_now = 0
_setting_before = False


@contextmanager
def _whole_images_only() -> Iterator[None]:
    """Make Pillow refuse truncated files while any thread is here.

    lmms-eval sets LOAD_TRUNCATED_IMAGES for the whole process; the gray filling would be scored
    as if the model had seen the picture.
    """
    global _open_now, _setting_before
    with _lock:
        if _open_now == 0:
            _setting_before = ImageFile.LOAD_TRUNCATED_IMAGES
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _open_now += 1
    try:
        yield
    finally:
        with _lock:
            _open_now -= 1
            if _open_now == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = _setting_before
