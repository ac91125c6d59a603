"""Opening images: whole or not at all."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageFile

from finer_tasks.errors import DatasetContentError


def open_image(source: Path | bytes, crop_bottom: int = 0) -> Image.Image:
    """An RGB image, decoded now; raises DatasetContentError if it is missing, corrupt or truncated.

    `crop_bottom` rows of pixels are cut off at the bottom (the banner of FGVC-Aircraft).
    """
    name = "embedded image" if isinstance(source, bytes) else str(source)
    try:
        with _whole_images_only():
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetContentError(f"{name}: image cannot be decoded ({error})") from error
    if crop_bottom:
        image = image.crop((0, 0, image.width, max(1, image.height - crop_bottom)))
    return image


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
