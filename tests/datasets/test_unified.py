"""The authors' unified files: what is one concept, which split a file is, and what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from finer_tasks.cli.main import main
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.prepared import Prepared, load_prepared
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError
from tests import official


def entry(idx: Any, fine: Any, **changes: Any) -> dict[str, Any]:
    labels = {"basic-level-lbl": "Airplane", "coarse-level-lbl": ["Boeing"], "fine-level-lbl": fine}
    return {"idx": idx, "img_path": "/home/someone/set/images/001/x.jpg", "metadata": {}} | labels | changes


def write(path: Path, *entries: dict[str, Any]) -> Path:
    return official.write(path, *(json.dumps(item) for item in entries))


def prepared(tmp_path: Path, dataset: str, *entries: dict[str, Any]) -> Prepared:
    official.picture(tmp_path / "images/001/x.jpg")
    return prepare(Request(dataset, tmp_path, unified={"test": write(tmp_path / "unified.jsonl", *entries)}))


def rows(result: Prepared) -> list[dict[str, Any]]:
    return list(load_from_disk(str(result.data))["test"])


def test_labels_are_the_files_own_and_paths_of_another_machine_are_found(tmp_path: Path) -> None:
    result = prepared(tmp_path, "cub", entry(5, ["Laysan Albatross", "Phoebastria"], **{"coarse-level-lbl": "Albatross"}))
    (row,) = rows(result)
    assert (row["id"], row["image"], row["fine"]) == ("cub/test/5", "images/001/x.jpg", ["Laysan Albatross", "Phoebastria"])
    assert [concept.concept_id for concept in result.concepts()] == ["laysan_albatross"]
    assert not result.manifest.partial


def test_aircraft_with_family_and_variant_in_any_order_are_a_hundred_concepts(tmp_path: Path) -> None:
    classes = load_taxonomy("aircraft").classes
    entries = []
    for index, concept in enumerate(classes.values()):
        labels = list(concept.fine)
        entries += [entry(2 * index, labels), entry(2 * index + 1, labels[::-1])]
    result = prepared(tmp_path, "aircraft", *entries)
    assert {concept.concept_id for concept in result.concepts()} == {concept.concept_id for concept in classes.values()}
    assert len(result.concepts()) == 100
    for row, concept in zip(rows(result), [c for c in classes.values() for _ in range(2)], strict=True):
        assert (row["concept_id"], row["class_id"], row["fine"][0]) == (concept.concept_id, concept.fine[0], concept.fine[0])


def test_known_names_give_the_ids_of_the_official_dataset(tmp_path: Path) -> None:
    result = prepared(
        tmp_path, "cub", entry(1, ["Cardinal"]), entry(2, ["Northern Cardinal"]), entry(3, ["Black footed Albatross"])
    )
    assert [row["concept_id"] for row in rows(result)] == ["northern_cardinal", "northern_cardinal", "black_footed_albatross"]
    assert set(result.concepts()[1].fine) == {"Cardinal", "Northern Cardinal"}


def test_species_without_a_common_name_or_with_a_shared_one_stay_apart(tmp_path: Path) -> None:
    names = (["Lumbricus terrestris", ""], ["Anas platyrhynchos", "Duck"], ["Duck", "Anas acuta"], ["Duck"], ["Yucca", None])
    result = prepared(tmp_path, "inat", *(entry(index, labels) for index, labels in enumerate(names)))
    assert [row["concept_id"] for row in rows(result)] == [
        "lumbricus_terrestris", "anas_platyrhynchos", "anas_acuta", "duck", "yucca",
    ]  # fmt: skip
    assert rows(result)[0]["fine"] == ["Lumbricus terrestris"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "not valid JSON"),
        ("[" * 100_000, "not valid JSON: maximum recursion depth"),
        ('{"idx": 6, "img_path": "x"}', "field 'basic-level-lbl' is missing"),
        ("[]", "field 'idx' is missing"),
        (entry(-1, ["a"]), "field 'idx' must be a number from 0 or text, found -1"),
        (entry(True, ["a"]), "field 'idx' must be a number from 0 or text, found True"),
        (entry([1], ["a"]), "field 'idx' must be a number"),
        (entry(5, ["a"]), "idx '5' appears twice"),
        (entry(6, ["", None, " "]), "field 'fine-level-lbl' is missing or empty"),
        (entry(6, ["a", 5]), "field 'fine-level-lbl' must hold text"),
        (entry(6, {"a": 5}), "field 'fine-level-lbl' must hold text"),
        (entry(6, ["a"], img_path=7), "field 'img_path' must be text, found 7"),
        (entry(6, ["a"], **{"basic-level-lbl": ["Bird", "Animal"]}), "field 'basic-level-lbl' must be one label"),
        (entry(6, ["a\ud800"]), r"the character '\\ud800' in its labels or paths is no text"),
    ],
)
def test_an_entry_that_does_not_fit_is_named_with_line_and_field(tmp_path: Path, line: Any, message: str) -> None:
    text = line if isinstance(line, str) else json.dumps(line)
    file = official.write(tmp_path / "unified.jsonl", json.dumps(entry(5, ["737-300"])), "", text)
    official.picture(tmp_path / "images/001/x.jpg")
    with pytest.raises(DatasetContentError, match=rf"unified\.jsonl:3: .*{message}"):
        prepare(Request("aircraft", tmp_path, unified={"test": file}))


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(DatasetContentError, match=r"unified\.jsonl lists no image of the test split"):
        prepared(tmp_path, "cub")


def test_a_name_that_no_file_can_have_is_a_missing_image(tmp_path: Path) -> None:
    long = entry(6, ["737-300"], img_path="x" * 5000 + ".jpg")
    file = write(tmp_path / "unified.jsonl", entry(5, ["737-300"]), long)
    official.picture(tmp_path / "images/001/x.jpg")
    assert prepare(Request("aircraft", tmp_path, (), True, unified={"test": file})).manifest.partial


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from-unified", "a.jsonl"], "say which split the file is"),
        (["--from-unified", "a.jsonl", "--splits", "train,test"], "say which split the file is"),
        (["--from-unified", "a.jsonl", "--from-unified", "b.jsonl", "--splits", "test"], "say which split the file is"),
        (["--from-unified", "train=a.jsonl", "--from-unified", "test=b.jsonl"], "hold the same entries"),
        (["--from-unified", "test=a.jsonl", "--from-unified", "test=b.jsonl"], "two files for the test split"),
        (["--from-unified", "test=a.jsonl", "--splits", "train"], "gives the split test, --splits asks for train"),
        (["--from-unified", "test=gone.jsonl"], "gone.jsonl cannot be read: No such file or directory"),
        (["--splits", "val"], "unknown split 'val'; give train, test or train,test"),
        (["--splits", ""], "unknown split ''"),
    ],
)
def test_files_and_splits_that_do_not_go_together_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "b.jsonl"):
        write(tmp_path / name, entry(5, ["737-300"]))
    assert main(["prepare", "aircraft", "--root", ".", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["test=unified.jsonl"], ["unified.jsonl", "--splits", " test "]])
def test_the_split_of_a_file_is_said_either_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    official.picture(tmp_path / "images/001/x.jpg")
    write(tmp_path / "unified.jsonl", entry(5, ["737-300"]))
    assert main(["prepare", "aircraft", "--root", ".", "--from-unified", *arguments]) == 0
    assert set(load_prepared("aircraft").manifest.splits) == {"test"}


def test_a_download_of_one_split_is_not_taken_for_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "inat", "--download", "--splits", "train,test"]) == 2
    assert "--download fetches test only; get the train split by hand" in capsys.readouterr().err


def test_files_of_the_authors_of_the_benchmark_are_no_doubtful_split(tmp_path: Path) -> None:
    assert prepared(tmp_path, "cub", entry(5, ["Laysan Albatross"])).manifest.is_official("test")
