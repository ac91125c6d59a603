"""The frozen encoder and language model of an ablation, and the LLaVA that a projector makes of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    CLIPImageProcessor,
    LlavaProcessor,
)

from finer_tasks.errors import in_one_line
from finer_tasks.models.loading import LoadOptions, load_model, load_processor, resolve
from finer_tasks.models.projectors import (
    MODEL_TYPE,
    FinerLlavaConfig,
    FinerLlavaForConditionalGeneration,
    image_tokens,
    token_patch_size,
)
from finer_tasks.training.ablation.plan import AblationPlan, Arm, Folders
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tiny_llava.model import CHAT_TEMPLATE

IMAGE = "<image>"


@dataclass(frozen=True)
class Parts:
    """Encoder, language model (without and with its output layer), tokenizer with an image token, image processor.

    `has_class_token`: whether the encoder's first token stands for the whole image.
    """

    encoder: Any
    language: Any
    head: Any
    tokenizer: Any
    image_processor: Any
    image_size: int
    has_class_token: bool
    chat_template: str

    @property
    def patch_size(self) -> int:
        """Pixels along a patch."""
        return int(self.encoder.config.patch_size)

    @property
    def patches(self) -> int:
        """Patches of an image."""
        return (self.image_size // self.patch_size) ** 2


def load_parts(plan: AblationPlan) -> Parts:
    """Those that a plan names; raises TrainingError or ModelError."""
    parts = _of_llava(plan.llava) if plan.llava else _from_folders(plan.folders)
    for part in (parts.encoder, parts.language, parts.head):
        part.requires_grad_(False).eval()
    return parts


def assemble(parts: Parts, plan: AblationPlan, arm: Arm, seed: int) -> tuple[Any, Any]:
    """A LLaVA of the frozen parts with a new projector, and its processor."""
    config = _config(parts, plan, arm)
    torch.manual_seed(seed)
    model: Any = FinerLlavaForConditionalGeneration(config)
    model.requires_grad_(False)
    model.model.vision_tower, model.model.language_model, model.lm_head = parts.encoder, parts.language, parts.head
    model.model.multi_modal_projector.requires_grad_(True)
    model.generation_config.pad_token_id = parts.tokenizer.pad_token_id
    model.generation_config.eos_token_id = parts.tokenizer.eos_token_id
    processor = LlavaProcessor(
        image_processor=parts.image_processor,
        tokenizer=parts.tokenizer,
        patch_size=token_patch_size(config, parts.image_size, parts.patch_size),
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=int(parts.has_class_token),
        chat_template=parts.chat_template,
    )
    return model.eval(), processor


def require_fitting(parts: Parts, plan: AblationPlan) -> None:
    """Raise TrainingError or ModelError where an arm of the plan cannot be made of these parts."""
    size = parts.image_size
    with torch.no_grad():
        states = parts.encoder(pixel_values=torch.zeros(1, 3, size, size), output_hidden_states=True).hidden_states
    if states[-1].shape[1] != parts.patches + int(parts.has_class_token):
        raise TrainingError(
            f"the encoder makes {states[-1].shape[1]} tokens of an image, and not one of each of its {parts.patches} patches"
            f"{' and one of the whole' if parts.has_class_token else ''}. Give encoder and language model as folders"
        )
    least, most = -len(states), len(states) - 1
    for arm in plan.arms:
        for layer in plan.layers_of(arm):
            if not least <= layer <= most:
                raise TrainingError(f"layer {layer} of {arm}: the encoder has {most} layers; give {least} to {most}")
        token_patch_size(_config(parts, plan, arm), size, parts.patch_size)


def _config(parts: Parts, plan: AblationPlan, arm: Arm) -> FinerLlavaConfig:
    layers, text_config = plan.layers_of(arm), copy.deepcopy(parts.language.config)
    text_config.tie_word_embeddings = False
    settings: dict[str, Any] = {
        "pad_token_id": parts.tokenizer.pad_token_id,
        "eos_token_id": parts.tokenizer.eos_token_id,
        "tie_word_embeddings": False,
    }
    config = FinerLlavaConfig(
        vision_config=copy.deepcopy(parts.encoder.config),
        text_config=text_config,
        projector="mlp2" if arm == "mlp2_layers" else arm,
        projector_queries=plan.queries,
        vision_feature_layer=list(layers) if len(layers) > 1 else layers[0],
        vision_feature_select_strategy="default" if parts.has_class_token else "full",
        image_token_index=parts.tokenizer.convert_tokens_to_ids(IMAGE),
        **settings,
    )
    config.image_seq_length = image_tokens(config, parts.patches)
    return config


def _of_llava(name: str) -> Parts:
    options = LoadOptions(name)
    model, processor = load_model(options, torch.device("cpu")), load_processor(options)
    if model.config.model_type not in ("llava", MODEL_TYPE):
        raise TrainingError(
            f"llava={name} is a {model.config.model_type}; give a LLaVA, or its encoder and language model as folders"
        )
    inner, image_processor = model.model, processor.image_processor
    has_class_token = model.config.vision_feature_select_strategy == "default"
    return Parts(
        inner.vision_tower, inner.language_model, model.lm_head, processor.tokenizer, image_processor,
        _side_of(image_processor, name),
        has_class_token, processor.chat_template,
    )  # fmt: skip


def _side_of(image_processor: Any, name: str) -> int:
    """Pixels along the square images that a processor makes."""
    for found in (getattr(image_processor, "crop_size", None), image_processor.size):
        if found and "height" in found and found["height"] and found["height"] == found["width"]:
            return int(found["height"])
    raise TrainingError(f"llava={name}: its image processor makes no square images. Give encoder and language model as folders")


def _from_folders(folders: Folders | None) -> Parts:
    assert folders is not None  # the plan has one of the two
    size = folders.image_size
    encoder = _loaded("folders.encoder", folders.encoder, AutoModel)
    encoder = getattr(encoder, "vision_model", encoder)  # of a CLIP or SigLIP with both towers
    patch = getattr(encoder.config, "patch_size", None)
    if not isinstance(patch, int) or size % patch:
        raise TrainingError(
            f"folders.image_size={size}: the encoder {folders.encoder} has patches of {patch} pixels, which do not divide it"
        )
    image_processor = _image_processor(folders)
    with torch.no_grad():
        count = encoder(torch.zeros(1, 3, size, size)).last_hidden_state.shape[1] - (size // patch) ** 2
    if count not in (0, 1):
        raise TrainingError(f"folders.encoder={folders.encoder} has {count} tokens beside its patches; LLaVA takes one or none")
    causal = _loaded("folders.language_model", folders.language_model, AutoModelForCausalLM)
    tokenizer = _loaded("folders.language_model", folders.language_model, AutoTokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    tokenizer.image_token = IMAGE
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    if len(tokenizer) > causal.get_input_embeddings().num_embeddings:
        causal.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    head = torch.nn.Linear(causal.config.hidden_size, len(causal.lm_head.weight), bias=False)
    head.weight.data.copy_(causal.lm_head.weight.data)
    return Parts(encoder, causal.model, head, tokenizer, image_processor, size, bool(count), CHAT_TEMPLATE)


def _image_processor(folders: Folders) -> Any:
    """The encoder's own, or one of the mean and spread given, for square images of the size asked for."""
    if folders.image_mean and folders.image_std:
        found: Any = CLIPImageProcessor(image_mean=list(folders.image_mean), image_std=list(folders.image_std))
    else:
        found = _loaded(
            "folders.encoder", folders.encoder, AutoImageProcessor, " with an image processor, or image_mean and image_std"
        )
    size = folders.image_size
    found.size, found.crop_size, found.do_center_crop = {"shortest_edge": size}, {"height": size, "width": size}, True
    return found


def _loaded(key: str, name: str, automatic: Any, needing: str = "") -> Any:
    try:
        loading = {} if automatic in (AutoTokenizer, AutoImageProcessor) else {"dtype": torch.float32}
        return automatic.from_pretrained(resolve(name), **loading)
    except Exception as error:  # whatever the files of a model can be wrong in
        raise TrainingError(
            f"{key}={name} cannot be loaded: {in_one_line(error)}. Give a folder of transformers{needing}"
        ) from error
