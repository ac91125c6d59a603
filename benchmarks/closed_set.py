"""Seconds of finer_hf to score all names of a level as a trie behind one prompt, against each name with its whole prompt.

    python benchmarks/closed_set.py [--architecture small|llava-1.5-7b] [--dataset cub] [--documents 2] [--batch_size 8]

A LLaVA with 576 image tokens and random weights, from shared_prefix.py. Each name apart is a request of its own, batched, with
its image; `--names` takes only the first ones, for both, where all of them apart would take too long.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from record import save
from shared_prefix import build

from finer_tasks.models import closed_set
from finer_tasks.models.closed_set import NameList
from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.scoring.candidates import LEAD, candidates_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=["small", "llava-1.5-7b"], default="small")
    parser.add_argument("--dataset", default="cub")
    parser.add_argument("--documents", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--names", type=int)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        build(arguments.architecture, Path(folder))
        model = FinerHF(pretrained=folder, device=device, batch_size=arguments.batch_size)
        names = candidates_of(arguments.dataset, "fine").names[: arguments.names]
        listed = NameList(model.tokenizer, [LEAD + name for name in names])
        asked = [_question(number) for number in range(arguments.documents)]
        together, seconds = _timed(lambda: _together(model, asked, listed))
        apart, seconds_apart = _timed(lambda: _apart(model, asked, listed, arguments.batch_size))
    save(
        f"closed_set-{arguments.architecture}",
        {
            **vars(arguments),
            "device": device,
            "image_tokens": 576,
            "names": len(names),
            "tokens": int(listed.trie.lengths.sum()),
            "tokens_as_trie": len(listed.trie) - 1,
            "seconds_together": round(seconds, 2),
            "seconds_apart": round(seconds_apart, 2),
            "ratio": round(seconds_apart / seconds, 1),
            "largest_difference": float(np.abs(together - apart).max()),
        },
    )


def _question(number: int) -> Any:
    noise = torch.randint(256, (336, 336, 3), generator=torch.Generator().manual_seed(number)).to(torch.uint8)
    text = (
        'The organism in this image is of the group "Albatross". Which species is it exactly? Write its name after "Answer:".'
    )
    content = [{"type": "image", "url": Image.fromarray(noise.numpy())}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def _together(model: FinerHF, asked: list[Any], names: NameList) -> Any:
    return closed_set.score_names(model.generator, asked, model.encoder.encode(asked), names)


def _apart(model: FinerHF, asked: list[Any], names: NameList, size: int) -> Any:
    rows = []
    for one in asked:
        found: list[float] = []
        for start in range(0, len(names.ids), size):
            some = names.ids[start : start + size]
            scored = closed_set.score_continuations(model.generator, model.encoder.encode([one] * len(some)), some)
            found += [-mean * len(ids) for (mean, _), ids in zip(scored, some, strict=True)]
        rows.append(found)
    return np.array(rows)


def _timed(call: Any) -> tuple[Any, float]:
    call_started = time.perf_counter()
    result = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result, time.perf_counter() - call_started


if __name__ == "__main__":
    main()
