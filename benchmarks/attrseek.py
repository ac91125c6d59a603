"""AttrSeek on finer_hf: batched rounds against lmms-eval's agentic loop, same model and machine.

    python benchmarks/attrseek.py [--documents 96] [--batch_size 32]

The agentic loop sends each round as a fresh single turn, one document at a time. `batched` asks the very
same questions in batches; its replies are asserted to be equal. `conversation` is what the tasks use on
finer_hf: two true chat turns, the image encoded once and the first turn's cache kept.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from datasets import load_from_disk
from lmms_eval.api.instance import Instance
from lmms_eval.evaluator import _run_generate_until_agentic
from record import save

from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.tasks import hooks

GENERATION = {"max_new_tokens": 96, "do_sample": False, "temperature": 0}
KWARGS = {"level": "fine", "parent": "gold", "variant": "attrseek"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=96)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    docs = load_from_disk(str(ensure_prepared("mini").data))["test"].shuffle(seed=0).select(range(arguments.documents))
    model = FinerHF(
        pretrained="finer-mini", batch_size=arguments.batch_size, device="cuda" if torch.cuda.is_available() else "cpu"
    )
    model.task_dict = {"t": {"test": docs}}
    ways: dict[str, Callable[[], list[list[str]]]] = {
        "agentic": lambda: [
            hooks.rounds_of([reply])
            for reply in _run_generate_until_agentic(model, [_agentic(docs, i) for i in range(len(docs))])
        ],
        "batched": lambda: model.generate_until_multi_round([_rounds(docs, i, _fresh_turns) for i in range(len(docs))]),
        "conversation": lambda: model.generate_until_multi_round([_rounds(docs, i, _chat_turns) for i in range(len(docs))]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    replies: dict[str, list[list[str]]] = {}
    for _ in range(arguments.repeats):  # in turn, so that a drifting machine hits all of them
        for name, way in ways.items():
            started = time.perf_counter()
            replies[name] = way()
            seconds[name].append(time.perf_counter() - started)
    assert [[r.strip() for r in rounds] for rounds in replies["agentic"]] == [
        [r.strip() for r in rounds] for rounds in replies["batched"]
    ]
    best = {name: min(found) for name, found in seconds.items()}
    save(
        "attrseek",
        {
            "documents": arguments.documents,
            "batch_size": arguments.batch_size,
            "samples_per_second": {name: round(arguments.documents / value, 1) for name, value in best.items()},
            "ratio_batched_to_agentic": round(best["agentic"] / best["batched"], 2),
            "ratio_conversation_to_agentic": round(best["agentic"] / best["conversation"], 2),
            "equal_replies_batched_and_agentic": True,
        },
    )


def _agentic(docs: Any, index: int) -> Instance:
    text = partial(hooks.doc_to_text_attrseek, lmms_eval_specific_kwargs=KWARGS)
    arguments = (text(docs[index]), dict(GENERATION), hooks.doc_to_visual, text, index, "t", "test")
    return Instance("generate_until_agentic", arguments, 0, {"task": "t", "doc_id": index, "repeats": 1})


def _rounds(docs: Any, index: int, messages: Callable[..., Any]) -> Instance:
    arguments = ("x", messages, dict(GENERATION), index, "t", "test")
    return Instance("generate_until_multi_round", arguments, 0, {"task": "t", "doc_id": index, "repeats": 1})


def _chat_turns(doc: Any, **rounds: Any) -> Any:
    return hooks.attrseek_messages(doc, KWARGS, **rounds)


def _fresh_turns(doc: Any, **rounds: Any) -> Any:
    payload = hooks.doc_to_text_attrseek(doc, KWARGS, **rounds)
    if isinstance(payload, str):
        return _turn(hooks.doc_to_visual(doc), payload)
    images, text, is_last, replies, info = payload
    return (None if is_last else _turn(images, text)), is_last, replies, info


def _turn(images: list[Any], text: str) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": [*({"type": "image", "url": image} for image in images), {"type": "text", "text": text}]}
    ]


if __name__ == "__main__":
    main()
