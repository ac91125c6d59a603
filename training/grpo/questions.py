"""The questions that a run asks: about each image of a mixture, at each level and in each way of the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset

from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.datasets.record import dataset_of, parent_level
from finer_tasks.errors import DatasetContentError, PromptError
from finer_tasks.scoring.judge import record_fields
from finer_tasks.tasks.prompts import active_prompt_set
from finer_tasks.tasks.questions import ask
from finer_tasks.training.errors import MixtureError, TrainingError
from finer_tasks.training.grpo.recipe import GrpoRecipe
from finer_tasks.training.tuning.encoding import image_of_row


def questions_of(recipe: GrpoRecipe, card: Mapping[str, Any], mixture: Dataset) -> Dataset:
    """A row for each question: prompt (messages), image (decoded when read), doc, level, and whether the parent was told.

    Of a mixture's conversations only the images are taken, so that what it holds out stays held out. Raises MixtureError where
    the prepared data are not those of the mixture, TrainingError where the prompt set has none of the questions.
    """
    docs = _Documents(card)
    ways = [(level, prompt) for level in recipe.levels for prompt in recipe.prompts if _has(prompt, level)]
    if not ways:
        asked = f"levels={list(recipe.levels)}, prompts={list(recipe.prompts)}"
        raise TrainingError(f"{asked}: the prompt set {active_prompt_set().name!r} has no such question")
    rows = list(_rows(recipe, mixture, docs, ways))
    if not rows:
        raise MixtureError(f"{recipe.mixture} holds no image of a dataset, and so nothing that a reward could be given for")
    return Dataset.from_list(rows).with_transform(partial(_with_images, recipe.mixture / "images"))


def _rows(recipe: GrpoRecipe, mixture: Dataset, docs: _Documents, ways: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    for entry in mixture:
        doc = docs.find(entry["id"])
        if doc is None:  # of the general set, whose answers have no verdict
            continue
        for level, prompt in ways:
            parent = recipe.parent if parent_level(level) else "none"
            yield {
                "prompt": [{"role": "user", "content": ask(doc, prompt, level, parent)}],
                "image": entry["image"],
                "doc": record_fields(doc),
                "level": level,
                "told": parent == "gold",
            }


def _has(prompt: str, level: str) -> bool:
    try:
        active_prompt_set().require(prompt, level)
    except PromptError:
        return False
    return True


class _Documents:
    """The records of a mixture's datasets by their ids."""

    def __init__(self, card: Mapping[str, Any]) -> None:
        self._tables, self._places = {}, dict[str, int]()
        for name, made_of in card["data"].items():
            prepared = ensure_prepared(name)
            if prepared.manifest.fingerprint != made_of["fingerprint"]:
                raise MixtureError(
                    f"the prepared data of {name} are not those that the mixture {card['name']} was made of. Build it again: "
                    "finer mixture build RECIPE --overwrite"
                )
            self._tables[name] = table = prepared.tables()["train"]
            self._places |= {identity: place for place, identity in enumerate(table["id"])}

    def find(self, identity: str) -> Mapping[str, Any] | None:
        """The record of an id, None where it is of no dataset."""
        place = self._places.get(identity)
        return None if place is None else self._tables[dataset_of(identity)][place]


def _with_images(images: Path, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Rows with their images decoded; the message under "error" where one cannot be, for a worker would wrap it."""
    if "image" not in batch:  # a column is read by itself
        return batch
    found: dict[str, list[Any]] = {**batch, "image": [], "error": []}
    for path in batch["image"]:
        image, error = None, ""
        try:
            image = image_of_row(images, path)
        except DatasetContentError as broken:
            error = str(broken)
        found["image"].append(image)
        found["error"].append(error)
    return found
