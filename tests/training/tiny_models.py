"""Other architectures at a size for tests, random weights, saved with processors made here."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers as hf

from finer_tasks.models.loading import BUILT_IN
from tests.tiny_bert import tiny_bert

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32}
# ChatML, as Qwen and InternVL write it; {image} is what stands for an image.
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# The form of Idefics3, which closes turns with a token of its own.
USER_ASSISTANT = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def _tokenizer(extra: Mapping[str, str], more: tuple[str, ...] = (), eos: str | None = None) -> Any:
    path = BUILT_IN["finer-mini"]
    plain = hf.AutoTokenizer.from_pretrained(path)
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=plain.backend_tokenizer,
        bos_token=plain.bos_token,
        eos_token=eos or plain.eos_token,
        pad_token=plain.pad_token,
        extra_special_tokens=dict(extra),
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(more)} if more else {})
    return tokenizer


def _clip(**more: Any) -> Any:
    return hf.CLIPVisionConfig(**VISION, patch_size=8, **more)


def _llama(tokenizer: Any, **more: Any) -> Any:
    return hf.LlamaConfig(
        vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, **TEXT, **more
    )


def _qwen2(tokenizer: Any) -> Any:
    return hf.Qwen2Config(vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, **TEXT)


def _chat_template() -> str:
    return str(hf.AutoProcessor.from_pretrained(BUILT_IN["finer-mini"]).chat_template)


def llava_next() -> tuple[Any, Any]:
    tokenizer = _tokenizer({"image_token": "<image>"})
    image = hf.LlavaNextImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_grid_pinpoints=[[32, 64], [64, 32], [64, 64]]
    )
    processor = hf.LlavaNextProcessor(
        image, tokenizer, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=_chat_template(),
    )  # fmt: skip
    config = hf.LlavaNextConfig(
        vision_config=_clip(), text_config=_llama(tokenizer), image_token_index=tokenizer.image_token_id,
        image_grid_pinpoints=[[32, 64], [64, 32], [64, 64]], vision_feature_layer=-1,
    )  # fmt: skip
    return hf.LlavaNextForConditionalGeneration(config), processor


def llava_onevision() -> tuple[Any, Any]:
    tokenizer = _tokenizer(
        {"image_token": "<image>", "video_token": "<video>"}, ("<|im_start|>", "<|im_end|>"), eos="<|im_end|>"
    )
    pinpoints = [[32, 32], [32, 64], [64, 32], [64, 64]]
    image = hf.LlavaOnevisionImageProcessor(size={"height": 32, "width": 32}, image_grid_pinpoints=pinpoints)
    processor = hf.LlavaOnevisionProcessor(
        image, tokenizer, hf.LlavaOnevisionVideoProcessor(size={"height": 32, "width": 32}), num_image_tokens=16,
        vision_feature_select_strategy="full", chat_template=CHATML.replace("IMAGE", "<image>\n"),
    )  # fmt: skip
    config = hf.LlavaOnevisionConfig(
        vision_config=hf.SiglipVisionConfig(**VISION, patch_size=8), text_config=_qwen2(tokenizer),
        image_token_index=tokenizer.image_token_id, video_token_index=tokenizer.video_token_id,
        image_grid_pinpoints=pinpoints, vision_feature_layer=-1,
    )  # fmt: skip
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def _qwen_tokenizer() -> Any:
    return _tokenizer(
        {
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "vision_bos_token": "<|vision_start|>",
            "vision_eos_token": "<|vision_end|>",
        },
        ("<|im_start|>", "<|im_end|>"),
        eos="<|im_end|>",
    )


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    return {
        "image_token_id": tokenizer.image_token_id,
        "video_token_id": tokenizer.video_token_id,
        "vision_start_token_id": tokenizer.vision_bos_token_id,
        "vision_end_token_id": tokenizer.vision_eos_token_id,
    }


def qwen2_5_vl() -> tuple[Any, Any]:
    tokenizer = _qwen_tokenizer()
    image = hf.Qwen2VLImageProcessor(patch_size=8, merge_size=2, size={"shortest_edge": 256, "longest_edge": 4096})
    processor = hf.Qwen2_5_VLProcessor(
        image,
        tokenizer,
        hf.Qwen2VLVideoProcessor(patch_size=8),
        chat_template=CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "num_heads": 4,
        "intermediate_size": 64,
        "out_hidden_size": 32,
        "patch_size": 8,
        "window_size": 32,
        "fullatt_block_indexes": [1],
    }
    text = {
        **TEXT,
        "vocab_size": len(tokenizer),
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
    }
    config = hf.Qwen2_5_VLConfig(vision_config=vision, text_config=text, **_qwen_ids(tokenizer))
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def qwen3_vl() -> tuple[Any, Any]:
    tokenizer = _qwen_tokenizer()
    image = hf.Qwen2VLImageProcessor(patch_size=8, merge_size=2, size={"shortest_edge": 256, "longest_edge": 4096})
    processor = hf.Qwen3VLProcessor(
        image,
        tokenizer,
        hf.Qwen3VLVideoProcessor(patch_size=8),
        chat_template=CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "num_heads": 4,
        "intermediate_size": 64,
        "out_hidden_size": 32,
        "patch_size": 8,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    text = {
        **TEXT,
        "head_dim": 8,
        "vocab_size": len(tokenizer),
        "rope_parameters": {
            "rope_type": "default",
            "mrope_section": [1, 1, 2],
            "mrope_interleaved": True,
            "rope_theta": 10000.0,
        },
    }
    config = hf.Qwen3VLConfig(vision_config=vision, text_config=text, **_qwen_ids(tokenizer))
    return hf.Qwen3VLForConditionalGeneration(config), processor


def _qformer(config: type) -> Any:
    return config(
        vocab_size=500,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        encoder_hidden_size=32,
        cross_attention_frequency=1,
    )


def blip2() -> tuple[Any, Any]:
    tokenizer = _tokenizer({})
    processor = hf.Blip2Processor(hf.BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer, num_query_tokens=4)
    config = hf.Blip2Config(
        vision_config=hf.Blip2VisionConfig(**VISION, patch_size=8).to_dict(), qformer_config=_qformer(hf.Blip2QFormerConfig).to_dict(),
        text_config=_opt(tokenizer).to_dict(), num_query_tokens=4, image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    return hf.Blip2ForConditionalGeneration(config), processor


def _opt(tokenizer: Any) -> Any:
    return hf.OPTConfig(
        vocab_size=len(tokenizer), hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=32,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip


def instructblip() -> tuple[Any, Any]:
    tokenizer = _tokenizer({})
    processor = hf.InstructBlipProcessor(
        hf.BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer, _bert_tokenizer(), num_query_tokens=4
    )
    config = hf.InstructBlipConfig(
        vision_config=hf.InstructBlipVisionConfig(**VISION, patch_size=8).to_dict(), qformer_config=_qformer(hf.InstructBlipQFormerConfig).to_dict(),
        text_config=_llama(tokenizer).to_dict(), num_query_tokens=4, image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    return hf.InstructBlipForConditionalGeneration(config), processor


def _bert_tokenizer() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        tiny_bert(Path(folder))
        return hf.AutoTokenizer.from_pretrained(folder)


def idefics3() -> tuple[Any, Any]:
    return _idefics(
        hf.Idefics3ImageProcessor,
        hf.Idefics3Processor,
        hf.Idefics3Config,
        hf.Idefics3VisionConfig,
        hf.Idefics3ForConditionalGeneration,
    )


def smolvlm() -> tuple[Any, Any]:
    return _idefics(
        hf.SmolVLMImageProcessor,
        hf.SmolVLMProcessor,
        hf.SmolVLMConfig,
        hf.SmolVLMVisionConfig,
        hf.SmolVLMForConditionalGeneration,
    )


def _idefics(image_type: Any, processor_type: Any, config_type: Any, vision_type: Any, model_type: Any) -> tuple[Any, Any]:
    names = {
        "image_token": "<image>", "fake_image_token": "<fake_token_around_image>", "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }  # fmt: skip
    rows = tuple(f"<row_{r}_col_{c}>" for r in range(1, 7) for c in range(1, 7))
    tokenizer = _tokenizer(names, ("<|im_start|>", *rows), eos="<end_of_utterance>")
    image = image_type(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    more = {} if "Smol" not in processor_type.__name__ else {"video_processor": hf.SmolVLMVideoProcessor()}
    processor = processor_type(image, tokenizer, image_seq_len=4, chat_template=USER_ASSISTANT, **more)
    config = config_type(
        vision_config=vision_type(**VISION, patch_size=8).to_dict(), text_config=_llama(tokenizer).to_dict(),
        image_token_id=tokenizer.image_token_id, scale_factor=2, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return model_type(config), processor


def internvl() -> tuple[Any, Any]:
    tokenizer = _tokenizer(
        {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        ("<|im_start|>", "<|im_end|>"),
        eos="<|im_end|>",
    )
    processor = hf.InternVLProcessor(
        hf.GotOcr2ImageProcessor(size={"height": 32, "width": 32}, crop_to_patches=True, min_patches=1, max_patches=4), tokenizer,
        hf.InternVLVideoProcessor(size={"height": 32, "width": 32}), image_seq_length=4,
        chat_template=CHATML.replace("IMAGE", "<IMG_CONTEXT>\n"),
    )  # fmt: skip
    vision = {**VISION, "image_size": [32, 32], "patch_size": [8, 8]}
    config = hf.InternVLConfig(
        vision_config=vision, text_config=_qwen2(tokenizer).to_dict(), image_token_id=tokenizer.context_image_token_id, image_seq_length=4,
    )  # fmt: skip
    return hf.InternVLForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava-next": llava_next,
    "llava-onevision": llava_onevision,
    "qwen2.5-vl": qwen2_5_vl,
    "qwen3-vl": qwen3_vl,
    "blip-2": blip2,
    "instructblip": instructblip,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "internvl": internvl,
}


def save(name: str, folder: Path) -> None:
    """Build one and write it as a model folder."""
    torch.manual_seed(0)
    model, processor = BUILDERS[name]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
