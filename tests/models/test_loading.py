"""Adapters and base models whose tensors have other names, are missing, broken or of another size."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from loguru import logger
from peft import IA3Config, LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from finer_tasks.errors import ModelError
from finer_tasks.models.conversation import ChatEncoder
from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.models.loading import BUILT_IN, LoadOptions, load_model, load_processor
from finer_tasks.training.tuning.output import merge_adapter
from tests.training import tiny_models

CPU = torch.device("cpu")
MINI = str(BUILT_IN["finer-mini"])
WEIGHTS = "adapter_model.safetensors"
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """By architecture, a folder with a model in `model` and an adapter of it, in today's names, in `adapter`."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            if name == "finer-mini":
                shutil.copytree(MINI, made[name] / "model")
            else:
                tiny_models.save(name, made[name] / "model")
            save_adapter(made[name])
        return made[name]

    return folder


def save_adapter(folder: Path) -> None:
    """LoRA on q_proj and v_proj, wherever they are, and the projector trained in full; all of it random."""
    base = AutoModelForImageTextToText.from_pretrained(folder / "model", dtype=torch.float32)
    projector = next(
        n for n in ("multi_modal_projector", "merger", "language_projection") if any(n in k for k in base.state_dict())
    )
    tuned = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], modules_to_save=[projector]))
    torch.manual_seed(0)
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    tuned.save_pretrained(folder / "adapter", save_embedding_layers=False)


def altered(folder: Path, target: Path, change: Callable[[Tensors], Tensors], **config: Any) -> str:
    """A copy of the adapter with other tensors and other values in its config."""
    shutil.copytree(folder / "adapter", target)
    save_file(change(load_file(target / WEIGHTS)), target / WEIGHTS)
    path = target / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return str(target)


def renamed(*pairs: tuple[str, str]) -> Callable[[Tensors], Tensors]:
    def change(tensors: Tensors) -> Tensors:
        for old, new in pairs:
            tensors = {re.sub(old, new, key): tensor for key, tensor in tensors.items()}
        return tensors

    return change


def logits(folder: Path, adapter: str | None = None) -> torch.Tensor:
    options = LoadOptions(str(folder / "model"), peft=adapter)
    question = [{"type": "image", "url": Image.new("RGB", (64, 64), "red")}, {"type": "text", "text": "What is it?"}]
    inputs = ChatEncoder(load_processor(options)).encode([[{"role": "user", "content": question}]])
    with torch.no_grad():
        return load_model(options, CPU)(**inputs).logits


LANGUAGE, OF_PEFT = r"base_model\.model\.model\.language_model\.", r"^base_model\.model\."
FORMS = {
    "data parallel": ("finer-mini", renamed((r"^", "module."))),
    "data parallel inside": ("finer-mini", renamed((OF_PEFT, "base_model.model.module."))),
    "compiled": ("finer-mini", renamed((OF_PEFT, "_orig_mod.base_model.model."))),
    "fsdp": ("finer-mini", renamed((r"\.layers\.(\d+)\.", r".layers.\1._fsdp_wrapped_module."))),
    "raw": (
        "finer-mini",
        renamed((r"lora_(.)\.", r"lora_\1.mine."), (r"multi_modal_projector\.", "multi_modal_projector.modules_to_save.mine.")),
    ),
    "llava before 4.52": (
        "finer-mini",
        renamed(
            (LANGUAGE, "base_model.model.language_model.model."),
            (r"model\.model\.vision_tower\.", "model.vision_tower.vision_model."),
            (r"model\.model\.multi_modal_projector", "model.multi_modal_projector"),
        ),
    ),
    "qwen2.5 before 4.52": (
        "qwen2.5-vl",
        renamed((LANGUAGE, "base_model.model.model."), (r"model\.model\.visual", "model.visual")),
    ),
    "llava-next before 4.52": (
        "llava-next",
        renamed(
            (LANGUAGE, "base_model.model.language_model.model."),
            (r"model\.model\.(vision_tower|multi_modal)", r"model.\1"),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_an_adapter_in_older_names_does_what_it_did(form: str, folders: Any, tmp_path: Path) -> None:
    name, change = FORMS[form]
    folder = folders(name)
    today = logits(folder, str(folder / "adapter"))
    torch.testing.assert_close(logits(folder, altered(folder, tmp_path / "a", change)), today)
    assert not torch.allclose(logits(folder), today, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("finer-mini", "model.language_model"),
        ("qwen3-vl", "model.language_model"),
        ("idefics3", "model.text_model"),
        ("blip-2", "language_model.model"),
        ("instructblip", "language_model.model"),
    ],
)
def test_an_adapter_of_a_trainer_of_text_alone(name: str, language: str, folders: Any, tmp_path: Path) -> None:
    """The keys of the vision tower and the projector are absent, although the config lists their modules."""

    def language_alone(tensors: Tensors) -> Tensors:
        return {key: tensor for key, tensor in tensors.items() if language in key and "lora_" in key}

    folder = folders(name) if name != "idefics3" else None
    if folder is None:
        folder = tmp_path
        tiny_models.save(name, folder / "model")
        base = AutoModelForImageTextToText.from_pretrained(folder / "model", dtype=torch.float32)
        get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)).save_pretrained(
            folder / "adapter"
        )
    today = altered(folder, tmp_path / "today", language_alone, modules_to_save=None)
    text = altered(
        folder,
        tmp_path / "text",
        lambda tensors: renamed((rf"model\.{re.escape(language)}\.", "model.model."))(language_alone(tensors)),
        modules_to_save=None,
    )
    torch.testing.assert_close(logits(folder, text), logits(folder, today))
    assert not torch.allclose(logits(folder), logits(folder, today), atol=1e-3)


