"""Damaged runs end with a message that points at the place; of several runs the one with the latest date inside is read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from finer_tasks.errors import ResultsError
from finer_tasks.runs.reading import read_run
from tests.simulated import IDENTITY, write_run


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


def _shorten(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def _repeat(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:-1], lines[0]])


SAMPLES: dict[str, tuple[Callable[[str], str], str]] = {
    "cut": (lambda text: text[:-30], "jsonl:3: the last line is cut off"),
    "short": (_shorten, "holds 2 documents, the results speak of 3: the run was cut off"),
    "repeated": (_repeat, "jsonl:3: cub/test/0 is there already, on line 1"),
    "empty": (lambda _: "", "holds 0 documents"),
    "NaN": (replaced('"f1": {"score": 1.0', '"f1": {"score": NaN'), "jsonl:1: .*cub/test/0: the score f1 is nan"),
    "huge": (replaced('"f1": {"score": 1.0', '"f1": {"score": 1' + "0" * 400), "cub/test/0: the score f1 is 1000"),
    "infinite": (replaced('"em": {"score": 1.0', '"em": {"score": 1e999'), "the score em is inf"),
    "above one": (replaced('"em": {"score": 1.0', '"em": {"score": 5'), "the score em is 5"),
    "text": (replaced('"em": {"score": 1.0', '"em": {"score": "1"'), "the score em is 1"),
    "no em": (replaced('"em": {', '"EM": {'), "jsonl:1: .*'em' is missing"),
    "a figure less": (replaced('"f1_macro": {', '"x": {'), "jsonl:2: cub/test/1 has other figures than line 1"),
    "null": (replaced('"em_strict": {', '"em_strict": null, "x": {'), "jsonl:1: .*no JSON object"),
    "a list": (lambda text: "[]\n" + text, "jsonl:1: .*no JSON object"),
    "deep": (lambda text: "[" * 100_000 + "\n" + text, "jsonl:1: .*nested too deeply"),
    "no names": (replaced('"named": []', '"names": []'), "jsonl:1: .*'named' is missing"),
    "no rounds": (replaced('"level": "fine"', '"rounds": []'), "jsonl:1: .*rounds is no text"),
    "a list for a concept": (replaced('"level": "fine"', '"concept": []'), "jsonl:1: .*concept is no text"),
    "rounds of numbers": (replaced('"level": "fine"', '"rounds": [1]'), "jsonl:1: .*rounds is no text"),
    "no label": (replaced('"fine": ["a"]', '"fine": []'), "jsonl:1: .*record.fine is no text"),
    "no id": (replaced('"id": "cub/test/0"', '"id": 7'), "jsonl:1: .*record.id is no text"),
    "another concept": (replaced('"concept_id": "a"', '"concept_id": "z"'), "jsonl:1: .*em is of concept 'z'"),
    "another level": (
        replaced('"level": "fine"', '"level": "coarse"'),
        "jsonl:1: cub/test/0 was scored at level coarse, the task is cub fine. The file belongs to another task",
    ),
    "another dataset": (replaced("cub/test/0", "dogs/test/0"), "jsonl:1: dogs/test/0 was scored"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_damaged_samples_file_is_refused(name: str, tmp_path: Path) -> None:
    damage, message = SAMPLES[name]
    run = write_run(tmp_path, [1.0, 1.0, 0.0], ["a", "b", "c"])
    (path,) = tmp_path.glob("*.jsonl")
    path.write_text(damage(path.read_text()))
    with pytest.raises(ResultsError, match=message):
        read_run(run)


def test_samples_that_are_no_utf_8_are_refused_by_line_and_half_a_character_is_replaced(tmp_path: Path) -> None:
    write_run(tmp_path, [1.0, 0.0], ["a", "b"], answer="Crow \ud83d")
    assert {sample.answer for sample in read_run(tmp_path).tasks[0].samples} == {"Crow \ufffd"}
    (path,) = tmp_path.glob("*.jsonl")
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(b"Crow", b"Cr\xff"))
    with pytest.raises(ResultsError, match=r"jsonl:2: .*can't decode"):
        read_run(tmp_path)


def identity(**changes: Any) -> dict[str, Any]:
    finer = {key: value for key, value in (IDENTITY | changes).items() if value is not None}
    return {"configs": {"finer_cub_fine": {"metadata": {"finer": finer}}}}


RESULTS: dict[str, tuple[Any, str]] = {
    "cut": ('{"configs": {', "is no result file of lmms-eval"),
    "a list": ([], "is no result file of lmms-eval"),
    "null": (None, "is no result file of lmms-eval"),
    "null configs": ({"configs": None}, "configs: Input should be a valid dictionary"),
    "null config": ({"config": None}, r"is no result file of lmms-eval \(config: "),
    "others' tasks": ({"configs": {"mmlu": {}, "x": None, "\x1b": []}}, r"holds no FINER task; its tasks are mmlu, x, \\x1b"),
    "no variant": (identity(variant=None), r"configs.finer_cub_fine.metadata.finer.variant: Field required"),
    "a null level": (identity(level={}), r"metadata.finer.level"),
    "an unknown dataset": (
        identity(dataset="fungi"),
        r"metadata.finer.dataset: 'fungi' is no dataset that is known here; known are cub,",
    ),
    "finer is a list": ({"configs": {"finer_cub_fine": {"metadata": {"finer": []}}}}, r"metadata.finer: Input should be"),
    "a path as name": ({"configs": {"finer_/../x": {"metadata": {"finer": {}}}}}, "is no name of a task"),
    "no counts": ({"n-samples": {}}, "n-samples does not tell the documents of finer_cub_fine"),
    "deep": ('{"configs": ' + "[" * 100_000, "nested too deeply"),
    "a little deep": ('{"configs": ' + '{"a":' * 100 + "1" + "}" * 101, "nested too deeply"),
    "half a character": ('{"configs": {}, "date": "\\ud800"}', "lone surrogate"),
    "a key twice": ('{"configs": {}, "configs": {}}', "a key is there twice"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_damaged_result_file_is_refused(name: str, tmp_path: Path) -> None:
    damaged, message = RESULTS[name]
    write_run(tmp_path, [1.0], ["a"])
    (path,) = tmp_path.glob("*_results.json")
    whole = json.loads(path.read_text())
    text = damaged if isinstance(damaged, str) else json.dumps(whole | damaged if isinstance(damaged, dict) else damaged)
    path.write_text(text)
    with pytest.raises(ResultsError, match=message):
        read_run(tmp_path)


def test_users_tasks_are_read_under_their_names_and_those_with_a_scorer_of_their_own_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path, [1.0], ["a"], task="my-birds_2.0")
    assert [task.name for task in read_run(run).tasks] == ["my-birds_2.0"]
    folder = tmp_path / "both"
    write_run(folder, [1.0], ["a"])
    theirs = write_run(tmp_path / "theirs", [1.0], ["a"], task="mine", identity=IDENTITY | {"scorer": "score"})
    (samples,) = theirs.glob("*_samples_mine.jsonl")
    (folder / samples.name).write_text(samples.read_text().replace('"em": {', '"theirs": {'))
    both = [json.loads(next(run.glob("*_results.json")).read_text()) for run in (folder, theirs)]
    change(folder, **{key: both[0][key] | both[1][key] for key in ("configs", "n-samples")})
    assert [task.name for task in read_run(folder).tasks] == ["finer_cub_fine"]


def change(run: Path, **top: Any) -> Path:
    (path,) = run.glob("*_results.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | top))
    return path


def test_nan_among_lmms_evals_own_figures_is_no_damage(tmp_path: Path) -> None:
    change(write_run(tmp_path, [1.0], ["a"]), results={"finer_cub_fine": {"lca_distance,none": float("nan")}})
    assert read_run(tmp_path).model == "m ()"


@pytest.fixture
def said() -> Any:
    lines: list[str] = []
    handler = logger.add(lines.append, format="{message}")
    yield lines
    logger.remove(handler)


def test_of_two_runs_the_later_date_inside_wins_and_the_other_is_named(tmp_path: Path, said: list[str]) -> None:
    late = change(write_run(tmp_path / "a", [1.0], ["a"], model="late"), date="20260302_000000")
    early = change(write_run(tmp_path / "b", [0.0], ["a"], model="early"), date="20260301_235959")
    os.utime(late, (1, 1))
    assert read_run(tmp_path).model == "late ()"
    assert str(early) in said[0]
    assert read_run(early).model == "early ()"
    early.write_text("{")  # then the date in its name counts, which is earlier
    assert read_run(tmp_path).model == "late ()"


def test_two_runs_of_one_second_are_not_chosen_between(tmp_path: Path) -> None:
    for name in "ab":
        change(write_run(tmp_path / name, [1.0], ["a"]), date="20260301_000000")
    with pytest.raises(ResultsError, match=r"dates do not tell which is the newest: .*Give one of them"):
        read_run(tmp_path)


@pytest.mark.parametrize(("limit", "offset", "left"), [(None, 1, 2), (2, 0, 2), (2, 2, 1), (1, 1, 1)])
def test_a_run_with_limit_or_offset_is_whole_and_tells_its_part(
    limit: int | None, offset: int, left: int, tmp_path: Path
) -> None:
    write_run(tmp_path, [1.0] * left, ["a"] * left)
    counts = {"original": 3, "effective": min(limit or 3, 3)}
    change(tmp_path, config={"model": "m", "limit": limit, "offset": offset}, **{"n-samples": {"finer_cub_fine": counts}})
    (task,) = read_run(tmp_path).tasks
    assert task.part == f"{left} of 3 documents"


def test_a_whole_run_is_no_part_and_a_partial_copy_is(tmp_path: Path) -> None:
    assert read_run(write_run(tmp_path / "a", [1.0], ["a"])).tasks[0].part == ""
    partial = write_run(tmp_path / "b", [1.0], ["a"], identity=IDENTITY | {"data_partial": True})
    assert read_run(partial).tasks[0].part == "a partial copy of the dataset"
    doubtful = write_run(tmp_path / "c", [1.0], ["a"], identity=IDENTITY | {"data_official": False})
    assert read_run(doubtful).tasks[0].part == "a split that is not known to be the official one"


def test_a_file_of_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"ends in _results.json"):
        read_run(change(write_run(tmp_path, [1.0], ["a"])).rename(tmp_path / "r.json"))
