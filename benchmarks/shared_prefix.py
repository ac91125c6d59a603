"""Seconds of finer_hf with what the questions about an image share computed once, against each question by itself.

    python benchmarks/shared_prefix.py [--architecture small-576|llava-1.5-7b] [--documents 16] [--batch_size 9]

A LLaVA with 576 image tokens and random weights: `small-576` (140 M) for a CPU, `llava-1.5-7b` for a GPU. Whole evaluations
through lmms-eval: the three levels of a dataset, and the five arms of `finer gap`. Random weights never end a reply, so
that replies are cut after `--new_tokens`. Prompts are as long as with a tokenizer of natural language.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from llava import PROMPTS, SHAPES, save_llava
from lmms_eval.evaluator import simple_evaluate
from record import save

from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.runs.evaluate import ARM_SUFFIXES
from finer_tasks.training.tiny_llava.model import build_tokenizer

RUNS = {
    "three levels": ("finer_mini_superordinate", "finer_mini_coarse", "finer_mini_fine"),
    "gap, five arms": tuple(f"finer_mini_fine{suffix}" for suffix in ARM_SUFFIXES),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=["small-576", "llava-1.5-7b"], default="small-576")
    parser.add_argument("--documents", type=int, default=16)
    parser.add_argument("--batch_size", type=int, default=9)
    parser.add_argument("--new_tokens", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    ensure_prepared("mini")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        # A question has about as many tokens as with a language's own.
        prompts = PROMPTS.read_text(encoding="utf-8")
        save_llava(Path(folder), SHAPES[arguments.architecture], build_tokenizer([prompts], vocabulary=2000))
        model = FinerHF(pretrained=folder, device=device, batch_size=arguments.batch_size)
        found = {name: compare(model, tasks, arguments) for name, tasks in RUNS.items()}
    settings = {key: vars(arguments)[key] for key in ("documents", "batch_size", "new_tokens")}
    save(f"shared_prefix-{arguments.architecture}", {**settings, "device": device, "image_tokens": 576, "runs": found})


def compare(model: FinerHF, tasks: tuple[str, ...], arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of both ways, in turn so that a drifting machine hits both, and how many replies are equal."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    replies: dict[bool, list[Any]] = {}
    for _ in range(arguments.repeats):
        for shares in (False, True):
            model.generator.branches = shares
            replies[shares], elapsed = evaluate(model, tasks, arguments)
            seconds[shares].append(elapsed)
    ratios = sorted(apart / shared for apart, shared in zip(seconds[False], seconds[True], strict=True))
    same = sum(one == other for one, other in zip(replies[False], replies[True], strict=True))
    return {
        "seconds_apart": round(min(seconds[False]), 1),
        "seconds_shared": round(min(seconds[True]), 1),
        "ratio_median": round(ratios[len(ratios) // 2], 2),
        "ratio_min_max": [round(ratios[0], 2), round(ratios[-1], 2)],
        "equal_replies": f"{same} of {len(replies[True])}",
    }


def evaluate(model: FinerHF, tasks: tuple[str, ...], arguments: argparse.Namespace) -> tuple[list[Any], float]:
    """All replies of a run, and the seconds that the model took."""
    spent = 0.0
    own = model.generate_until

    def timed(requests: list[Any]) -> Any:
        nonlocal spent
        started = time.perf_counter()
        results = own(requests)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        spent += time.perf_counter() - started
        return results

    model.generate_until = timed  # type: ignore[method-assign]
    try:
        found = simple_evaluate(
            model=model, tasks=list(tasks), limit=arguments.documents, gen_kwargs=f"max_new_tokens={arguments.new_tokens}",
            log_samples=True,
        )  # fmt: skip
    finally:
        del model.generate_until
    return [sample["resps"] for name in tasks for sample in found["samples"][name]], spent


if __name__ == "__main__":
    main()
