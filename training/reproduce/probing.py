"""What a linear probe reads before and after a base model's projector (Kim & Ji 2024, section 4), as `finer probe` fits it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tqdm import tqdm

from finer_tasks.models.projectors import CLASS_TOKEN, ClassToken
from finer_tasks.probe.controls import held_out
from finer_tasks.probe.fitting import linear_choice
from finer_tasks.training.reproduce.images import Shown, handed_over

PLACES = ENCODER, PROJECTOR = "vision encoder", "projector"
_BATCH = 32


def probe(model: Any, processor: Any, train: Sequence[Shown], test: Sequence[Shown], seed: int) -> dict[str, Any]:
    """Whether the concept of each test image is named at both places, and the concepts of the images.

    From the mean over tokens; where the projector takes the token of the whole image, from what it takes and all it makes.
    """
    number = {name: index for index, name in enumerate(sorted({one.concept for one in train}))}
    labels, truth = (torch.tensor([number[one.concept] for one in part]) for part in (train, test))
    held = torch.from_numpy(held_out([one.concept for one in train], seed))
    fitted, asked = (_pooled(model, processor, part) for part in (train, test))
    found: dict[str, Any] = {"concepts": [one.concept for one in test]}
    for place in PLACES:
        found[place] = (linear_choice(fitted[place], labels, held, asked[place])[0] == truth).tolist()
    return found


@torch.no_grad()
def _pooled(model: Any, processor: Any, shown: Sequence[Shown]) -> dict[str, torch.Tensor]:
    """Features by place, shape (images, width)."""
    rows: dict[str, list[torch.Tensor]] = {}
    whole = getattr(model.config, "projector", None) == CLASS_TOKEN
    for start in tqdm(range(0, len(shown), _BATCH), desc="images for the probe", mininterval=5):
        before = handed_over(model, processor, shown[start : start + _BATCH])
        after = model.model.multi_modal_projector(before)
        pooled = (ClassToken.pooled(before), after.flatten(1)) if whole else (before.mean(1), after.mean(1))
        for place, values in zip(PLACES, pooled, strict=True):
            rows.setdefault(place, []).append(values.float().cpu())
    return {place: torch.cat(parts) for place, parts in rows.items()}
