"""The conversations of all tasks of a dataset as text, as lmms-eval gives them to a backend."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from datasets import load_from_disk
from lmms_eval.tasks import TaskManager

from finer_tasks.attributes.knowledge import ConceptAttributes, knowledge_path, write_knowledge
from finer_tasks.datasets.prepare import Request, ensure_prepared, prepare
from finer_tasks.datasets.registry import get_reader
from finer_tasks.replies import ROUNDS
from finer_tasks.tasks import plugin
from finer_tasks.tasks.table import list_tasks
from tests import official

GOLDEN = Path(__file__).parent
DOCUMENTS = 2
# What the model is taken to have answered in each round before.
NAMES = ("Answer: First Reply", "Answer: Second Reply", "Answer: Third Reply")
ATTRIBUTES = ("- first attribute seen\n- second attribute seen", "Answer: Second Reply")


def prepare_small(dataset: str, folder: Path) -> None:
    """Two documents or more in the official format, and attributes of their concepts."""
    if get_reader(dataset).built_in:
        ensure_prepared(dataset)
        return
    root = getattr(official, dataset)(folder / dataset)
    prepared = prepare(Request(dataset, root, ("test",), allow_partial=True))
    known = sorted(set(load_from_disk(str(prepared.data))["test"]["concept_id"]))
    attributes = (f"first attribute of {name}" for name in known), (f"second attribute of {name}" for name in known)
    write_knowledge(
        knowledge_path(dataset),
        [
            ConceptAttributes(name, name, phrases, (f"likely of {name}",))
            for name, *phrases in zip(known, *attributes, strict=True)
        ],
    )


def snapshot(dataset: str) -> str:
    """All conversations of a dataset, task by task."""
    return "\n".join(line for task in list_tasks() if task.dataset == dataset for line in _task(task.name))


def _task(name: str) -> Iterator[str]:
    task = _manager().load_task_or_group(name, "chat")[name]
    for document in _documents(task.dataset[task.config.test_split]):
        yield f"======== {name}: {document['id']}"
        for number, messages in enumerate(_rounds(task, document), start=1):
            yield from [f"-------- round {number}"] if number > 1 else []
            yield from _turns(messages)
        if task.config.doc_to_messages:
            yield "-------- round 2 for a backend without chat turns"
            kwargs = task.config.lmms_eval_specific_kwargs
            yield task.config.doc_to_text(document, kwargs, previous_output=ATTRIBUTES[:1], round_idx=1)[1]
        yield ""


def _documents(table: Any) -> list[dict[str, Any]]:
    """The first ones of different concepts."""
    concepts = list(table["concept_id"])
    return [table[concepts.index(concept)] for concept in list(dict.fromkeys(concepts))[:DOCUMENTS]]


def _rounds(task: Any, document: dict[str, Any]) -> Iterator[Any]:
    yield task.doc_to_messages(document)
    if task.OUTPUT_TYPE == "generate_until" and not task.config.generation_kwargs.get(ROUNDS):
        return
    replies = ATTRIBUTES if task.config.doc_to_messages else NAMES
    for number in range(1, len(replies) + 1):
        messages, is_last, _, _ = task.doc_to_messages(document, round_idx=number, previous_output=list(replies[:number]))
        if is_last:
            return
        yield messages


def _turns(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        yield f"[{message['role']}]"
        yield from ("<image>" if part["type"] == "image" else part["text"] for part in message["content"])


@cache
def _manager() -> TaskManager:
    plugin.register()
    return TaskManager(include_defaults=False, model_name="finer_hf")