def test_the_projector_of_the_authors_llava_is_applied(folders: Any, tmp_path: Path) -> None:
    folder = folders("finer-mini")
    is_projector = re.compile("multi_modal_projector")
    adapter = Path(
        altered(
            folder,
            tmp_path / "llava",
            lambda tensors: {
                key.replace("model.model.language_model", "model.model"): t for key, t in tensors.items() if "language" in key
            },
            modules_to_save=None,
        )
    )
    plain = logits(folder, str(adapter))
    whole = load_file(folder / "adapter" / WEIGHTS)
    beside = {
        re.sub(r"multi_modal_projector\.linear_(\d)", lambda m: f"mm_projector.{2 * int(m[1]) - 2}", key): tensor
        for key, tensor in whole.items()
        if is_projector.search(key)
    }
    torch.save(beside, adapter / "non_lora_trainables.bin")
    today = altered(
        folder,
        tmp_path / "today",
        lambda tensors: {key: tensor for key, tensor in tensors.items() if "vision_tower" not in key},
    )
    torch.testing.assert_close(logits(folder, str(adapter)), logits(folder, today))
    assert not torch.allclose(logits(folder, str(adapter)), plain, atol=1e-3)
    torch.save(beside | {"model.vision_tower.unknown.weight": torch.zeros(2)}, adapter / "non_lora_trainables.bin")
    with pytest.raises(ModelError, match=r"belong nowhere in it, for example model\.vision_tower\.unknown\.weight"):
        logits(folder, str(adapter))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without(pattern: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if not re.search(pattern, key)}


def with_nan(tensors: Tensors) -> Tensors:
    key = next(key for key in sorted(tensors) if "lora_B" in key)
    return tensors | {key: tensors[key] * float("nan")}


