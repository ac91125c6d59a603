"""What a finished run leaves: adapter, processor, recipe, figures and a model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from huggingface_hub import ModelCard, ModelCardData

from finer_tasks.errors import ModelError
from finer_tasks.models.adapters import attach, read_adapter, refuse_not_finite
from finer_tasks.models.loading import LoadOptions, load_model, load_processor
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.saving import saving
from finer_tasks.training.tuning.modules import Parts, count_parameters
from finer_tasks.training.tuning.recipe import Run
from finer_tasks.training.tuning.run_folder import FINISHED
from finer_tasks.training.tuning.running import RunTrainer
from finer_tasks.writing import replacing, write_text

PACKAGES = ("finer-tasks", "lmms_eval", "torch", "transformers", "peft", "accelerate")


class Made(Protocol):
    """What a run was made of, whatever it learned from."""

    @property
    def recipe(self) -> Run: ...
    @property
    def card(self) -> dict[str, Any]: ...
    @property
    def processor(self) -> Any: ...
    @property
    def parts(self) -> Parts: ...
    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that made it, beside those of every run."""

    def account(self) -> dict[str, Any]:
        """What was learned from, for the record."""

    def told(self, record: dict[str, Any]) -> str:
        """What a model card says of that and of how it went."""


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """Versions of the packages that made a run."""
    return {name: metadata.version(name) for name in (*PACKAGES, *more)}


def write_output(setup: Made, trainer: RunTrainer, figures: dict[str, float]) -> None:
    """Write everything to the run's folder; training.json, last, marks the run as finished. Raises OutputError."""
    output: Path = setup.recipe.output
    with saving(output):
        _write_adapter(setup, trainer.accelerator.unwrap_model(trainer.model), output)
    record = _record(setup, trainer)
    write_text(output / "recipe.yaml", yaml.safe_dump(record["recipe"], sort_keys=False))
    write_text(output / "README.md", model_card(record, figures, setup.told(record)))
    write_text(output / FINISHED, json.dumps(record, indent=2) + "\n")


def _write_adapter(setup: Made, model: Any, output: Path) -> None:
    fresh = output / ".adapter"
    shutil.rmtree(fresh, ignore_errors=True)  # of a process that was killed; no other is here now
    try:
        model.peft_config["default"].base_model_name_or_path = setup.recipe.model  # as named, no path of this machine
        model.save_pretrained(fresh, save_embedding_layers=False)
        setup.processor.save_pretrained(fresh)
        for path in fresh.iterdir():
            path.replace(output / path.name)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _record(setup: Made, trainer: RunTrainer) -> dict[str, Any]:
    progress = trainer.progress
    progress.tick()
    return {
        "recipe": json.loads(json.dumps(asdict(setup.recipe), default=str)),
        "mixture": {key: setup.card[key] for key in ("name", "hash", "conversations", "data")},
        **setup.account(),
        "steps": trainer.state.global_step,
        "parameters": count_parameters(trainer.accelerator.unwrap_model(trainer.model), setup.parts),
        **trainer.account(),
        "evaluations": {str(step): values for step, values in progress.evaluations.items()},
        "seconds": round(progress.seconds, 1),
        "data_wait_share": round(progress.waited / max(1e-9, progress.seconds), 4),
        "versions": versions(setup.packages),
    }


def model_card(record: dict[str, Any], figures: dict[str, float], told: str) -> str:
    """A model card in the form of the Hugging Face hub."""
    recipe, mixture = record["recipe"], record["mixture"]
    data = ModelCardData(
        base_model=recipe["model"], library_name="peft", pipeline_tag="image-text-to-text", tags=["finer", "lora"]
    )
    rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in sorted(figures.items())) or "| not evaluated | |"
    text = f"""---
{data.to_yaml()}
---

# LoRA adapter on the mixture {mixture["name"]}

Base model `{recipe["model"]}`; rank {recipe["lora"]["rank"]}, alpha {recipe["lora"]["alpha"]}, projector {recipe["projector"]}.
{told}
The whole recipe is in `recipe.yaml`, versions and figures in `training.json`.

    lmms-eval --model finer_hf --model_args pretrained={recipe["model"]},peft=FOLDER --tasks finer_cub --batch_size 8

| task and score | value |
|---|---|
{rows}
"""
    return str(ModelCard(text))


def merge_adapter(adapter: Path, output: Path, base: str | None = None, dtype: str = "auto") -> None:
    """Fold an adapter into its base model and save model and processor to `output`, which must not exist.

    `base` replaces the base that the adapter names, for example one that was moved. The weights keep
    the base's dtype unless another one is given.
    """
    if output.exists():
        raise TrainingError(f"{output} exists; give another --output")
    base = base or read_adapter(str(adapter))[0].base_model_name_or_path
    if not base:
        raise ModelError(f"{adapter} names no base model; give it as --base")
    options = LoadOptions(base, dtype="checkpoint" if dtype == "auto" else dtype)
    try:
        model = load_model(options, torch.device("cpu"))
    except ModelError as error:
        raise ModelError(f"{error}. --base names the base model of {adapter}") from error
    dtypes = {name: parameter.dtype for name, parameter in model.named_parameters()}
    model = attach(model, str(adapter), base).merge_and_unload()
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.to(dtypes[name])  # what was trained in full may be in float32
    refuse_not_finite(f"{adapter} merged into {base} in {model.dtype}", model.named_parameters())
    processor = load_processor(replace(options, peft=str(adapter)))
    with saving(output), replacing(output) as fresh:
        model.save_pretrained(fresh)
        processor.save_pretrained(fresh)
