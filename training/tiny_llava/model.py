"""The architecture of the tiny LLaVA: tokenizer, processor and a model of about 2.9 million weights, not trained yet."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from finer_tasks.datasets.mini import reader as mini

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %} ASSISTANT: {% else %}{% if not loop.first %} {% endif %}USER: {% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)
PATCH_SIZE = 8
VISION: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "image_size": mini.IMAGE_SIZE,
    "patch_size": PATCH_SIZE,
    "projection_dim": 128,
}
IMAGE_TOKENS = (mini.IMAGE_SIZE // PATCH_SIZE) ** 2


def build_tokenizer(texts: list[str], vocabulary: int = 1024) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on texts."""
    texts = texts + ["USER: ASSISTANT:"] * 50
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<pad>", "<s>", "</s>", "<image>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        model_max_length=1024,
    )


def build_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """The processor of the model: 64 x 64 pixel images in 8 x 8 patches, and the chat template."""
    return LlavaProcessor(
        image_processor=build_image_processor(),
        tokenizer=tokenizer,
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_image_processor() -> CLIPImageProcessor:
    """For 64 x 64 pixels, scaled to -1…1."""
    side = mini.IMAGE_SIZE
    return CLIPImageProcessor(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """A randomly initialised LLaVA of about 2.9 million parameters."""
    vision, language = CLIPVisionConfig(**VISION), llama_config(tokenizer, layers=4, width=192, heads=4)
    settings: dict[str, Any] = {
        "image_token_id": tokenizer.convert_tokens_to_ids("<image>"),
        "image_seq_length": IMAGE_TOKENS,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": False,
    }
    config = LlavaConfig(vision_config=vision, text_config=language, **settings)
    model = LlavaForConditionalGeneration(config)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model


def llama_config(tokenizer: PreTrainedTokenizerFast, layers: int, width: int, heads: int) -> LlamaConfig:
    """Of a language model for that tokenizer, whose output layer is its own."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=8 * width // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=1024,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,
    )