REFUSED = {
    "none lands": (
        renamed((r"layers", "blocks")),
        r"32 of its 36 tensors belong nowhere in it, for example base_model\.model\.model\.language_model\.blocks\.0\.self_attn\.q_proj"
        r"\.lora_A\.weight \(nearest in the model: model\.language_model\.layers\.0\.self_attn\.q_proj\)",
    ),
    "half lands": (renamed((r"layers\.([23])", r"layers.1\1")), r"16 of its 36 tensors belong nowhere in it"),
    "two on one": (lambda t: t | {"module." + k: v.clone() for k, v in t.items()}, r"36 of its 72 tensors belong nowhere in it"),
    "another size": (lambda t: {k: torch.cat([v, v], -1) for k, v in t.items()}, r"not an adapter of this model: .*size mismatch for"),
    "no projector": (
        without("projector"),
        r"lists modules_to_save=multi_modal_projector, but its weights hold no \S+multi_modal_projector\.linear_1\.",
    ),
    "half a layer": (without(r"0\.self_attn\.q_proj\.lora_B"), r"2 tensors are not in its file, for example \S+0\.self_attn\.q_proj\.lora_B"),
    "not finite": (with_nan, r"1 tensors hold numbers that are not finite, for example \S+lora_B"),
    "integers": (
        lambda t: {k: v.to(torch.int8) if "lora_" in k else v for k, v in t.items()},
        r"32 tensors hold integers, for example \S+lora_A\.weight \(torch\.int8\)",
    ),
    "empty": (lambda t: {}, r"holds no tensor"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_with_the_names_of_both_sides(case: str, folders: Any, tmp_path: Path) -> None:
    change, message = REFUSED[case]
    folder = folders("finer-mini")
    adapter = altered(folder, tmp_path / "adapter", change)
    with pytest.raises(ModelError, match=message):
        load_model(LoadOptions(str(folder / "model"), peft=adapter), CPU)
    with pytest.raises(ModelError, match=message):
        merge_adapter(Path(adapter), tmp_path / "merged", str(folder / "model"))
    assert not (tmp_path / "merged").exists()


OLD_NAME, NEW_NAME = "language_model.model.layers.0.self_attn.q_proj", "model.language_model.layers.0.self_attn.q_proj"


def test_scales_of_single_modules_hold_under_older_names(folders: Any, tmp_path: Path) -> None:
    folder, older = folders("finer-mini"), FORMS["llava before 4.52"][1]
    today = altered(folder, tmp_path / "today", lambda tensors: tensors, alpha_pattern={NEW_NAME: 500})
    before = altered(folder, tmp_path / "before", older, alpha_pattern={OLD_NAME: 500})
    scaled = logits(folder, today)
    assert not torch.allclose(scaled, logits(folder, str(folder / "adapter")), atol=1e-3)
    torch.testing.assert_close(logits(folder, before), scaled)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"alpha_pattern": {"blocks.0.q_proj": 500}}, r"alpha_pattern .* is for 'blocks\.0\.q_proj', which is no part of this model"),
        ({"rank_pattern": {"(": 2}}, r"rank_pattern .* is for '\('"),
        ({"r": None}, "holds a value that peft cannot use .TypeError"),
        ({"lora_alpha": "16"}, "holds a value that peft cannot use .TypeError"),
        ({"lora_alpha": float("nan")}, "has the scale nan for lora_alpha, which is no number"),
        ({"megatron_config": {"a": 1}}, "holds a value that peft cannot use .ModuleNotFoundError"),
        ({"base_model_name_or_path": 5}, "has base_model_name_or_path=5. Give the base's name there"),
        ({"alora_invocation_tokens": [1, 2]}, "works only behind those tokens, .* the base would be scored"),
    ],
)  # fmt: skip
def test_a_value_of_an_adapter_that_cannot_hold_is_named(value: Any, message: str, folders: Any, tmp_path: Path) -> None:
    folder = folders("finer-mini")
    adapter = altered(folder, tmp_path / "adapter", lambda tensors: tensors, **value)
    with pytest.raises(ModelError, match=message):
        load_model(LoadOptions(str(folder / "model"), peft=adapter), CPU)


@pytest.mark.parametrize("file", [WEIGHTS, "adapter_config.json"])
def test_a_damaged_adapter_is_one_line(file: str, folders: Any, tmp_path: Path) -> None:
    adapter = Path(altered(folders("finer-mini"), tmp_path / "adapter", lambda tensors: tensors))
    cut(adapter / file)
    with pytest.raises(ModelError, match="not an adapter that can be read") as caught:
        merge_adapter(adapter, tmp_path / "merged", "finer-mini")
    assert "\n" not in str(caught.value)


def test_another_kind_of_adapter_is_attached_or_refused(folders: Any, tmp_path: Path) -> None:
    folder = folders("finer-mini")
    base = AutoModelForImageTextToText.from_pretrained(folder / "model", dtype=torch.float32)
    config = IA3Config(target_modules=["q_proj", "down_proj"], feedforward_modules=["down_proj"], init_ia3_weights=False)
    get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    assert not torch.allclose(logits(folder, str(tmp_path / "adapter")), logits(folder), atol=1e-3)
    save_file(renamed(("layers", "blocks"))(load_file(tmp_path / "adapter" / WEIGHTS)), tmp_path / "adapter" / WEIGHTS)
    with pytest.raises(ModelError, match="belong nowhere in it"):
        logits(folder, str(tmp_path / "adapter"))


