"""Adapters and checkpoints as other trainers leave them: what they compute is what the merged weights by hand do, or they are refused.

The layouts follow the sources that are named. Of TRL and peft the real thing makes them.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, Features, Image, List, Value
from peft import LoraConfig, get_peft_model
from PIL import Image as Pictures
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from finer_tasks.errors import ModelError
from finer_tasks.models.conversation import ChatEncoder
from finer_tasks.models.loading import BUILT_IN, LoadOptions, load_model, load_processor

CPU = torch.device("cpu")
MINI = BUILT_IN["finer-mini"]
RANK, ALPHA, LAYERS = 2, 8, 4
Tensors = dict[str, torch.Tensor]
LANGUAGE = "model.language_model.layers"


def base() -> Any:
    return AutoModelForImageTextToText.from_pretrained(MINI, dtype=torch.float32).eval()


def logits(model: Any) -> torch.Tensor:
    question = [{"type": "image", "url": Pictures.new("RGB", (64, 64), "red")}, {"type": "text", "text": "What is it?"}]
    inputs = ChatEncoder(load_processor(LoadOptions("finer-mini"))).encode([[{"role": "user", "content": question}]])
    with torch.no_grad():
        found: torch.Tensor = model(**inputs).logits
    return found


def loaded(adapter: Path, pretrained: str = "finer-mini") -> torch.Tensor:
    return logits(load_model(LoadOptions(pretrained, peft=str(adapter)), CPU))


def low_rank() -> Tensors:
    """A and B of q_proj and v_proj in every layer of the language model, by module and factor; random."""
    weights, made = base().state_dict(), {}
    torch.manual_seed(3)
    for layer in range(LAYERS):
        for module in (f"{LANGUAGE}.{layer}.self_attn.{name}" for name in ("q_proj", "v_proj")):
            rows, columns = weights[f"{module}.weight"].shape
            made[f"{module}.lora_A"] = torch.randn(RANK, columns) * 0.2
            made[f"{module}.lora_B"] = torch.randn(rows, RANK) * 0.2
    return made


def merged(factors: Tensors, scale: float, replaced: Mapping[str, torch.Tensor] | None = None) -> torch.Tensor:
    """The logits of W + scale · B A, computed here, with some weights replaced."""
    model = base()
    weights = model.state_dict()
    for key in factors:
        if key.endswith(".lora_A"):
            module = key.removesuffix(".lora_A")
            weights[f"{module}.weight"] += scale * factors[f"{module}.lora_B"] @ factors[key]
    model.load_state_dict(weights | dict(replaced or {}))
    return logits(model)


def write(folder: Path, tensors: Tensors, **config: Any) -> Path:
    """An adapter in peft's files, with the values that all trainers write."""
    folder.mkdir(parents=True)
    written = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": ALPHA, "lora_dropout": 0.05, "bias": "none",
        "inference_mode": True, "target_modules": ["q_proj", "v_proj"], "base_model_name_or_path": str(MINI),
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(written | config))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def named(change: Callable[[str], str]) -> Tensors:
    return {f"base_model.model.{change(key)}.weight": tensor for key, tensor in low_rank().items()}


def same(key: str) -> str:
    return key


def before_4_52(key: str) -> str:
    """Names of LLaVA in transformers before 4.52."""
    return key.replace("model.language_model.", "language_model.model.")


# LLaMA-Factory, src/llamafactory/model/adapter.py and model_utils/misc.py: its modules of a vision model are an expression.
FACTORY = {
    "target_modules": r"^(?!.*(?:vision_tower|multi_modal_projector)).*(?:q_proj|v_proj).*",
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
}
# ms-swift, swift/tuners/lora.py (to_peft_config, additional_config.json) and swift/utils/torch_utils.py (get_multimodal_target_regex).
SWIFT = {"target_modules": r"^(model\.language_model(?=\.).*\.(q_proj|v_proj))$", "modules_to_save": []}
# unsloth and unsloth_zoo/peft_utils.py (get_peft_regex): fields of its own, and a base of 4 bits.
UNSLOTH = {
    "auto_mapping": {
        "base_model_class": "LlavaForConditionalGeneration",
        "parent_library": "transformers.models.llava.modeling_llava",
        "unsloth_fixed": True,
    },
    "base_model_name_or_path": "unsloth/llava-1.5-7b-hf-bnb-4bit",
    "target_modules": r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp).*?(?:q_proj|v_proj).*?)",
    "task_type": None,
    "unsloth_version": "2026.3.3",
}
WRITTEN: dict[str, tuple[Callable[[str], str], dict[str, Any], dict[str, Any], float]] = {
    "llama-factory": (same, FACTORY, {"trainer_state.json": {}, "training_loss.json": {}}, ALPHA / RANK),
    "llama-factory before 4.52": (before_4_52, FACTORY, {}, ALPHA / RANK),
    "llama-factory, rsLoRA": (same, FACTORY | {"use_rslora": True}, {}, ALPHA / RANK**0.5),
    "ms-swift": (
        same, SWIFT, {"additional_config.json": {"lora_dtype": None, "lorap_lr_ratio": None, "lorap_emb_lr": 1e-6}, "args.json": {}}, ALPHA / RANK,
    ),
    "ms-swift before 4.52": (before_4_52, SWIFT | {"target_modules": r"^(language_model(?=\.).*\.(q_proj|v_proj))$"}, {}, ALPHA / RANK),
    "unsloth": (same, UNSLOTH, {}, ALPHA / RANK),
}  # fmt: skip


