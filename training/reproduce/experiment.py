"""`finer reproduce mini`: the paper in miniature, stage by stage, each kept on disk so that a stopped run goes on.

OUTPUT/plan.json            what is done; another plan needs another folder
OUTPUT/stages/, base/       the base model after each of its three stages
OUTPUT/mixtures/            finer and direct, the same images
OUTPUT/runs/                one adapter for each mixture and seed
OUTPUT/evaluations/         what lmms-eval wrote for the base model and each adapter
OUTPUT/report.json, table.md, summary.html, summary.png
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from loguru import logger

from finer_tasks.datasets.perturb import require_as_published
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.models.loading import LoadOptions, load_model, load_processor
from finer_tasks.runs.evaluate import run_lmms_eval
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.mixture.build import build_mixture
from finer_tasks.training.mixture.recipe import DatasetShare, HeldOut, MixtureRecipe, Style
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.reproduce.report import write_report
from finer_tasks.training.reproduce.stages import (
    new_model,
    probe,
    train_encoder,
    train_language,
    train_projector,
)
from finer_tasks.training.saving import saving
from finer_tasks.training.tiny_llava.images import Split, load_split
from finer_tasks.training.tuning.output import versions
from finer_tasks.training.tuning.recipe import Lora, TrainRecipe
from finer_tasks.training.tuning.train import train
from finer_tasks.writing import locked, replacing, write_text

STYLES: tuple[Style, ...] = ("finer", "direct")
TUNED_TASKS = ("finer_mini", "finer_mini_fine_attrseek", "finer_mini_fine_text")
BASE_TASKS = (*TUNED_TASKS, "finer_mini_coarse_text")
_BATCH = "64"


def reproduce(plan: Plan, output: Path) -> Path:
    """Do what is not done yet of a plan; returns the HTML summary. Raises TrainingError if the folder holds another plan."""
    require_as_published("a reproduction")
    with locked(output):
        claim(asdict(plan), output)
        ensure_prepared("mini")
        base = make_base(plan, output)
        limits = Limits(plan.documents, plan.max_new_tokens)
        evaluate(output / "evaluations/base", f"pretrained={base}", BASE_TASKS, limits)
        for style in STYLES:
            make_mixture(plan, style, output / "mixtures" / style)
            for seed in plan.tuning_seeds:
                name = f"{style}-{seed}"
                tune(plan, seed, base, output / "mixtures" / style, output / "runs" / name)
                adapter = f"pretrained={base},peft={output / 'runs' / name}"
                evaluate(output / "evaluations" / name, adapter, TUNED_TASKS, limits)
        return write_report(plan, output, versions())


def make_base(plan: Plan, output: Path) -> Path:
    """The base model: vision encoder, then language model, then projector; and what linear probes read from it."""
    base = output / "base"
    if base.exists():
        return base
    split = load_split("train")
    steps: list[tuple[str, Callable[[Any, Any], None]]] = [
        ("stages/vision", lambda model, _: train_encoder(model, split, plan.seed, plan.vision)),
        ("stages/language", lambda model, processor: train_language(model, processor, plan.seed, plan.language)),
        ("base", lambda model, processor: train_projector(model, processor, split, plan.seed, plan.projector)),
    ]
    model, processor = new_model(split, plan.seed)
    for name, step in steps:
        folder = output / name
        if folder.exists():
            options = LoadOptions(str(folder))
            model, processor = load_model(options, torch.device("cpu")), load_processor(options)
            continue
        model.train()
        step(model, processor)
        _save(model.eval(), processor, folder, split if name == "base" else None)
    return base


def _save(model: Any, processor: Any, folder: Path, split: Split | None) -> None:
    with saving(folder), replacing(folder) as fresh:
        fresh.mkdir()
        model.save_pretrained(fresh)
        processor.save_pretrained(fresh)
        if split is not None:
            write_text(fresh / "probe.json", json.dumps(probe(model, split, load_split("test"))))


def make_mixture(plan: Plan, style: Style, folder: Path) -> None:
    """One of the two mixtures, from the train split without the held-out superordinate."""
    if folder.exists():
        return
    share: dict[str, DatasetShare | None] = {"mini": DatasetShare(per_concept=plan.per_concept)}
    held_out = HeldOut(superordinates=(plan.held_out,))
    recipe = MixtureRecipe(f"mini-{style}", share, style, plan.detail, seed=plan.seed, held_out=held_out)
    build_mixture(recipe, folder)


def tune(plan: Plan, seed: int, base: Path, mixture: Path, folder: Path) -> None:
    """LoRA on one mixture, through what `finer train` calls."""
    if (folder / "training.json").exists():
        return
    recipe = TrainRecipe(
        model=str(base),
        mixture=mixture,
        output=folder,
        seed=seed,
        lora=Lora(plan.rank, plan.alpha, 0.0),
        learning_rate=plan.learning_rate,
        projector_learning_rate=plan.projector_learning_rate,
        global_batch_size=plan.global_batch_size,
        micro_batch_size=min(16, plan.global_batch_size),
        max_steps=plan.tuning_steps,
        save_every=max(1, plan.tuning_steps // 2),
        max_length=512,
        workers=0,
    )
    if train(recipe).stopped_by is not None:
        raise TrainingError(f"stopped in {folder}; the same command goes on from there")


@dataclass(frozen=True)
class Limits:
    """Of an evaluation: the first documents of each task, and a shorter limit on replies; None for none."""

    documents: int | None
    max_new_tokens: int | None


def evaluate(folder: Path, model_args: str, tasks: tuple[str, ...], limits: Limits) -> None:
    """The plain lmms-eval command on a model; nothing where the folder is there."""
    if folder.exists():
        return
    began = time.monotonic()
    options = ["--gen_kwargs", f"max_new_tokens={limits.max_new_tokens}"] if limits.max_new_tokens else []
    with replacing(folder) as fresh:
        run_lmms_eval(fresh, "finer_hf", model_args, tasks, _BATCH, limits.documents, options)
    logger.info(f"{folder.name} evaluated in {time.monotonic() - began:.0f} s")


def claim(plan: Mapping[str, Any], output: Path) -> None:
    """Write plan.json into a folder that is new, or holds the same plan; raises TrainingError for any other."""
    now, path = json.loads(json.dumps(plan)), output / "plan.json"
    if output.exists() and not output.is_dir():
        raise TrainingError(f"{output} is a file; give another --output")
    if path.exists():
        before = _read_plan(path)
        changed = [key for key in now if before.get(key) != now[key]]
        if changed:
            raise TrainingError(
                f"{output} holds a run with another {changed[0]} ({before.get(changed[0])!r}); give another --output"
            )
    elif output.exists() and any(output.iterdir()):
        raise TrainingError(f"{output} is not empty and holds no run; give another --output")
    write_text(path, json.dumps(now, indent=2) + "\n")


def _read_plan(path: Path) -> dict[str, Any]:
    with suppress(ValueError):
        before = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(before, dict):
            return before
    raise TrainingError(f"{path} is damaged, so that nothing tells what the run was. Give another --output")
