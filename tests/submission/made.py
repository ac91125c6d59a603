"""Whole runs of mini as lmms-eval writes them, answered by rule instead of by a model, and their archives."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import yaml

import finer_tasks
from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.runs.card import read_card
from finer_tasks.runs.reading import read_run
from finer_tasks.scoring.attributes import LexicalSimilarity
from finer_tasks.scoring.judge import list_items, naming_items
from finer_tasks.submission.pack import pack
from finer_tasks.submission.scoring import documents_of, official_task, question_of
from finer_tasks.tasks import hooks
from finer_tasks.tasks.binding import bind
from finer_tasks.tasks.table import TaskInfo

TASKS = ("finer_mini_superordinate", "finer_mini_coarse", "finer_mini_fine")


def write_whole_run(
    folder: Path,
    share_right: float,
    seed: int = 0,
    model: str = "rule",
    tasks: tuple[str, ...] = TASKS,
    corrupt: int = 0,
    replies: Sequence[str] = (),
) -> Path:
    """All documents of the tasks, this share of them answered rightly.

    The images of the first `corrupt` documents could not be read; `replies` are those to the first documents.
    """
    folder.mkdir(parents=True)
    documents = documents_of("mini")
    configs = {}
    for name in tasks:
        task, rng = official_task(name), random.Random(f"{seed}{name}")
        configs[name] = {
            "metadata": bind(config_of(task), "finer_hf")["metadata"],
            "generation_kwargs": {"do_sample": False, "max_new_tokens": 64},
        }
        lines = []
        for number, document in enumerate(documents.values()):
            right = rng.random() < share_right
            if task.variant.startswith("attributes"):
                phrases = load_knowledge("mini")[document["concept_id"]].required
                reply = "Required:\n" + "".join(f"- {phrase}\n" for phrase in phrases) if right else "no idea"
                items = list_items(document, [reply], LexicalSimilarity())
            else:
                label = document[task.level] if task.level == "superordinate" else document[task.level][0]
                reply = f"Answer: {label if right else 'something else'}"
                reply = replies[number] if number < len(replies) else reply
                items = naming_items(document, [reply], task.level, readable=number >= corrupt)
            question = question_of(task, document)
            lines.append(
                {"doc_id": number, "filtered_resps": reply, "input": question, "input_media": [document["image"]], **items}
            )
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"r_samples_{name}.jsonl").write_text(text)
    results = {
        "configs": configs,
        "n-samples": {name: {"original": len(documents), "effective": len(documents)} for name in tasks},
        "config": {"model": model, "model_args": ""},
        "lmms_eval_version": "0.7.3",
        "date": 1.0,
        "finer": finer_tasks.__version__,
    }
    (folder / "r_results.json").write_text(json.dumps(results))
    return folder


def config_of(task: TaskInfo) -> dict[str, object]:
    """What binding a task needs of its YAML."""
    kwargs = {"level": task.level, "parent": task.parent, "variant": task.variant, "attributes": task.attributes}
    lists = {"similarity": "lexical"} if task.variant.startswith("attributes") else {}
    return {
        "dataset_path": task.dataset, "test_split": "test", "metadata": {"version": task.version},
        "process_results": hooks.score_attribute_lists if lists else hooks.score_fine, "lmms_eval_specific_kwargs": kwargs | lists,
    }  # fmt: skip


def limited(run: Path, documents: int) -> Path:
    """Make a run of one task one with --limit."""
    (results,), (samples,) = run.glob("*_results.json"), run.glob("*.jsonl")
    raw = json.loads(results.read_text())
    raw["config"]["limit"] = documents
    (counts,) = raw["n-samples"].values()
    counts["effective"] = documents
    results.write_text(json.dumps(raw))
    samples.write_text("".join(samples.read_text().splitlines(keepends=True)[:documents]))
    return run


def write_card(path: Path, name: str = "Model", parameters: float = 7.0, weights: str = "open") -> Path:
    card = {"name": name, "revision": "1", "parameters": parameters, "weights": weights, "contact": "a@example.org"}
    path.write_text(yaml.safe_dump(card))
    return path


def write_submission(folder: Path, name: str, share_right: float, seed: int = 0, **card: object) -> Path:
    run = write_whole_run(folder / f"run-{seed}-{share_right}", share_right, seed, model=f"rule {name}")
    archive = folder / "archives" / f"{seed}-{share_right}.zip"
    pack([read_run(run)], read_card(write_card(folder / "card.yaml", name, **card)), archive)  # type: ignore[arg-type]
    return archive