def test_added_tokens_come_with_their_embeddings(folders: Any, tmp_path: Path) -> None:
    folder = folders("finer-mini")
    base = AutoModelForImageTextToText.from_pretrained(folder / "model", dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder / "model")
    processor.tokenizer.add_tokens(["<beak>", "<tail>"])
    base.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
    tuned = get_peft_model(base, LoraConfig(r=2, target_modules=r".*language_model.*q_proj", init_lora_weights=False)).eval()
    tuned.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)
    processor.tokenizer.save_pretrained(tmp_path / "adapter")
    options = LoadOptions(str(folder / "model"), peft=str(tmp_path / "adapter"))
    made = FinerHF(pretrained=options.pretrained, peft=options.peft)
    ids = made.tokenizer("<tail> <beak>", return_tensors="pt")["input_ids"]
    assert int(ids.max()) == len(processor.tokenizer) - 1
    with torch.no_grad():
        torch.testing.assert_close(made.model(input_ids=ids).logits, tuned(input_ids=ids).logits)
        merge_adapter(tmp_path / "adapter", tmp_path / "merged", options.pretrained)
        merged = FinerHF(pretrained=str(tmp_path / "merged"))
        torch.testing.assert_close(merged.model(input_ids=ids).logits, tuned(input_ids=ids).logits, atol=1e-2, rtol=1e-2)
    assert len(merged.tokenizer) == len(processor.tokenizer)
    (tmp_path / "adapter" / WEIGHTS).write_bytes((folder / "adapter" / WEIGHTS).read_bytes())
    with pytest.raises(ModelError, match=r"tokenizer has \d+ tokens, the model embeddings for \d+"):
        FinerHF(pretrained=options.pretrained, peft=options.peft)


def test_a_folder_of_an_adapter_stands_for_its_base_and_itself(folders: Any, tmp_path: Path) -> None:
    folder = folders("finer-mini")
    adapter = altered(folder, tmp_path / "adapter", lambda tensors: tensors, base_model_name_or_path=str(folder / "model"))
    alone = load_model(LoadOptions(adapter), CPU)
    named = load_model(LoadOptions(str(folder / "model"), peft=adapter), CPU)
    assert all(torch.equal(a, b) for a, b in zip(alone.state_dict().values(), named.state_dict().values(), strict=True))
    wrong = altered(folder, tmp_path / "wrong", renamed(("layers", "blocks")), base_model_name_or_path=str(folder / "model"))
    with pytest.raises(ModelError, match="belong nowhere"):
        load_model(LoadOptions(wrong), CPU)


def test_merge_takes_another_base_than_the_named_one_and_keeps_its_dtype(folders: Any, tmp_path: Path) -> None:
    folder = folders("finer-mini")
    adapter = altered(folder, tmp_path / "adapter", lambda tensors: tensors, base_model_name_or_path="/gone/model")
    with pytest.raises(ModelError, match=r"pretrained=/gone/model cannot be loaded.*--base names the base model"):
        merge_adapter(Path(adapter), tmp_path / "merged")
    half = AutoModelForImageTextToText.from_pretrained(folder / "model", dtype=torch.bfloat16)
    shutil.copytree(folder / "model", tmp_path / "half")
    half.save_pretrained(tmp_path / "half")
    merge_adapter(Path(adapter), tmp_path / "merged", str(tmp_path / "half"))
    assert {tensor.dtype for tensor in load_file(tmp_path / "merged/model.safetensors").values()} == {torch.bfloat16}
    merge_adapter(Path(adapter), tmp_path / "full", str(tmp_path / "half"), dtype="float32")
    assert {tensor.dtype for tensor in load_file(tmp_path / "full/model.safetensors").values()} == {torch.float32}


def copied(target: Path, change: Callable[[Tensors], Tensors]) -> str:
    """finer-mini with other tensors."""
    shutil.copytree(MINI, target)
    save_file(change(load_file(target / "model.safetensors")), target / "model.safetensors", metadata={"format": "pt"})
    return str(target)


