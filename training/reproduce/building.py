"""A LLaVA of the parts that a plan names, with a projector that is not trained yet."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from finer_tasks.models.projectors import (
    CLASS_TOKEN,
    FinerLlavaConfig,
    FinerLlavaForConditionalGeneration,
    token_patch_size,
)
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.parts import (
    IMAGE,
    Encoder,
    Language,
    encoder_from_folder,
    language_from_folder,
    parts_of_llava,
)
from finer_tasks.training.reproduce.dialogues import Subject, vocabulary_texts
from finer_tasks.training.reproduce.plan import Base, EncoderPart, LanguagePart, ProjectorPart, Size
from finer_tasks.training.tiny_llava.model import CHAT_TEMPLATE, VISION, build_image_processor, build_tokenizer


def build(base: Base, subjects: Sequence[Subject], seed: int) -> tuple[Any, Any]:
    """Model and processor; what is made here is drawn from the seed. Raises TrainingError or ModelError."""
    encoder, language, projector = base.parts
    torch.manual_seed(seed)
    eye, tongue = _encoder(encoder), _language(language, subjects)
    torch.manual_seed(seed)
    model = _joined(eye, tongue, projector)
    model.model.vision_tower, model.model.language_model, model.lm_head = eye.module, tongue.module, tongue.head
    model.generation_config.pad_token_id = tongue.tokenizer.pad_token_id
    model.generation_config.eos_token_id = tongue.tokenizer.eos_token_id
    processor = LlavaProcessor(
        image_processor=eye.image_processor,
        tokenizer=tongue.tokenizer,
        patch_size=_token_patch_size(model.config, eye),
        vision_feature_select_strategy=model.config.vision_feature_select_strategy,
        num_additional_image_tokens=int(model.config.vision_feature_select_strategy == "default"),
        chat_template=tongue.chat_template,
    )
    return model, processor


def _encoder(part: EncoderPart) -> Encoder:
    if part.llava:
        return parts_of_llava("base.encoder.llava", part.llava)[0]
    if part.folder:
        return encoder_from_folder("base.encoder.folder", part.folder, part.image_size, part.image_mean, part.image_std)
    return Encoder(CLIPVisionModel(CLIPVisionConfig(**VISION)), build_image_processor(), VISION["image_size"], True)


def _language(part: LanguagePart, subjects: Sequence[Subject]) -> Language:
    if part.llava:
        return parts_of_llava("base.language.llava", part.llava)[1]
    if part.folder:
        return language_from_folder("base.language.folder", part.folder)
    assert part.size is not None  # the plan names one of the three
    tokenizer = build_tokenizer(vocabulary_texts(subjects, part.told), part.size.vocabulary)
    model = LlamaModel(_llama(part.size, tokenizer))
    head = torch.nn.Linear(part.size.width, len(tokenizer), bias=False)
    torch.nn.init.normal_(head.weight, std=model.config.initializer_range)
    return Language(model, head, tokenizer, CHAT_TEMPLATE)


def _llama(size: Size, tokenizer: Any) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=8 * size.width // 3,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=1024,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,
    )


def _joined(encoder: Encoder, language: Language, projector: ProjectorPart) -> Any:
    """An untrained LLaVA of stock classes, or one with the projector of a class token."""
    text_config = copy.deepcopy(language.module.config)
    text_config.tie_word_embeddings = False
    settings: dict[str, Any] = {
        "vision_config": copy.deepcopy(encoder.module.config),
        "text_config": text_config,
        "image_token_id": language.tokenizer.convert_tokens_to_ids(IMAGE),
        "image_seq_length": encoder.patches,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default" if encoder.has_class_token else "full",
        "pad_token_id": language.tokenizer.pad_token_id,
        "eos_token_id": language.tokenizer.eos_token_id,
        "tie_word_embeddings": False,
    }
    if projector.form == "patches":
        return LlavaForConditionalGeneration(LlavaConfig(**settings))
    if not encoder.has_class_token:
        raise TrainingError("base.projector.form=class_token: the encoder has no token of the whole image. Give patches")
    settings |= {"image_seq_length": projector.tokens, "vision_feature_select_strategy": "full"}
    config = FinerLlavaConfig(projector=CLASS_TOKEN, projector_queries=projector.tokens, **settings)
    return FinerLlavaForConditionalGeneration(config)


def _token_patch_size(config: Any, encoder: Encoder) -> int:
    """The patch size by which the processor counts image tokens."""
    if isinstance(config, FinerLlavaConfig):
        return token_patch_size(config, encoder.image_size, encoder.patch_size)
    return encoder.patch_size
