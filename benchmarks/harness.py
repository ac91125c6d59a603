"""Cost of the harness per document with a model that answers at once, and peak memory.

    python benchmarks/harness.py [--documents 10000 100000]

Each size runs in a process of its own. No image may be opened before the model asks for it; that is
asserted. `decode` lets the model open every image, as real ones do; without, only questions are made.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import save


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--worker", type=int)
    arguments = parser.parse_args()
    if arguments.worker:
        print("RESULT", json.dumps(measure(arguments.worker)))
        return
    found = {}
    for count in arguments.documents:
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"FINER_DATA_DIR": folder}
            command = [sys.executable, __file__, "--worker", str(count)]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
            found[str(count)] = json.loads(line.removeprefix("RESULT "))
    sizes = sorted(int(count) for count in found)
    low, high = found[str(sizes[0])], found[str(sizes[-1])]
    growth = (high["peak_mb"] - low["peak_mb"]) * 1e6 / (sizes[-1] - sizes[0])
    save("harness", {"by_documents": found, "bytes_of_memory_per_further_document": round(growth)})


def measure(count: int) -> dict[str, Any]:
    """Prepare `count` documents of one tiny image, run the fine task, and account for time and memory."""
    from lmms_eval.api.model import lmms
    from lmms_eval.evaluator import simple_evaluate
    from PIL import Image

    from finer_tasks.datasets import prepared
    from finer_tasks.datasets.prepare import Request, prepare
    from finer_tasks.datasets.taxonomy import load_taxonomy

    root = Path(os.environ["FINER_DATA_DIR"]) / "source"
    root.mkdir()
    Image.new("RGB", (32, 32)).save(root / "x.png")
    concepts = list(load_taxonomy("cub").classes.values())
    with (root / "unified.jsonl").open("w") as file:
        for index in range(count):
            concept = concepts[index % len(concepts)]
            row = {
                "idx": index,
                "basic-level-lbl": concept.superordinate,
                "coarse-level-lbl": list(concept.coarse),
                "fine-level-lbl": list(concept.fine),
                "img_path": "x.png",
            }
            file.write(json.dumps(row) + "\n")
    started = time.perf_counter()
    prepare(Request("cub", root, unified={"test": root / "unified.jsonl"}))
    prepare_seconds = time.perf_counter() - started
    opened = [0]
    original = prepared.open_image

    def counting(*arguments: Any) -> Any:
        opened[0] += 1
        return original(*arguments)

    prepared.open_image = counting
    opened_before: list[int] = []

    class Instant(lmms):
        is_simple = False

        def generate_until(self, requests: Any) -> list[str]:
            opened_before.append(opened[0])
            for request in requests:
                _, messages, _, doc_id, task, split = request.args
                messages(self.task_dict[task][split][doc_id])
            return ["Answer: Laysan Albatross"] * len(requests)

        def generate_until_multi_round(self, requests: Any) -> list[str]:
            raise NotImplementedError

        def loglikelihood(self, requests: Any) -> list[tuple[float, bool]]:
            raise NotImplementedError

    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    started = time.perf_counter()
    results = simple_evaluate(model=Instant(), tasks=["finer_cub_fine"], log_samples=True)
    seconds = time.perf_counter() - started
    assert opened_before == [0], "an image was opened before its turn"
    assert len(results["samples"]["finer_cub_fine"]) == count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {
        "seconds": round(seconds, 1),
        "microseconds_per_document": round(seconds / count * 1e6),
        "peak_mb": round(peak),
        "before_mb": round(base),
        "prepare_seconds": round(prepare_seconds, 1),
        "images_opened_before_first_request": opened_before[0],
    }


if __name__ == "__main__":
    main()