@pytest.mark.parametrize("trainer", WRITTEN)
def test_an_adapter_of_another_trainer_computes_the_merged_weights(trainer: str, tmp_path: Path) -> None:
    names, config, beside, scale = WRITTEN[trainer]
    adapter = write(tmp_path / "adapter", named(names), **config)
    for name, content in beside.items():
        (adapter / name).write_text(json.dumps(content))
    torch.testing.assert_close(loaded(adapter), merged(low_rank(), scale), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(logits(base()), merged(low_rank(), scale), atol=1e-2)
    save_file(named(lambda key: names(key).replace("layers.3", "layers.9")), adapter / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"4 of its 16 tensors belong nowhere in it, for example \S+layers\.9"):
        loaded(adapter)


def authors_llava(folder: Path, base_model: str) -> tuple[Path, Tensors]:
    """As llava/train/train.py of the authors' LLaVA saves LoRA with the projector beside; and what the projector is."""
    factors = {f"base_model.model.{key.replace('.language_model', '')}.weight": tensor for key, tensor in low_rank().items()}
    adapter = write(folder, {}, base_model_name_or_path=base_model)
    (adapter / "adapter_model.safetensors").unlink()
    torch.save(factors, adapter / "adapter_model.bin")
    torch.manual_seed(4)
    weights = base().state_dict()
    projector = {key: torch.randn_like(tensor) * 0.1 for key, tensor in weights.items() if "multi_modal_projector" in key}
    places = {"linear_1": "0", "linear_2": "2"}
    beside = {
        re.sub(r".*multi_modal_projector\.(linear_\d)", lambda found: f"base_model.model.model.mm_projector.{places[found[1]]}", key): tensor
        for key, tensor in projector.items()
    }  # fmt: skip
    torch.save(beside, adapter / "non_lora_trainables.bin")
    (adapter / "config.json").write_text(json.dumps({"model_type": "llava_llama", "mm_vision_tower": "openai/clip"}))
    return adapter, projector


def test_lora_of_the_authors_llava_with_its_projector_beside(tmp_path: Path) -> None:
    adapter, projector = authors_llava(tmp_path / "adapter", "liuhaotian/llava-v1.5-7b")
    found, expected = loaded(adapter), merged(low_rank(), ALPHA / RANK, projector)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found, merged(low_rank(), ALPHA / RANK), atol=1e-2)
    with pytest.raises(ModelError, match=r"is an adapter of the authors' LLaVA\. Give pretrained=<its base, converted"):
        load_model(LoadOptions(str(adapter)), CPU)
    beside = torch.load(adapter / "non_lora_trainables.bin")
    torch.save(beside | {"base_model.model.model.mm_projector.4.weight": torch.zeros(2)}, adapter / "non_lora_trainables.bin")
    with pytest.raises(ModelError, match=r"1 of its 21 tensors belong nowhere in it, for example \S+mm_projector\.4\.weight"):
        loaded(adapter)


def test_lora_of_the_authors_llava_on_a_plain_language_model_is_refused(tmp_path: Path) -> None:
    adapter, _ = authors_llava(tmp_path / "adapter", "lmsys/vicuna-7b-v1.5")
    with pytest.raises(ModelError, match=r"trained on lmsys/vicuna-7b-v1\.5, which is no LLaVA, .* merge_lora_weights\.py"):
        loaded(adapter)


STARTS: dict[str, dict[str, Any]] = {
    "pissa": {"init_lora_weights": "pissa"},
    "olora": {"init_lora_weights": "olora"},
    "DoRA": {"use_dora": True},
    "whole modules": {"modules_to_save": ["multi_modal_projector"]},
}


def tuned(**config: Any) -> Any:
    model = get_peft_model(
        base(), LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=r".*language_model.*\.(q|v)_proj", **config)
    )
    torch.manual_seed(5)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.data += torch.randn_like(parameter) * (0.2 if "lora_" in name else 0.05)
    return model.eval()