BASES = {
    "no projector": (without("projector"), r"lack 4 of the model's tensors, for example model\.multi_modal_projector\.linear_1\.bias"),
    "all prefixed": (renamed((r"^", "wrapped.")), r"lack \d+ of .*have no place in it, for example wrapped\."),
    "an adapter in it": (lambda t: t | {"model.language_model.layers.0.self_attn.q_proj.lora_A.weight": torch.zeros(2)}, "hold an adapter"),
    "not finite": (
        lambda t: {k: v * float("inf") if k.endswith("language_model.model.norm.weight") else v for k, v in t.items()},
        r"1 tensors hold numbers that are not finite, for example model\.language_model\.norm\.weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BASES)
def test_a_base_that_is_not_whole_is_refused(case: str, tmp_path: Path) -> None:
    change, message = BASES[case]
    with pytest.raises(ModelError, match=message):
        load_model(LoadOptions(copied(tmp_path / "model", change)), CPU)


def tied() -> tuple[Any, Any]:
    model, processor = tiny_models.llava_next()
    model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = True
    return type(model)(model.config), processor


@pytest.mark.parametrize("name", [*tiny_models.BUILDERS, "tied"])
def test_whole_bases_of_every_architecture_are_taken(name: str, tmp_path: Path) -> None:
    model, processor = tied() if name == "tied" else tiny_models.BUILDERS[name]()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    if name == "tied":
        assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    loaded = FinerHF(pretrained=str(tmp_path))  # its processor puts an image into the prompt as well
    assert all(torch.equal(a, b) for a, b in zip(loaded.model.parameters(), model.parameters(), strict=True))


def write_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "weights cut off": (lambda f: cut(f / "model.safetensors"), "cannot be loaded"),
    "config cut off": (lambda f: cut(f / "config.json"), "cannot be loaded"),
    "tokenizer cut off": (lambda f: cut(f / "tokenizer.json"), "cannot be loaded"),
    "another width": (
        lambda f: write_json(f / "config.json", text_config=json.loads((f / "config.json").read_text())["text_config"] | {"hidden_size": 96}),
        "cannot be loaded",
    ),
    "width as text": (
        lambda f: write_json(f / "config.json", text_config=json.loads((f / "config.json").read_text())["text_config"] | {"hidden_size": "x"}),
        "cannot be loaded",
    ),
    "no patch size": (lambda f: write_json(f / "processor_config.json", patch_size=None), "has no patch_size, the model has 8"),
    "no template": (lambda f: (f / "chat_template.jinja").unlink(), "there is no chat_template.jinja; .*0 <image> tokens"),
    "template of text": (
        lambda f: (f / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'][-1]['text'] }}{% endfor %}"),
        "cannot put an image into a question .*0 <image> tokens",
    ),
    "broken template": (lambda f: (f / "chat_template.jinja").write_text("{% for %}"), "cannot put an image into a question"),
    "list for the tokenizer": (lambda f: (f / "tokenizer_config.json").write_text("[]"), "cannot be loaded: AttributeError"),
    "list for the processor": (lambda f: (f / "processor_config.json").write_text("[]"), "cannot be loaded: AttributeError"),
    "no such dtype": (lambda f: write_json(f / "config.json", dtype="bogus"), "cannot be loaded: AttributeError"),
    "generation cut off": (lambda f: cut(f / "generation_config.json"), "cannot be loaded: .*generation_config.json"),
    "another image token": (lambda f: write_json(f / "config.json", image_token_index=5), "has 5 as the image's token, the processor"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_model_folder_is_one_line_with_its_cause(case: str, tmp_path: Path) -> None:
    change, message = BROKEN[case]
    shutil.copytree(MINI, tmp_path / "model")
    change(tmp_path / "model")
    with pytest.raises(ModelError, match=message) as caught:
        FinerHF(pretrained=str(tmp_path / "model"))
    assert "\n" not in str(caught.value)


def test_weights_without_a_place_are_told(tmp_path: Path) -> None:
    shutil.copytree(MINI, tmp_path / "model")
    text = json.loads((tmp_path / "model/config.json").read_text())["text_config"]
    write_json(tmp_path / "model/config.json", text_config=text | {"num_hidden_layers": text["num_hidden_layers"] - 1})
    told: list[str] = []
    sink = logger.add(told.append, level="WARNING")
    load_model(LoadOptions(str(tmp_path / "model")), CPU)
    logger.remove(sink)
    assert "9 tensors of its weights have no place in the model and are left out" in "".join(told)


def test_a_template_that_only_the_tokenizer_has_is_used(tmp_path: Path) -> None:
    shutil.copytree(MINI, tmp_path / "model")
    template = tmp_path / "model/chat_template.jinja"
    write_json(tmp_path / "model/tokenizer_config.json", chat_template=template.read_text())
    template.unlink()
    question = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]
    ours, whole = (ChatEncoder(load_processor(LoadOptions(str(f)))) for f in (tmp_path / "model", MINI))
    assert ours.render(question) == whole.render(question)
