from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from finer_tasks.datasets.images import open_image
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
