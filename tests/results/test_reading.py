"""Damaged runs end with a message that points at the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from finer_tasks.errors import ResultsError
from finer_tasks.results.reading import read_run
from tests.results.gate.simulated import write_run


def _cut(text: str) -> str:
    return text[:-30]


def _shorten(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def _repeat(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:-1], lines[0]])


def _nan(text: str) -> str:
    return text.replace('"f1": {"score": 1.0', '"f1": {"score": NaN', 1)


def _other_level(text: str) -> str:
    return text.replace('"level": "fine"', '"level": "coarse"', 1)


def _other_dataset(text: str) -> str:
    return text.replace("cub/test/0", "dogs/test/0", 1)


def _empty(_: str) -> str:
    return ""


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "jsonl:3: the last line is cut off"),
        (_shorten, "holds 2 documents, the results speak of 3: the run was cut off"),
        (_repeat, "jsonl:3: cub/test/0 is there already, on line 1"),
        (_nan, "jsonl:1: cub/test/0: the score f1 is nan"),
        (_other_level, "jsonl:1: cub/test/0 was scored at level coarse. The file belongs to another task"),
        (_other_dataset, "jsonl:1: dogs/test/0 was scored"),
        (_empty, "holds 0 documents"),
    ],
)
def test_a_damaged_samples_file_is_refused(damage: Callable[[str], str], message: str, tmp_path: Path) -> None:
    run = write_run(tmp_path, [1.0, 1.0, 0.0], ["a", "b", "c"])
    (path,) = tmp_path.glob("*.jsonl")
    path.write_text(damage(path.read_text()))
    with pytest.raises(ResultsError, match=message):
        read_run(run)


def test_a_damaged_result_file_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path, [1.0], ["a"])
    (path,) = tmp_path.glob("*_results.json")
    path.write_text(path.read_text()[:-10])
    with pytest.raises(ResultsError, match="is no result file of lmms-eval"):
        read_run(tmp_path)
    path.write_text(json.dumps({"configs": {"mmlu": {}}}))
    with pytest.raises(ResultsError, match="holds no FINER task"):
        read_run(tmp_path)
