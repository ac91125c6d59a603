from __future__ import annotations

import contextlib
import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from finer_tasks.datasets.images import image_size, open_image
from finer_tasks.errors import DatasetContentError


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95])
def test_truncated_files_are_refused_though_lmms_eval_lets_pillow_fill_them(
    monkeypatch: pytest.MonkeyPatch, kind: str, share: float
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded(kind)
    assert open_image(data).size == (300, 200)
    with pytest.raises(DatasetContentError, match="cannot be decoded"):
        open_image(data[: int(len(data) * share)])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_the_setting_of_others_survives_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded("JPEG")
    with ThreadPoolExecutor(8) as pool:
        assert all(image.size == (300, 200) for image in pool.map(open_image, [data] * 64))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_other_modes_become_rgb_and_missing_files_are_named(tmp_path: Path) -> None:
    Image.new("LA", (4, 4)).save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png").mode == "RGB"
    with pytest.raises(DatasetContentError, match=r"nothing\.jpg: image cannot be decoded"):
        open_image(tmp_path / "nothing.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(DatasetContentError, match=r"text\.jpg"):
        open_image(tmp_path / "text.jpg")


def saved(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)
    return path


def png16(path: Path, pixels: np.ndarray, colour_type: int) -> Path:
    """A PNG of 16 bits a channel, shape (rows, columns, channels), which Pillow reads but does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows, columns, _ = pixels.shape
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", columns, rows, 16, colour_type, 0, 0, 0)
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


RAMP = np.linspace(0, 1, 64 * 64).reshape(64, 64)


@pytest.mark.parametrize("suffix", ["png", "tif", "big-endian.tif", "ppm", "rgb16.png", "la16.png", "float.tif"])
def test_deep_images_keep_their_grays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    deep = np.rint(RAMP * 65535).astype(np.uint16)
    if suffix == "rgb16.png":
        png16(path, np.stack([deep] * 3, axis=-1), 2)
    elif suffix == "la16.png":
        png16(path, np.stack([deep, np.full_like(deep, 65535)], axis=-1), 4)
    elif suffix == "big-endian.tif":
        Image.frombytes("I;16B", (64, 64), deep.astype(">u2").tobytes()).save(path)
    else:
        saved(path, RAMP.astype(np.float32) if suffix == "float.tif" else deep)
    shown = np.asarray(open_image(path)).astype(float)
    assert np.abs(shown - (RAMP * 255)[..., None]).max() <= 1


@pytest.mark.parametrize(
    "values", [RAMP.astype(np.float32) * 255, RAMP.astype(np.float32) * np.nan, (RAMP * 70000).astype(np.int32)]
)
def test_values_without_a_known_range_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(DatasetContentError, match=r"a\.tif: .*have no known range; save it with 8 or 16 bits"):
        open_image(saved(tmp_path / "a.tif", values))


def test_what_is_transparent_shows_white_whatever_colour_hides_there(tmp_path: Path) -> None:
    hidden = np.zeros((4, 4, 4), dtype=np.uint8)
    hidden[0, 0] = (10, 20, 30, 255)
    saved(tmp_path / "rgba.png", hidden)
    saved(tmp_path / "la.png", hidden[..., [0, 3]])
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([10, 20, 30, 0, 0, 0])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "p.png", transparency=1)
    for name, first in (("rgba", (10, 20, 30)), ("la", (10, 10, 10)), ("p", (10, 20, 30))):
        image = open_image(tmp_path / f"{name}.png")
        assert (image.getpixel((0, 0)), image.getpixel((3, 3))) == (first, (255, 255, 255)), name


def test_cmyk_pictures_keep_their_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    red, green, blue = np.asarray(open_image(tmp_path / "red.jpg"))[4, 4].tolist()
    assert red > 250
    assert max(green, blue) < 5


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_and_their_size_is_known_from_the_header(tmp_path: Path, kind: str, orientation: int) -> None:
    array = np.zeros((16, 32, 3), dtype=np.uint8)
    array[:8, :16] = 255  # the corner of the stored picture at its row 0, column 0
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{kind}"
    Image.fromarray(array).save(path, exif=exif)
    image = open_image(path)
    assert image.size == image_size(path) == ((32, 16) if orientation < 5 else (16, 32))
    bottom, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)  # where EXIF says that corner belongs
    corner = ((image.width - 1) * right, (image.height - 1) * bottom)
    assert min(image.getpixel(corner)) > 200
    assert sum(np.asarray(image)[..., 0].ravel() > 128) == 128


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_exif_data_do_not_spoil_a_whole_picture(tmp_path: Path) -> None:
    Image.new("RGB", (8, 4), "red").save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(9))
    assert open_image(tmp_path / "a.jpg").size == (8, 4)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_headers_of_any_format_are_refused_in_words() -> None:
    rng = np.random.default_rng(5)
    for kind in ("AVIF", "DDS", "GIF", "TIFF", "JPEG2000"):
        whole = encoded(kind)
        for _ in range(60):
            damaged = bytearray(whole)
            for place in rng.integers(0, 200, 8):
                damaged[place] ^= 0xFF
            with contextlib.suppress(DatasetContentError):
                open_image(bytes(damaged))


def test_the_banner_is_cut_off_the_upright_picture(tmp_path: Path) -> None:
    Image.new("RGB", (32, 24)).save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png", 20).size == image_size(tmp_path / "a.png", 20) == (32, 4)
