"""Features of a frozen encoder from disk: the same as computed, never those of other weights, pixels or layers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from finer_tasks.errors import ModelError
from finer_tasks.models.encoder_cache import cache_encoder
from finer_tasks.models.loading import LoadOptions, load_model
from tests.training import tiny_models


def load(folder: Path | None) -> torch.nn.Module:
    options = LoadOptions("finer-mini", encoder_cache=None if folder is None else str(folder))
    return load_model(options, torch.device("cpu"))


def seen(model: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack(model.get_image_features(pixel_values=pixels).pooler_output)


def test_what_comes_from_disk_is_what_was_computed_image_by_image(tmp_path: Path) -> None:
    pixels = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    plain, cached = seen(load(None), pixels), load(tmp_path)
    assert torch.allclose(seen(cached, pixels[:3]), plain[:3], atol=1e-5)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    assert len(files) == 3
    model = load(tmp_path)
    mixed = seen(model, pixels[[4, 0, 2, 3]])  # some known, some not, in another order
    assert torch.allclose(mixed, plain[[4, 0, 2, 3]], atol=1e-5)
    assert len(list(tmp_path.rglob("*.npy"))) == 5
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_the_encoder_is_not_run_for_images_that_are_known(tmp_path: Path) -> None:
    pixels = torch.rand(2, 3, 64, 64)
    seen(load(tmp_path), pixels)
    model = load(tmp_path)
    calls: list[int] = []
    first = next(module for module in model.model.vision_tower.modules() if isinstance(module, torch.nn.Conv2d))
    first.register_forward_hook(lambda *_: calls.append(1))
    seen(model, pixels)
    assert not calls
    seen(model, torch.rand(1, 3, 64, 64))
    assert calls


def test_other_weights_have_features_of_their_own_and_damaged_files_are_made_anew(tmp_path: Path) -> None:
    pixels = torch.rand(1, 3, 64, 64)
    model = load(None)
    plain = seen(model, pixels)
    other = load(None)
    with torch.no_grad():
        for weight in other.model.vision_tower.parameters():
            weight.mul_(1.5)
    changed = seen(other, pixels)
    cache_encoder(model, tmp_path)
    cache_encoder(other, tmp_path)
    assert torch.allclose(seen(model, pixels), plain, atol=1e-5)
    assert torch.allclose(seen(other, pixels), changed, atol=1e-5)
    assert not torch.allclose(plain, changed, atol=1e-3)
    other_shape = io.BytesIO()
    np.save(other_shape, np.zeros((1, 2, 3), dtype=np.float32))
    for damaged in (lambda content: content[:50], lambda content: content[:-1] + b"x", lambda _: other_shape.getvalue()):
        for path in tmp_path.rglob("*.npy"):
            path.write_bytes(damaged(path.read_bytes()))
        assert torch.allclose(seen(model, pixels), plain, atol=1e-5)


def test_no_gradient_reaches_the_encoder_and_other_architectures_are_refused(tmp_path: Path) -> None:
    model = load(tmp_path)
    assert not any(weight.requires_grad for weight in model.model.vision_tower.parameters())
    tiny_models.save("qwen2.5-vl", tmp_path / "qwen")
    with pytest.raises(ModelError, match="encoder_cache is for models built as LLaVA, and this is a qwen2_5_vl"):
        load_model(LoadOptions(str(tmp_path / "qwen"), encoder_cache=str(tmp_path)), torch.device("cpu"))
