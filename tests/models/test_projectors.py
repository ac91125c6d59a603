"""LLaVA with other projectors: loaded as any model, its image tokens agreed with the processor, "mlp2" being LLaVA's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from finer_tasks.errors import ModelError
from finer_tasks.models.loading import LoadOptions, load_model, load_processor
from finer_tasks.models.projectors import (
    CLASS_TOKEN,
    FinerLlavaConfig,
    FinerLlavaForConditionalGeneration,
    image_tokens,
    token_patch_size,
)

CPU = torch.device("cpu")
MINI = LoadOptions("finer-mini")


def config(projector: str, **more: Any) -> FinerLlavaConfig:
    """finer-mini's with another projector."""
    given = load_model(MINI, CPU).config.to_dict()
    kept = {key: value for key, value in given.items() if key not in ("model_type", "architectures", "dtype")}
    return FinerLlavaConfig(**kept | {"projector": projector} | more)


def save(model: Any, folder: Path) -> Any:
    """Write a model with a processor that counts its tokens; returns the processor."""
    processor = load_processor(MINI)
    processor.patch_size = token_patch_size(model.config, 64, 8)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return processor


@pytest.mark.parametrize("layers", [-1, [-3, -1]], ids=["one layer", "two layers"])
@pytest.mark.parametrize(
    ("projector", "tokens"), [*((n, 64) for n in ("linear", "mlp2", "mlp4")), ("mlp2_pool2x2", 16), ("resampler", 4)]
)
def test_what_was_saved_is_loaded_and_takes_the_images_of_its_processor(
    projector: str, tokens: int, layers: int | list[int], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = FinerLlavaForConditionalGeneration(config(projector, vision_feature_layer=layers, projector_queries=4)).eval()
    assert all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values())
    save(model, tmp_path)
    loaded, processor = load_model(LoadOptions(str(tmp_path)), CPU), load_processor(LoadOptions(str(tmp_path)))
    assert type(loaded) is FinerLlavaForConditionalGeneration
    inputs = processor(text=["USER: <image> hi"], images=[[Image.new("RGB", (70, 64), "red")]], return_tensors="pt")
    count = int((inputs["input_ids"] == loaded.config.image_token_id).sum())
    assert count == image_tokens(loaded.config, 64) == tokens
    with torch.no_grad():
        assert torch.allclose(loaded(**inputs).logits, model(**inputs).logits, atol=1e-5)


def test_mlp2_is_llavas_own_projector() -> None:
    llava = load_model(MINI, CPU)
    ours: Any = FinerLlavaForConditionalGeneration(config("mlp2")).eval()
    theirs = llava.model.multi_modal_projector
    names = {"layers.0": theirs.linear_1, "layers.1": theirs.linear_2}
    weights = {f"{name}.{key}": value for name, layer in names.items() for key, value in layer.state_dict().items()}
    ours.model.multi_modal_projector.load_state_dict(weights)
    patches = torch.randn(2, 64, 128)
    with torch.no_grad():
        assert torch.equal(ours.model.multi_modal_projector(patches), theirs(patches))


def test_two_by_two_pooling_takes_the_mean_of_neighbours() -> None:
    model: Any = FinerLlavaForConditionalGeneration(config("mlp2_pool2x2"))
    grid = torch.randn(1, 8, 8, 128)
    pooled = torch.stack([grid[:, 0:2, 0:2].mean((1, 2)), grid[:, 0:2, 2:4].mean((1, 2))], dim=1)
    projector = model.model.multi_modal_projector
    with torch.no_grad():
        by_hand = projector.layers[1](torch.nn.functional.gelu(projector.layers[0](pooled)))
        assert torch.allclose(projector(grid.flatten(1, 2))[:, :2], by_hand, atol=1e-5)


def test_what_cannot_be_built_or_counted_is_refused(tmp_path: Path) -> None:
    model = FinerLlavaForConditionalGeneration(config("mlp2"))
    save(model, tmp_path)
    changed = json.loads((tmp_path / "config.json").read_text()) | {"projector": "mlp3"}
    (tmp_path / "config.json").write_text(json.dumps(changed))
    with pytest.raises(ModelError, match="projector 'mlp3' is unknown; known are linear, mlp2, mlp4"):
        load_model(LoadOptions(str(tmp_path)), CPU)
    with pytest.raises(ModelError, match="resampler makes 10 image tokens of 8 x 8 patches"):
        token_patch_size(config("resampler", projector_queries=10), 64, 8)
    with pytest.raises(ModelError, match="mlp2_pool2x2 makes"):
        token_patch_size(config("mlp2_pool2x2"), 56, 8)


def test_a_few_tokens_of_the_whole_image_do_not_depend_on_the_scale_of_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    more = {"vision_feature_select_strategy": "full", "projector_queries": 4}
    model = FinerLlavaForConditionalGeneration(config(CLASS_TOKEN, **more)).eval()
    projector = model.model.multi_modal_projector
    features = torch.randn(50, 65, 128) * torch.logspace(-3, 3, 128) + 7
    projector.standardise(projector.pooled(features))
    plain = projector(features)
    assert plain.shape == (50, 4, 192)
    projector.standardise(projector.pooled(features * 100 - 3))
    assert torch.allclose(projector(features * 100 - 3), plain, atol=1e-3)
    assert not torch.allclose(projector(features), plain, atol=1e-2)
    processor = save(model, tmp_path)
    processor.vision_feature_select_strategy, processor.num_additional_image_tokens = "full", 0
    processor.save_pretrained(tmp_path)
    loaded, processor = load_model(LoadOptions(str(tmp_path)), CPU), load_processor(LoadOptions(str(tmp_path)))
    inputs = processor(text=["USER: <image> hi"], images=[[Image.new("RGB", (64, 64), "red")]], return_tensors="pt")
    assert int((inputs["input_ids"] == loaded.config.image_token_id).sum()) == 4
    with torch.no_grad():
        assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)
