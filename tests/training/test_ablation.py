"""`finer ablate projectors`: what is trained, what stays as it was, and the whole command on mini."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from finer_tasks.cli.main import main
from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.models.loading import LoadOptions, load_model, load_processor
from finer_tasks.training.ablation.assembling import assemble, load_parts
from finer_tasks.training.ablation.experiment import ablate, best_rate
from finer_tasks.training.ablation.features import load_features
from finer_tasks.training.ablation.plan import AblationPlan, Arm, Folders
from finer_tasks.training.ablation.teaching import task_of, teach
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.parts import encoder_from_folder, language_from_folder
from finer_tasks.training.recipe import read_recipe
from tests.training import tiny_models

PLAN = read_recipe(AblationPlan, Path("ablate-mini-fast"))
ARMS: tuple[Arm, ...] = ("mlp2", "resampler", "mlp2_pool2x2", "mlp2_layers")


@pytest.mark.parametrize("arm", ARMS)
def test_only_the_projector_is_trained_on_patches_as_the_model_itself_sees_them(
    arm: Arm, mini_data: Path, tmp_path: Path
) -> None:
    plan = replace(PLAN, arms=ARMS)
    parts, prepared = load_parts(plan), ensure_prepared("mini")
    features = load_features(parts, prepared, "train", plan, tmp_path / "f")
    model, processor = assemble(parts, plan, arm, 0)
    images = [image_of(prepared, document) for document in features.documents[:2]]
    pixels = processor.image_processor(images=images, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        own = torch.stack(model.get_image_features(pixel_values=pixels).pooler_output)
        ours = model.model.multi_modal_projector(features.of(plan.layers_of(arm), [0, 1]))
    assert torch.allclose(own, ours, atol=2e-2)  # cached in float16
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert 0 < teach(task_of(plan, features), arm, 0, 1e-2, model, processor) < 20
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(".multi_modal_projector." in name for name in changed)


def test_encoder_and_language_model_may_come_from_folders(mini_data: Path, tmp_path: Path) -> None:
    sources = folders(tmp_path)
    plan = replace(PLAN, llava=None, folders=sources)
    parts = load_parts(plan)
    assert (parts.encoder.patches, parts.encoder.has_class_token, parts.encoder.image_size) == (16, True, 32)
    model, processor = assemble(parts, plan, "mlp2", 0)
    model.save_pretrained(tmp_path / "m")
    processor.save_pretrained(tmp_path / "m")
    loaded, with_images = (load(LoadOptions(str(tmp_path / "m"))) for load in (_model, load_processor))
    document = ensure_prepared("mini").tables()["test"][0]
    inputs = with_images(text=["<image> a"], images=[[image_of(ensure_prepared("mini"), document)]], return_tensors="pt")
    assert int((inputs["input_ids"] == loaded.config.image_token_id).sum()) == 16
    with torch.no_grad():
        assert torch.allclose(loaded(**inputs).logits, model(**inputs).logits, atol=1e-4)
    with pytest.raises(TrainingError, match=r"image_size=33: the encoder .* has patches of 8 pixels"):
        load_parts(replace(plan, folders=replace(sources, image_size=33)))
    (tmp_path / "encoder/preprocessor_config.json").unlink()
    with pytest.raises(TrainingError, match="with an image processor, or image_mean and image_std"):
        load_parts(plan)
    scaled = load_parts(replace(plan, folders=replace(sources, image_mean=(0.5, 0.5, 0.5), image_std=(0.2, 0.2, 0.2))))
    assert list(scaled.encoder.image_processor.image_std) == [0.2, 0.2, 0.2]
    with pytest.raises(TrainingError, match=r"folders.language_model=.*gone cannot be loaded"):
        load_parts(
            replace(
                plan,
                folders=replace(sources, language_model=str(tmp_path / "gone"), image_mean=(0.5,) * 3, image_std=(0.2,) * 3),
            )
        )


def test_parts_of_another_build_are_named(tmp_path: Path) -> None:
    GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=300)).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(TrainingError, match=r"key=.*gpt2 is a gpt2, and not built as Llama, Qwen2 and Mistral are"):
        language_from_folder("key", str(tmp_path / "gpt2"))
    with pytest.raises(TrainingError, match=r"key=.*gpt2 is a gpt2, which cuts no image into square patches"):
        encoder_from_folder("key", str(tmp_path / "gpt2"), 32)


def _model(options: LoadOptions) -> Any:
    return load_model(options, torch.device("cpu"))


def folders(root: Path) -> Folders:
    """A tiny CLIP encoder and a tiny Llama."""
    torch.manual_seed(0)
    CLIPVisionModel(CLIPVisionConfig(**tiny_models.VISION, patch_size=8)).save_pretrained(root / "encoder")
    CLIPImageProcessor().save_pretrained(root / "encoder")
    tokenizer = tiny_models._tokenizer({})
    LlamaForCausalLM(tiny_models._llama(tokenizer)).save_pretrained(root / "language")
    tokenizer.save_pretrained(root / "language")
    return Folders(str(root / "encoder"), str(root / "language"), 32)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["arms=[linear]"], "arms lacks mlp2, with which the others are compared"),
        (["llava=null"], "give either llava or folders"),
        (["arms=[mlp3]"], "Input should be 'linear', 'mlp2'"),
        (["tasks=[finer_cub_fine]"], "'finer_cub_fine' is no single task of mini"),
        (["tasks=[finer_mini]"], "'finer_mini' is no single task of mini"),
        (["queries=15"], "projector resampler makes 15 image tokens of 8 x 8 patches"),
        (["layer=-99"], "layer -99 of mlp2: the encoder has 4 layers; give -5 to 4"),
        (["seeds=[1,1]"], "seeds names one twice"),
        (["learning_rates=[0]"], "learning_rates"),
    ],
)
def test_mistakes_are_told(
    given: list[str], message: str, mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ablate", "projectors", "ablate-mini-fast", *given, "--output", str(tmp_path / "o")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_model_that_is_no_llava_has_no_parts_to_take(mini_data: Path, tmp_path: Path) -> None:
    tiny_models.save("llava-next", tmp_path)
    with pytest.raises(TrainingError, match="is a llava_next; give a LLaVA"):
        load_parts(replace(PLAN, llava=str(tmp_path)))


def test_a_rate_that_leads_astray_is_not_chosen() -> None:
    assert best_rate("mlp2", {1.0: float("nan"), 0.1: 3.0, 0.01: 2.0}) == 0.01
    with pytest.raises(TrainingError, match="mlp2: the loss is no number with any of learning_rates"):
        best_rate("mlp2", {1.0: float("nan")})


@pytest.mark.slow
def test_the_fast_recipe_goes_through_and_goes_on_where_it_stopped(mini_data: Path, tmp_path: Path) -> None:
    output = tmp_path / "o"
    plan = replace(PLAN, seeds=(0, 1), learning_rates=(1e-3, 2e-3))
    ablate(plan, output)
    record = json.loads((output / "report.json").read_text())
    assert [(arm["arm"], arm["image_tokens"]) for arm in record["arms"]] == [("mlp2", 64), ("resampler", 16)]
    assert all(set(arm["figures"]) == {"probe, encoder", "probe, projector", "finer_mini_fine"} for arm in record["arms"])
    reference, other = record["arms"]
    assert reference["figures"]["finer_mini_fine"]["difference"] is None
    assert other["figures"]["probe, encoder"] == reference["figures"]["probe, encoder"] | {
        "difference": {"value": 0.0, "low": None, "high": None}  # the same probe: no spread
    }
    assert "nan" not in (output / "table.md").read_text()
    assert len(other["figures"]["probe, projector"]["by_seed"]) == 2
    assert (output / "projectors.png").stat().st_size > 5000
    kept = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file() and path.parent != output}
    (output / "models/mlp2-1/model.safetensors").unlink()
    (output / "models/mlp2-1").rename(tmp_path / "gone")
    ablate(plan, output)
    assert json.loads((output / "report.json").read_text()) == record  # assembled anew, and the same
    assert {path for path, at in kept.items() if path.stat().st_mtime_ns != at} == {
        path for path in kept if path.is_relative_to(output / "models/mlp2-1")
    }
    with pytest.raises(TrainingError, match=r"holds a run with another projector_steps \(2\)"):
        ablate(replace(plan, projector_steps=3), output)
