"""What a submission holds. The JSON Schema beside this file, schema.json, is generated from these models.

python -m finer_tasks.submission.models > finer_tasks/submission/schema.json
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, PositiveInt, StringConstraints

from finer_tasks.replies import Unanswered
from finer_tasks.runs.card import Card, Strict, Text, one_line

SCHEMA_VERSION = 2


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value)) > 20_000:
        raise ValueError("it holds more than 20,000 characters")
    return value


Settings = Annotated[dict[str, Any], AfterValidator(_small)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=5000), AfterValidator(one_line)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TaskName = Annotated[str, StringConstraints(pattern=r"^finer_[a-z0-9_]{1,80}$")]


class Answer(Strict):
    """One document of a task: a line of tasks/<task>.jsonl."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    question: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")] = Field(description="hash of the question's text")
    outputs: tuple[Annotated[str, StringConstraints(max_length=100_000)], ...] = Field(min_length=1, max_length=8)
    corrupt_image: bool = False
    scores: dict[str, float]


class TaskEntry(Strict):
    """One task: how it was run, its means, and how many documents have no answer of the model, by reason."""

    identity: Settings
    generation: Settings
    documents: int = Field(ge=1)
    scores: dict[str, float]
    unanswered: dict[Unanswered, PositiveInt] = Field(default={})


class Submission(Strict):
    """submission.json."""

    schema_version: Literal[2] = 2
    card: Card
    finer_version: Text
    lmms_eval_version: Text
    model: LongText = Field(description="model and model_args of lmms-eval")
    date: Annotated[str, StringConstraints(max_length=100), AfterValidator(one_line)] = ""
    tasks: dict[TaskName, TaskEntry] = Field(min_length=1)


class Manifest(Strict):
    """manifest.json: the SHA-256 of every other member."""

    kind: Literal["finer-submission"] = "finer-submission"
    files: dict[str, Sha256]


def json_schema() -> str:
    """The published schema: one definition for each kind of member."""
    kinds: dict[str, type[BaseModel]] = {
        "manifest.json": Manifest,
        "submission.json": Submission,
        "a line of tasks/<task>.jsonl": Answer,
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"finer-tasks submission, version {SCHEMA_VERSION}",
        "members": {name: kind.model_json_schema() for name, kind in kinds.items()},
    }
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")
