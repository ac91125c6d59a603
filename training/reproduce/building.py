"""A LLaVA of the parts that a plan names, with a projector that is not trained yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from finer_tasks.models.projectors import (
    CLASS_TOKEN,
    FinerLlavaConfig,
    FinerLlavaForConditionalGeneration,
    token_patch_size,
)
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.parts import (
    Encoder,
    Language,
    encoder_from_folder,
    join,
    language_from_folder,
    parts_of_llava,
    settings_of,
)
from finer_tasks.training.reproduce.dialogues import Subject, vocabulary_texts
from finer_tasks.training.reproduce.plan import Base, EncoderPart, LanguagePart, ProjectorPart
from finer_tasks.training.tiny_llava.model import CHAT_TEMPLATE, VISION, build_image_processor, build_tokenizer, llama_config


def build(base: Base, subjects: Sequence[Subject], seed: int) -> tuple[Any, Any]:
    """Model and processor; what is made here is drawn from the seed. Raises TrainingError or ModelError."""
    encoder, language, projector = base.parts
    torch.manual_seed(seed)
    eye, tongue = _encoder(encoder), _language(language, subjects)
    torch.manual_seed(seed)
    model = _joined(eye, tongue, projector)
    return model, join(model, eye, tongue, _token_patch_size(model.config, eye))


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
    model = LlamaModel(llama_config(tokenizer, part.size.layers, part.size.width, part.size.heads))
    head = torch.nn.Linear(part.size.width, len(tokenizer), bias=False)
    torch.nn.init.normal_(head.weight, std=model.config.initializer_range)
    return Language(model, head, tokenizer, CHAT_TEMPLATE)


def _joined(encoder: Encoder, language: Language, projector: ProjectorPart) -> Any:
    """An untrained LLaVA of stock classes, or one with the projector of a class token."""
    settings = settings_of(encoder, language) | {"image_seq_length": encoder.patches, "vision_feature_layer": -1}
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
