"""Seconds of finer_hf to score all names of a level as a trie behind one prompt, against each name with its whole prompt.

    python benchmarks/closed_set.py [--architecture small-576|llava-1.5-7b] [--names cub|10000] [--apart 281] [--batch_size 8]

A LLaVA with 576 image tokens and random weights, asked about one image. The names are those of a dataset, or so many made-up
ones of two words, as iNaturalist's. Each name apart is a request of its own, in batches, with its image, as lmms-eval asks
other backends; `--apart` takes the first names only. The ratio is of seconds a name, for each name apart takes as long as the
next. The same names without the image, for `pmi`, are timed by themselves, since all documents with one question share them.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llava import SHAPES, make_tokenizer, save_llava
from PIL import Image
from record import save

from finer_tasks.models.closed_set import PIECE, NameList, score_names
from finer_tasks.models.conversation import without_images
from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.models.likelihood import score_replies
from finer_tasks.scoring.candidates import candidates_of

QUESTION = 'The image shows an organism of the group "Albatross". Which species is it? Write its name after "Answer:".'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=["small-576", "llava-1.5-7b"], default="small-576")
    parser.add_argument("--names", default="cub")
    parser.add_argument("--apart", type=int)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    names = made_up(int(arguments.names)) if arguments.names.isdigit() else candidates_of(arguments.names, "fine").names
    with tempfile.TemporaryDirectory() as folder:
        save_llava(Path(folder), SHAPES[arguments.architecture], make_tokenizer())
        model = FinerHF(pretrained=folder, device=device, batch_size=arguments.batch_size)
    listed, asked = NameList(model.encoder, names), question()
    before = peak()
    runs = [timed(lambda: together(model, asked, listed)) for _ in range(arguments.repeats)]
    blind = [timed(lambda: together(model, without_images(asked), listed))[1] for _ in range(arguments.repeats)]
    after = peak()
    some = listed.ids[: len(names) if arguments.apart is None else arguments.apart]
    each, seconds_apart = timed(lambda: apart(model, asked, some, arguments.batch_size))
    seconds, found = min(run[1] for run in runs), runs[0][0]
    whole_apart = seconds_apart * len(names) / len(some) if some else None
    save(
        f"closed_set-{arguments.architecture}-{arguments.names}",
        {
            "architecture": arguments.architecture,
            "batch_size": arguments.batch_size,
            "device": device,
            "image_tokens": 576,
            "names": len(names),
            "tokens_of_names": int(listed.trie.lengths.sum()),
            "tokens_of_trie": sum(len(piece.tokens) for piece in listed.trie.pieces(PIECE)),
            "passes": len(listed.trie.pieces(PIECE)),
            "seconds_together": round(seconds, 2),
            "seconds_without_image": round(min(blind), 2),
            "peak_megabytes_with_the_model": round(before),
            "peak_megabytes_together": round(after),
            "names_apart": len(some),
            "seconds_apart": round(seconds_apart, 2),
            "ratio_per_name": whole_apart and round(whole_apart / seconds, 1),
            "ratio_per_name_with_pmi": whole_apart and round(whole_apart / (seconds + min(blind)), 1),
            "largest_difference": float(np.abs(found[: len(some)] - each).max()) if some else None,
        },
    )


def made_up(count: int) -> tuple[str, ...]:
    """Names of two words, of a tenth as many first words."""
    syllables = ["al", "bo", "cru", "den", "fi", "gra", "hol", "is", "ko", "lu", "mar", "nis", "or", "pa", "ri", "su"]
    words = ["".join(word) for word in product(syllables, repeat=3)]
    firsts = [word.capitalize() + "us" for word in words[: -(-count // 10)]]
    return tuple(f"{first} {second}" for first, second in islice(product(firsts, words[1000:1010]), count))


def question() -> Any:
    noise = torch.randint(256, (336, 336, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    content = [{"type": "image", "url": Image.fromarray(noise.numpy())}, {"type": "text", "text": QUESTION}]
    return [{"role": "user", "content": content}]


def together(model: FinerHF, asked: Any, names: NameList) -> Any:
    return score_names(model.generator, [asked], model.encoder.encode([asked]), names)[0]


def apart(model: FinerHF, asked: Any, replies: list[list[int]], size: int) -> Any:
    found: list[float] = []
    for start in range(0, len(replies), size):
        some = replies[start : start + size]
        scored = score_replies(model.generator, model.encoder.encode([asked] * len(some)), some)
        found += [-mean * (len(ids) + 1) for (mean, _), ids in zip(scored, some, strict=True)]
    return np.array(found)


def timed(call: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    result = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result, time.perf_counter() - started


def peak() -> float:
    """The most memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
