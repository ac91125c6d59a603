"""A LoRA step of `finer train` against a plain Trainer and TRL's SFTTrainer, same model, conversations and batch size.

    python benchmarks/training.py [--architecture small|llava-1.5-7b] [--steps 12] [--batch_size 16] [--workers 2]

`small` is a LLaVA of 43 M weights with a vocabulary of 32,000, for a CPU; `llava-1.5-7b` is that architecture in
bfloat16 with random weights, for a GPU. The others run with their default settings: batches in random order,
logits and loss over every position. SFTTrainer is left out where trl is not installed. The share of a step that the
frozen vision encoder takes, which cached features would save, is measured on the same batches.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from llava import SHAPES, save_llava
from record import save
from transformers import Trainer, TrainerCallback, TrainingArguments

from finer_tasks.training.mixture.build import build_mixture
from finer_tasks.training.mixture.recipe import DatasetShare, MixtureRecipe
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.recipe import Lora, TrainRecipe
from finer_tasks.training.tuning.setup import Setup, prepare_run
from finer_tasks.training.tuning.train import make_trainer

SKIPPED = 2


class Clock(TrainerCallback):
    """The time after each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())

    def seconds(self) -> float:
        """Mean of a step, the first two left out."""
        return (self.times[-1] - self.times[SKIPPED - 1]) / (len(self.times) - SKIPPED)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--architecture", choices=["small", "llava-1.5-7b"], default="small")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        build_mixture(MixtureRecipe("b", {"mini": DatasetShare(per_concept=8)}, near_duplicates="ignore"), root / "mixture")
        save_llava(root / "model", SHAPES[arguments.architecture])
        runs = {"finer": ours, "trainer": plain, "sft": sft}
        found: dict[str, list[float]] = {name: [] for name in runs}
        notes: dict[str, Any] = {}
        for repeat in range(arguments.repeats):  # in turn, so that a drifting machine hits all
            for name, run in runs.items():
                setup = prepare_run(recipe_of(root, arguments, f"{name}-{repeat}"))
                seconds = run(setup, arguments, notes)
                if seconds is not None:
                    found[name].append(seconds)
        share = vision_share(prepare_run(recipe_of(root, arguments, "vision")), arguments.batch_size)
    best = {name: min(values) for name, values in found.items() if values}
    ratios = {
        name: sorted(round(theirs / own, 2) for theirs, own in zip(found[name], found["finer"], strict=True))
        for name in best
        if name != "finer"
    }
    save(
        f"training-{arguments.architecture}",
        {
            "batch_size": arguments.batch_size,
            "workers": arguments.workers,
            "samples_per_second": {name: round(arguments.batch_size / seconds, 1) for name, seconds in best.items()},
            "ratios": ratios,
            "vision_encoder_share_of_step": round(share, 3),
            **notes,
        },
    )


def recipe_of(root: Path, arguments: argparse.Namespace, name: str) -> TrainRecipe:
    """The recipe of a run; rank and targets are the same for all."""
    big = arguments.architecture != "small"
    return TrainRecipe(
        str(root / "model"), root / "mixture", root / name, lora=Lora(128 if big else 16, 256 if big else 32, 0.0),
        projector="frozen", dtype="bfloat16" if big else "float32", gradient_checkpointing=big,
        global_batch_size=arguments.batch_size, micro_batch_size=arguments.batch_size, max_steps=arguments.steps,
        workers=arguments.workers, save_every=10_000, log_every=10_000,
    )  # fmt: skip


def ours(setup: Setup, arguments: argparse.Namespace, notes: dict[str, Any]) -> float:
    """`finer train`'s trainer."""
    trainer, clock = make_trainer(setup, Progress()), Clock()
    trainer.add_callback(clock)
    began = time.perf_counter()
    trainer.train()
    elapsed = time.perf_counter() - began
    notes["data_wait_share"] = round(trainer.progress.waited / elapsed, 4)
    if trainer.meter.peak:
        lengths = setup.lengths[: arguments.batch_size]
        flops = trainer.meter.cost.flops(int(lengths.sum()), int((lengths**2).sum()))
        notes["mfu"] = round(flops / clock.seconds() / trainer.meter.peak, 3)
    return clock.seconds()


def plain(setup: Setup, arguments: argparse.Namespace, _: dict[str, Any]) -> float:
    """transformers' Trainer as it comes, with labels on everything but padding and the image."""

    def collate(rows: list[Any]) -> dict[str, Any]:
        batch = setup.encoder.encode(rows)
        batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        return batch

    clock = Clock()
    Trainer(setup.model, defaults(setup, arguments), collate, setup.dataset, callbacks=[clock]).train()
    return clock.seconds()


def sft(setup: Setup, arguments: argparse.Namespace, notes: dict[str, Any]) -> float | None:
    """TRL's SFTTrainer as it comes, on the same conversations as messages with images."""
    try:
        from trl import SFTConfig, SFTTrainer
    except ImportError:
        notes["trl"] = "not installed"
        return None
    from importlib import metadata

    notes["trl"] = metadata.version("trl")
    config = SFTConfig(**{**defaults(setup, arguments).to_dict(), "max_length": None})
    clock = Clock()
    rows = as_messages(setup)
    SFTTrainer(setup.model, config, train_dataset=rows, processing_class=setup.processor, callbacks=[clock]).train()
    return clock.seconds()


def defaults(setup: Setup, arguments: argparse.Namespace) -> TrainingArguments:
    """Defaults, but for what makes the work the same: batch size, steps, precision, checkpointing, workers."""
    return TrainingArguments(
        output_dir=setup.arguments.output_dir,
        per_device_train_batch_size=arguments.batch_size,
        max_steps=arguments.steps,
        bf16=setup.arguments.bf16,
        activation_checkpointing=setup.arguments.activation_checkpointing,
        dataloader_num_workers=arguments.workers,
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
    )


def as_messages(setup: Setup) -> Any:
    """The conversations in TRL's form: messages, and a list of images."""
    from datasets import Dataset, Features, Image, List, Value

    def rows() -> Any:
        for row in setup.dataset:
            turns = [
                {"role": "user" if t["from"] == "human" else "assistant", "content": t["value"].replace("<image>", "").strip()}
                for t in row["conversations"]
            ]
            yield {"messages": turns, "images": [str(setup.recipe.mixture / "images" / row["image"])]}

    features = Features(
        {"messages": List({"role": Value("string"), "content": Value("string")}), "images": List(Image())}
    )  # fmt: skip
    return Dataset.from_list(list(rows()), features=features)


def vision_share(setup: Setup, batch_size: int) -> float:
    """Time of the frozen vision encoder over the time of a whole step, forward and backward."""
    batch = setup.encoder.encode([setup.dataset[index] for index in range(batch_size)])
    device = next(setup.model.parameters()).device
    batch = {name: value.to(device) for name, value in batch.items()}
    tower = setup.model.get_base_model().get_submodule(setup.parts.vision)
    pixels = batch["pixel_values"].to(next(tower.parameters()).dtype)

    def step() -> None:
        setup.model(**batch | {"pixel_values": pixels}).loss.backward()

    def encode() -> None:
        with torch.no_grad():
            tower(pixel_values=pixels)

    return _seconds(encode) / _seconds(step)


def _seconds(work: Any, times: int = 5) -> float:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - started)
    return min(found)


if __name__ == "__main__":
    main()
