"""The parts that a LLaVA is built of: a vision encoder and a language model, from folders of their own or out of a LLaVA."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoImageProcessor, AutoModel, AutoModelForCausalLM, AutoTokenizer, CLIPImageProcessor, LlavaProcessor

from finer_tasks.errors import in_one_line
from finer_tasks.models.loading import LoadOptions, load_model, load_processor, resolve
from finer_tasks.models.projectors import LLAVA, MODEL_TYPE
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tiny_llava.model import CHAT_TEMPLATE

IMAGE = "<image>"
Scaling = tuple[float, float, float]


@dataclass(frozen=True)
class Encoder:
    """A vision encoder with its image processor, for square images of `image_size` pixels.

    `has_class_token`: whether its first token stands for the whole image.
    """

    module: Any
    image_processor: Any
    image_size: int
    has_class_token: bool

    @property
    def patch_size(self) -> int:
        """Pixels along a patch."""
        return int(self.module.config.patch_size)

    @property
    def patches(self) -> int:
        """Patches of an image."""
        return (self.image_size // self.patch_size) ** 2


@dataclass(frozen=True)
class Language:
    """A language model without its output layer, that layer, and a tokenizer with an image token."""

    module: Any
    head: Any
    tokenizer: Any
    chat_template: str


def parts_of_llava(key: str, name: str) -> tuple[Encoder, Language]:
    """Those of a LLaVA; raises TrainingError for another architecture, naming the plan's key, or ModelError."""
    options = LoadOptions(name)
    model, processor = load_model(options, torch.device("cpu")), load_processor(options)
    if model.config.model_type not in (LLAVA, MODEL_TYPE):
        raise TrainingError(
            f"{key}={name} is a {model.config.model_type}; give a LLaVA, or its encoder and language model as folders"
        )
    inner, image_processor = model.model, processor.image_processor
    has_class_token = model.config.vision_feature_select_strategy == "default"
    encoder = Encoder(inner.vision_tower, image_processor, _side_of(image_processor, f"{key}={name}"), has_class_token)
    return encoder, Language(inner.language_model, model.lm_head, processor.tokenizer, processor.chat_template)


def encoder_from_folder(
    key: str, name: str, image_size: int, mean: Scaling | None = None, spread: Scaling | None = None
) -> Encoder:
    """A vision encoder of transformers by folder or hub name; raises TrainingError, naming the plan's key.

    mean, spread: by which it wants its pixels scaled, where its folder has no image processor that says so.
    """
    encoder = _loaded(key, name, AutoModel)
    encoder = getattr(encoder, "vision_model", encoder)  # of a CLIP or SigLIP with both towers
    patch = getattr(encoder.config, "patch_size", None)
    if not isinstance(patch, int):
        raise TrainingError(
            f"{key}={name} is a {encoder.config.model_type}, which cuts no image into square patches; "
            "give a vision transformer, such as CLIP, SigLIP or DINOv2"
        )
    if image_size % patch:
        raise TrainingError(
            f"image_size={image_size}: the encoder {name} has patches of {patch} pixels, which do not divide it"
        )
    image_processor = _image_processor(key, name, image_size, mean, spread)
    with torch.no_grad():
        tokens = encoder(torch.zeros(1, 3, image_size, image_size)).last_hidden_state.shape[1]
    count = tokens - (image_size // patch) ** 2
    if count not in (0, 1):
        raise TrainingError(f"{key}={name} has {count} tokens beside its patches; LLaVA takes one or none")
    return Encoder(encoder, image_processor, image_size, bool(count))


def language_from_folder(key: str, name: str) -> Language:
    """A language model of transformers by folder or hub name, with a token for images; raises TrainingError, naming the key."""
    causal = _loaded(key, name, AutoModelForCausalLM)
    if not hasattr(causal, "model") or not hasattr(causal, "lm_head"):
        raise TrainingError(
            f"{key}={name} is a {causal.config.model_type}, and not built as Llama, Qwen2 and Mistral are; "
            "give such a language model"
        )
    tokenizer = _loaded(key, name, AutoTokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    tokenizer.image_token = IMAGE
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    if len(tokenizer) > causal.get_input_embeddings().num_embeddings:
        causal.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    head = torch.nn.Linear(causal.config.hidden_size, len(causal.lm_head.weight), bias=False)
    head.weight.data.copy_(causal.lm_head.weight.data)
    return Language(causal.model, head, tokenizer, CHAT_TEMPLATE)


def settings_of(encoder: Encoder, language: Language) -> dict[str, Any]:
    """What the configuration of any LLaVA of these parts says, whatever its projector."""
    text_config = copy.deepcopy(language.module.config)
    text_config.tie_word_embeddings = False
    return {
        "vision_config": copy.deepcopy(encoder.module.config),
        "text_config": text_config,
        "image_token_id": language.tokenizer.convert_tokens_to_ids(IMAGE),
        "vision_feature_select_strategy": "default" if encoder.has_class_token else "full",
        "pad_token_id": language.tokenizer.pad_token_id,
        "eos_token_id": language.tokenizer.eos_token_id,
        "tie_word_embeddings": False,
    }


def join(model: Any, encoder: Encoder, language: Language, patch_size: int) -> LlavaProcessor:
    """Put the parts into a LLaVA made by such a configuration; returns its processor.

    patch_size: by which the processor counts image tokens.
    """
    model.model.vision_tower, model.model.language_model, model.lm_head = encoder.module, language.module, language.head
    model.generation_config.pad_token_id = language.tokenizer.pad_token_id
    model.generation_config.eos_token_id = language.tokenizer.eos_token_id
    strategy = model.config.vision_feature_select_strategy
    return LlavaProcessor(
        image_processor=encoder.image_processor,
        tokenizer=language.tokenizer,
        patch_size=patch_size,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=int(strategy == "default"),
        chat_template=language.chat_template,
    )


def _image_processor(key: str, name: str, size: int, mean: Scaling | None, spread: Scaling | None) -> Any:
    """The encoder's own, or one of the mean and spread given, for square images of the size asked for."""
    if mean and spread:
        found: Any = CLIPImageProcessor(image_mean=list(mean), image_std=list(spread))
    else:
        found = _loaded(key, name, AutoImageProcessor, " with an image processor, or image_mean and image_std")
    found.size, found.crop_size, found.do_center_crop = {"shortest_edge": size}, {"height": size, "width": size}, True
    return found


def _side_of(image_processor: Any, named: str) -> int:
    """Pixels along the square images that a processor makes."""
    for found in (getattr(image_processor, "crop_size", None), image_processor.size):
        if found and "height" in found and found["height"] and found["height"] == found["width"]:
            return int(found["height"])
    raise TrainingError(f"{named}: its image processor makes no square images. Give encoder and language model as folders")


def _loaded(key: str, name: str, automatic: Any, needing: str = "") -> Any:
    try:
        loading = {} if automatic in (AutoTokenizer, AutoImageProcessor) else {"dtype": torch.float32}
        return automatic.from_pretrained(resolve(name), **loading)
    except Exception as error:  # whatever the files of a model can be wrong in
        raise TrainingError(
            f"{key}={name} cannot be loaded: {in_one_line(error)}. Give a folder of transformers{needing}"
        ) from error
