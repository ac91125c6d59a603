"""Size of a report, time to write it, and time until a browser has opened it, for runs of the real sizes.

    python benchmarks/report.py

Answers are made up in lmms-eval's format. Opening is timed in headless Chromium from navigation to the end of its
load event; needs selenium, chromium and chromedriver.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from record import save
from selenium import webdriver

from finer_tasks.report.page import write_report
from finer_tasks.runs.reading import read_run

SIZES = {"cub": (5_794, 200), "inat": (100_000, 10_000)}


def main() -> None:
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for dataset, (documents, concepts) in SIZES.items():
            run = write_run(Path(folder) / dataset, dataset, documents, concepts)
            page = Path(folder) / f"{dataset}.html"
            started = time.perf_counter()
            write_report([read_run(run)], page)
            written = time.perf_counter() - started
            opened = sorted(open_page(page) for _ in range(3))
            figures[dataset] = {
                "documents": documents,
                "tasks": 3,
                "seconds_to_write": round(written, 1),
                "megabytes": round(page.stat().st_size / 1e6, 1),
                "seconds_to_open_median": round(opened[1], 2),
            }
    save("report", figures)


def write_run(folder: Path, dataset: str, documents: int, concepts: int) -> Path:
    """Three levels of one dataset; half of the fine answers name a neighbour."""
    folder.mkdir()
    rng = random.Random(0)
    configs = {}
    for level in ("superordinate", "coarse", "fine"):
        task = f"finer_{dataset}_{level}"
        identity = {"dataset": dataset, "level": level, "variant": "direct", "parent": "gold", "prompt_set": "finer-1"}
        configs[task] = {"metadata": {"finer": identity | {"prompt_hash": "x", "data_fingerprint": "x", "data_source": "x"}}}
        with (folder / f"r_samples_{task}.jsonl").open("w") as file:
            for number in range(documents):
                file.write(json.dumps(sample(dataset, level, number, number % concepts, rng)) + "\n")
    (folder / "r_results.json").write_text(json.dumps({"configs": configs, "config": {"model": "made up"}}))
    return folder


def sample(dataset: str, level: str, number: int, concept: int, rng: random.Random) -> dict[str, Any]:
    named = concept if rng.random() < 0.5 else concept // 10 * 10 + rng.randrange(10)
    record = {
        "id": f"{dataset}/test/{concept:05d}/{number:06d}", "superordinate": "Bird", "coarse": [f"Group {concept // 10}"],
        "fine": [f"Species {concept}"], "concept_id": str(concept), "class_id": str(concept),
    }  # fmt: skip
    item = {"score": float(named == concept), "concept_id": str(concept)}
    reason = "right" if named == concept else "wrong_sibling"
    strict = item | {"reason": reason, "named": [f"species {named}"], "level": level, "record": record}
    return {"filtered_resps": f"Answer: Species {named}", "input": "Which?", "em": item, "f1": item, "em_strict": strict}


def open_page(page: Path) -> float:
    """Seconds from navigation to the end of the load event in a fresh browser."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.get(page.as_uri())
        script = "const [entry] = performance.getEntriesByType('navigation'); return entry.loadEventEnd;"
        return float(browser.execute_script(script)) / 1000
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
