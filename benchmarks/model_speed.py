"""Samples per second of finer_hf against lmms-eval's own llava_hf, same model, prompts and machine.

    python benchmarks/model_speed.py [--architecture mini|llava-1.5-7b] [--documents 192] [--batch_size 32]

`mini` is the built-in model on the CPU; `llava-1.5-7b` is that architecture with random weights, for
a GPU. llava_hf takes one document at a time (it refuses more). Answers are compared where the
model is a trained one. Needs decord, which llava_hf imports.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import load_from_disk
from llava import SHAPES, save_llava
from lmms_eval.api.instance import Instance
from lmms_eval.models.chat.llava_hf import LlavaHf
from record import save

from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.models.loading import BUILT_IN
from finer_tasks.tasks import hooks

GENERATION = {"max_new_tokens": 32, "do_sample": False, "temperature": 0}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--architecture", choices=["mini", "llava-1.5-7b"], default="mini")
    parser.add_argument("--documents", type=int, default=192)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    docs = load_from_disk(str(ensure_prepared("mini").data))["test"]
    device = "cuda" if torch.cuda.is_available() and arguments.architecture != "mini" else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        pretrained = str(BUILT_IN["finer-mini"])
        if arguments.architecture != "mini":
            save_llava(Path(folder), SHAPES[arguments.architecture])
            pretrained = folder
        dtype = "float32" if device == "cpu" else "bfloat16"
        theirs = LlavaHf(pretrained=pretrained, device=device, device_map=device, dtype=dtype, batch_size=1)
        ours = FinerHF(pretrained=pretrained, device=device, dtype=dtype, batch_size=arguments.batch_size)
        times: dict[str, list[float]] = {"llava_hf": [], "finer_hf": []}
        answers: dict[str, list[str]] = {}
        for _ in range(arguments.repeats):  # in turn, so that a drifting machine hits both
            for name, model in (("llava_hf", theirs), ("finer_hf", ours)):
                times[name].append(run(model, docs, arguments.documents, answers, name))
    ratios = sorted(a / b for a, b in zip(times["llava_hf"], times["finer_hf"], strict=True))
    same = sum(a.strip() == b.strip() for a, b in zip(answers["llava_hf"], answers["finer_hf"], strict=True))
    save(
        f"model_speed-{arguments.architecture}",
        {
            "documents": arguments.documents,
            "batch_size": {"llava_hf": 1, "finer_hf": arguments.batch_size},
            "device": device,
            "samples_per_second": {name: round(arguments.documents / min(found), 1) for name, found in times.items()},
            "ratio_median": round(ratios[len(ratios) // 2], 2),
            "ratio_min_max": [round(ratios[0], 2), round(ratios[-1], 2)],
            "equal_answers": f"{same} of {arguments.documents}",
        },
    )


def run(model: Any, docs: Any, count: int, answers: dict[str, list[str]], name: str) -> float:
    """Seconds for `count` fine questions."""
    model.task_dict = {"t": {"test": docs}}
    requests = [_request(docs, index) for index in range(count)]
    started = time.perf_counter()
    results = model.generate_until(requests)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elapsed = time.perf_counter() - started
    answers[name] = [result.text for result in results]
    return elapsed


def _request(docs: Any, index: int) -> Instance:
    text = hooks.doc_to_text(docs[index], {"level": "fine", "parent": "gold"})

    def messages(doc: Any) -> list[dict[str, Any]]:
        content = [{"type": "image", "url": image} for image in hooks.doc_to_visual(doc)]
        return [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]

    arguments = (text, messages, dict(GENERATION), index, "t", "test")
    return Instance("generate_until", arguments, 0, {"task": "t", "doc_id": index, "repeats": 1})


if __name__ == "__main__":
    main()
