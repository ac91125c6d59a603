"""`finer ablate projectors`: projectors between the same frozen encoder and language model, each step kept on disk.

OUTPUT/plan.json          what is done, with what identifies the data and models
OUTPUT/features/          patches of the frozen encoder, float16
OUTPUT/projectors/        weights of each arm, seed and learning rate, and its loss on the images left out
OUTPUT/models/            a LLaVA for each arm and seed with the learning rate chosen, as finer_hf loads it
OUTPUT/evaluations/       what lmms-eval wrote for each
OUTPUT/probes/            what a linear probe reads after the encoder and after each projector
OUTPUT/report.json, table.md, projectors.png, projectors.svg
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from finer_tasks.datasets.perturb import require_as_published
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.models.fingerprint import weights_fingerprint
from finer_tasks.tasks.table import tasks_by_name
from finer_tasks.training.ablation.assembling import Parts, assemble, load_parts, require_fitting
from finer_tasks.training.ablation.features import Features, load_features
from finer_tasks.training.ablation.plan import AblationPlan, Arm
from finer_tasks.training.ablation.probing import probe
from finer_tasks.training.ablation.report import encoder_probe, projector_probe, write_report
from finer_tasks.training.ablation.teaching import Task, task_of, teach
from finer_tasks.training.claim import claim
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.evaluating import Limits, evaluate
from finer_tasks.training.saving import saving
from finer_tasks.training.tuning.output import versions
from finer_tasks.writing import locked, replacing, write_text

# The folders that hold work: without them, nothing of a plan was done.
_DONE = ("features", "projectors", "models", "evaluations", "probes")


@dataclass(frozen=True)
class Bench:
    """What the arms have in common."""

    plan: AblationPlan
    parts: Parts
    train: Features
    test: Features
    task: Task
    output: Path


def ablate(plan: AblationPlan, output: Path) -> Path:
    """Do what is not done yet of a plan; returns the table. Raises TrainingError if the folder holds another plan."""
    require_as_published("an ablation")
    _require_tasks(plan)
    prepared = ensure_prepared(plan.dataset)
    for split in ("train", "test"):
        prepared.check(split)
    parts = load_parts(plan)
    require_fitting(parts, plan)
    with locked(output):
        sources = asdict(plan.folders) if plan.folders else {"pretrained": plan.llava}
        made_from = {"data": dict(prepared.manifest.contents), "models": weights_fingerprint(sources)}
        claim(asdict(plan) | made_from, output, _DONE)
        train, test = (load_features(parts, prepared, split, plan, output / "features" / split) for split in ("train", "test"))
        bench = Bench(plan, parts, train, test, task_of(plan, train), output)
        for arm in plan.arms:
            _run_arm(bench, arm)
        return write_report(plan, output, parts, versions())


def _require_tasks(plan: AblationPlan) -> None:
    known = tasks_by_name()
    for name in plan.tasks:
        if name not in known or known[name].dataset != plan.dataset:
            raise TrainingError(f"tasks: {name!r} is no single task of {plan.dataset}; `finer tasks` lists them")


def _run_arm(bench: Bench, arm: Arm) -> None:
    plan, output = bench.plan, bench.output
    first = plan.seeds[0]
    losses = {rate: float(_trained(bench, arm, first, rate)["loss"]) for rate in plan.learning_rates}
    rate = best_rate(arm, losses)
    for seed in plan.seeds:
        made = _trained(bench, arm, seed, rate)
        folder = output / "models" / f"{arm}-{seed}"
        if not folder.exists():
            _write_model(bench, arm, seed, rate, made, folder)
        _probe(bench, arm, seed, rate)
        limits = Limits(plan.documents, plan.max_new_tokens)
        evaluate(output / "evaluations" / f"{arm}-{seed}", f"pretrained={folder}", plan.tasks, limits)


def best_rate(arm: Arm, losses: Mapping[float, float]) -> float:
    """The learning rate with the least loss; raises TrainingError where training went astray with all of them."""
    known = {rate: loss for rate, loss in losses.items() if math.isfinite(loss)}
    if not known:
        rates = ", ".join(f"{rate:g}" for rate in losses)
        raise TrainingError(f"{arm}: the loss is no number with any of learning_rates ({rates}). Give smaller ones")
    return min(known, key=lambda rate: known[rate])


def _probe(bench: Bench, arm: Arm, seed: int, rate: float) -> None:
    """Before and after the projector; before it, once for all arms and seeds that take the same layers."""
    layers = bench.plan.layers_of(arm)
    before, after = encoder_probe(bench.output, layers), projector_probe(bench.output, arm, seed)
    if not before.exists():
        write_text(before, json.dumps(probe(torch.nn.Identity(), bench.train, bench.test, layers, bench.plan.seed)))
    if not after.exists():
        model, _ = _assembled(bench, arm, seed, rate)
        projector = model.model.multi_modal_projector
        write_text(after, json.dumps(probe(projector, bench.train, bench.test, layers, bench.plan.seed)))


def _trained(bench: Bench, arm: Arm, seed: int, rate: float) -> Mapping[str, Any]:
    """What is known of a trained projector; trains it if it is not there."""
    place = _weights(bench.output, arm, seed, rate)
    record = place.with_suffix(".json")
    if not record.exists():
        model, processor = assemble(bench.parts, bench.plan, arm, seed)
        loss = teach(bench.task, arm, seed, rate, model, processor)
        projector = model.model.multi_modal_projector
        with saving(place), replacing(place) as fresh:
            save_file({name: tensor.contiguous() for name, tensor in projector.state_dict().items()}, fresh)
        found = {
            "arm": arm,
            "seed": seed,
            "learning_rate": rate,
            "loss": loss,
            "parameters": sum(parameter.numel() for parameter in projector.parameters()),
            "image_tokens": model.config.image_seq_length,
        }
        write_text(record, json.dumps(found) + "\n")
    read: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return read


def _weights(output: Path, arm: Arm, seed: int, rate: float) -> Path:
    return output / "projectors" / f"{arm}-{seed}-{rate:g}.safetensors"


def _assembled(bench: Bench, arm: Arm, seed: int, rate: float) -> tuple[Any, Any]:
    model, processor = assemble(bench.parts, bench.plan, arm, seed)
    model.model.multi_modal_projector.load_state_dict(load_file(_weights(bench.output, arm, seed, rate)))
    return model, processor


def _write_model(bench: Bench, arm: Arm, seed: int, rate: float, made: Mapping[str, Any], folder: Path) -> None:
    model, processor = _assembled(bench, arm, seed, rate)
    with saving(folder), replacing(folder) as fresh:
        model.save_pretrained(fresh)
        processor.save_pretrained(fresh)
        write_text(fresh / "training.json", json.dumps(dict(made)) + "\n")