@pytest.mark.parametrize("start", STARTS)
def test_ways_to_begin_of_peft_itself(start: str, tmp_path: Path) -> None:
    model = tuned(**STARTS[start])
    model.save_pretrained(tmp_path / "adapter")
    torch.testing.assert_close(loaded(tmp_path / "adapter"), logits(model), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(logits(base()), logits(model), atol=1e-2)


@pytest.mark.parametrize("start", ["pissa_niter_16", "corda", "lora_ga", "loftq"])
def test_what_changed_the_base_for_good_is_refused(start: str, tmp_path: Path) -> None:
    adapter = write(tmp_path / "adapter", named(same), init_lora_weights=start, loftq_config={"loftq_bits": 4})
    with pytest.raises(
        ModelError, match=rf"began with init_lora_weights={start}, .* LLaMA-Factory leaves it in pissa_converted"
    ):
        loaded(adapter)


def test_pissa_converted_to_plain_lora(tmp_path: Path) -> None:
    """As LLaMA-Factory converts it (src/llamafactory/train/callbacks.py), by peft."""
    begun = get_peft_model(base(), LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=r".*language_model.*\.(q|v)_proj", init_lora_weights="pissa_niter_16"))  # fmt: skip
    begun.peft_config["default"].init_lora_weights = True
    begun.save_pretrained(tmp_path / "pissa_init")
    begun.peft_config["default"].init_lora_weights = "pissa_niter_16"
    torch.manual_seed(6)
    for name, parameter in begun.named_parameters():
        if "lora_" in name:
            parameter.data += torch.randn_like(parameter) * 0.2
    expected = logits(begun.eval())
    begun.save_pretrained(tmp_path / "pissa_converted", path_initial_model_for_weight_conversion=str(tmp_path / "pissa_init"))
    torch.testing.assert_close(loaded(tmp_path / "pissa_converted"), expected, atol=1e-3, rtol=1e-3)


def test_an_adapter_and_a_model_that_trl_trained(tmp_path: Path) -> None:
    trl = pytest.importorskip("trl")
    said = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "Answer: Gull"}]
    features = Features({"messages": List({"role": Value("string"), "content": Value("string")}), "images": List(Image())})
    rows = Dataset.from_list([{"messages": said, "images": [Pictures.new("RGB", (64, 64), "red")]}] * 2, features=features)
    processor = load_processor(LoadOptions("finer-mini"))
    for kind in ("adapter", "full"):
        config = trl.SFTConfig(
            output_dir=str(tmp_path / kind), max_steps=1, per_device_train_batch_size=2, learning_rate=0.05, max_length=None,
            use_cpu=True, bf16=False, report_to="none", save_strategy="no", gradient_checkpointing=False,
        )  # fmt: skip
        lora = LoraConfig(r=RANK, target_modules="all-linear", init_lora_weights=False) if kind == "adapter" else None
        trainer = trl.SFTTrainer(base(), config, train_dataset=rows, processing_class=processor, peft_config=lora)
        trainer.train()
        trainer.save_model()
        expected = logits(trainer.model.eval())
        found = loaded(tmp_path / kind) if lora else logits(load_model(LoadOptions(str(tmp_path / kind)), CPU))
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
        assert not torch.allclose(expected, logits(base()), atol=1e-2)


def test_a_whole_model_in_shards(tmp_path: Path) -> None:
    """As LLaMA-Factory's export, ms-swift's full tuning and unsloth's save_pretrained_merged write it: by save_pretrained."""
    model = base()
    model.save_pretrained(tmp_path, max_shard_size="2MB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    torch.testing.assert_close(logits(load_model(LoadOptions(str(tmp_path)), CPU)), logits(model))
    shutil.copy(next(tmp_path.glob("model-*.safetensors")), tmp_path / "kept")
    next(tmp_path.glob("model-*.safetensors")).unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(LoadOptions(str(tmp_path)), CPU)


def authors_checkpoint(folder: Path) -> None:
    """As llava/model/language_model/llava_llama.py saves a whole model: the language model at the top, the projector in it."""
    config = {"architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava_llama", "mm_vision_tower": "openai/clip"}
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(MINI / "model.safetensors")
    save_file({"model.norm.weight": next(iter(weights.values()))}, folder / "model.safetensors", metadata={"format": "pt"})


def authors_projector(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "llava_llama", "mm_vision_tower": "openai/clip"}))
    torch.save({"model.mm_projector.0.weight": torch.zeros(2)}, folder / "mm_projector.bin")


def deepspeed(folder: Path) -> None:
    (folder / "zero_to_fp32.py").touch()
    (folder / "global_step12").mkdir()


def training(folder: Path) -> None:
    for step in (20, 100):
        write(folder / f"checkpoint-{step}", named(same))


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "authors' checkpoint": (authors_checkpoint, r"form of the authors' LLaVA \(model_type llava_llama\).*llava-hf/llava-1\.5-7b-hf"),
    "authors' projector": (authors_projector, r"the projector of the authors' LLaVA alone \(mm_projector\.bin\)"),
    "shards of DeepSpeed": (deepspeed, r"shards of DeepSpeed and no weights\. Join them: python \S+/zero_to_fp32\.py"),
    "shards of FSDP": (lambda folder: (folder / "pytorch_model_fsdp_0").mkdir(), r"Join them: accelerate merge-weights \S+/pytorch_model_fsdp_0"),
    "folder of a training": (training, r"whose checkpoints lie inside\. Give one of them, such as \S+/checkpoint-100"),
}  # fmt: skip


@pytest.mark.parametrize("argument", ["pretrained", "peft"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_loaded_is_refused_by_name(case: str, argument: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    make(tmp_path)
    options = LoadOptions(str(tmp_path)) if argument == "pretrained" else LoadOptions("finer-mini", peft=str(tmp_path))
    with pytest.raises(ModelError, match=f"{argument}={re.escape(str(tmp_path))} .*{message}"):
        load_model(options, CPU)
