"""The frozen encoder and language model of an ablation, and the LLaVA that a projector makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from finer_tasks.models.projectors import (
    FinerLlavaConfig,
    FinerLlavaForConditionalGeneration,
    image_tokens,
    token_patch_size,
)
from finer_tasks.training.ablation.plan import AblationPlan, Arm
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


@dataclass(frozen=True)
class Parts:
    """What all arms have in common, frozen."""

    encoder: Encoder
    language: Language

    @property
    def modules(self) -> tuple[Any, Any, Any]:
        """Everything that has weights."""
        return self.encoder.module, self.language.module, self.language.head


def load_parts(plan: AblationPlan) -> Parts:
    """Those that a plan names; raises TrainingError or ModelError."""
    if plan.llava:
        parts = Parts(*parts_of_llava("llava", plan.llava))
    else:
        folders = plan.folders
        assert folders is not None  # the plan has one of the two
        encoder = encoder_from_folder(
            "folders.encoder", folders.encoder, folders.image_size, folders.image_mean, folders.image_std
        )
        parts = Parts(encoder, language_from_folder("folders.language_model", folders.language_model))
    for part in parts.modules:
        part.requires_grad_(False).eval()
    return parts


def assemble(parts: Parts, plan: AblationPlan, arm: Arm, seed: int) -> tuple[Any, Any]:
    """A LLaVA of the frozen parts with a new projector, and its processor."""
    config = _config(parts, plan, arm)
    torch.manual_seed(seed)
    model: Any = FinerLlavaForConditionalGeneration(config)
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    patch_size = token_patch_size(config, parts.encoder.image_size, parts.encoder.patch_size)
    processor = join(model, parts.encoder, parts.language, patch_size)
    return model.eval(), processor


def require_fitting(parts: Parts, plan: AblationPlan) -> None:
    """Raise TrainingError or ModelError where an arm of the plan cannot be made of these parts."""
    size = parts.encoder.image_size
    with torch.no_grad():
        states = parts.encoder.module(pixel_values=torch.zeros(1, 3, size, size), output_hidden_states=True).hidden_states
    patches = parts.encoder.patches
    if states[-1].shape[1] != patches + int(parts.encoder.has_class_token):
        raise TrainingError(
            f"the encoder makes {states[-1].shape[1]} tokens of an image, and not one of each of its {patches} patches"
            f"{' and one of the whole' if parts.encoder.has_class_token else ''}. Give encoder and language model as folders"
        )
    least, most = -len(states), len(states) - 1
    for arm in plan.arms:
        for layer in plan.layers_of(arm):
            if not least <= layer <= most:
                raise TrainingError(f"layer {layer} of {arm}: the encoder has {most} layers; give {least} to {most}")
        token_patch_size(_config(parts, plan, arm), size, parts.encoder.patch_size)


def _config(parts: Parts, plan: AblationPlan, arm: Arm) -> FinerLlavaConfig:
    layers = plan.layers_of(arm)
    config = FinerLlavaConfig(
        projector="mlp2" if arm == "mlp2_layers" else arm,
        projector_queries=plan.queries,
        vision_feature_layer=list(layers) if len(layers) > 1 else layers[0],
        **settings_of(parts.encoder, parts.language),
    )
    config.image_seq_length = image_tokens(config, parts.encoder.patches)
    return config
