"""Shards are merged where they are one run, all of it, and each document once; else the message names what is not so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.cli.main import main
from finer_tasks.errors import FinerError, OutputError, ResultsError
from finer_tasks.gate.gate import run_gate
from finer_tasks.gate.policy import Policy
from finer_tasks.gate.reading import read_measured
from finer_tasks.runs.merging import merge
from finer_tasks.runs.reading import read_run
from tests.simulated import IDENTITY, write_run

RIGHT = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0]
CONCEPTS = ["a", "a", "b", "b", "b", "c", "c"]
TASK = "finer_cub_fine"
METRICS = [
    {"metric": "em", "aggregation": "<function mean at 0x7f>", "higher_is_better": True},
    {"metric": "em_macro", "aggregation": "<function macro_mean at 0x7f>", "higher_is_better": True},
    {"metric": "lca_distance", "aggregation": "<function mean_of_known at 0x7f>", "higher_is_better": False},
    {"metric": "em_strict", "aggregation": "<function theirs at 0x7f>", "higher_is_better": True},
    {"metric": "failed_requests", "aggregation": "<function total at 0x7f>", "higher_is_better": False},
]


def shard(folder: Path, first: int, last: int, **options: Any) -> Path:
    """The run of documents first … last - 1 of the seven."""
    write_run(folder, RIGHT[first:last], CONCEPTS[first:last], offset=first, of=len(RIGHT), **options)
    return change(folder, lambda raw: raw["configs"][TASK].update(metric_list=METRICS))


def change(folder: Path, how: Callable[[dict[str, Any]], object]) -> Path:
    """Change the result file."""
    (path,) = folder.glob("*_results.json")
    raw = json.loads(path.read_text())
    how(raw)
    path.write_text(json.dumps(raw))
    return folder


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Three shards of one run, not in their order."""
    return [shard(tmp_path / f"{first}", first, last) for first, last in ((5, 7), (0, 2), (2, 5))]


def test_a_merged_run_has_all_documents_in_order_and_figures_of_all(shards: list[Path], tmp_path: Path) -> None:
    notes = merge(shards, tmp_path / "whole")
    assert [note.partition(":")[2][:40] for note in notes] == [
        " em_strict are left out of the figures, w"[:40],
        " the ids were not compared with the prepa"[:40],
    ]
    whole = read_run(tmp_path / "whole")
    (task,) = whole.tasks
    assert [sample.record["id"] for sample in task.samples] == [f"cub/test/{number}" for number in range(7)]
    assert list(task.scores("em")) == RIGHT
    assert task.part == ""
    raw = json.loads(whole.path.read_text())
    found = raw["results"][TASK]
    assert found["em,none"] == pytest.approx(4 / 7)
    assert found["em_macro,none"] == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)
    assert found["failed_requests,none"] == 0
    assert "em_strict,none" not in found
    assert raw["n-samples"][TASK] == {"original": 7, "effective": 7}
    assert raw["config"]["limit"] is None


def test_a_merged_run_tells_the_shards_that_it_was_made_of(shards: list[Path], tmp_path: Path) -> None:
    merge(shards, tmp_path / "whole")
    whole = read_run(tmp_path / "whole")
    assert whole.tasks[0].identity["merged"] == {"shards": 3, "compared_with_data": False}
    told = json.loads(whole.path.read_text())["merged"]["shards"]
    assert [one["documents"] for one in told] == [{TASK: "5–6"}, {TASK: "0–1"}, {TASK: "2–4"}]
    assert all(len(one["sha256"]) == 2 for one in told)


def test_a_merged_run_equals_the_run_in_one_piece_to_the_gate(shards: list[Path], tmp_path: Path) -> None:
    merge(shards, tmp_path / "whole")
    at_once = write_run(tmp_path / "once", RIGHT, CONCEPTS)
    gate = run_gate(read_measured(at_once), read_measured(tmp_path / "whole"), Policy())
    assert (gate.verdicts[0].comparison.worse, gate.verdicts[0].comparison.better) == (0, 0)
    assert len(gate.verdicts[0].pairs.ids) == 7


def test_a_folder_stands_for_all_shards_below_it(shards: list[Path], tmp_path: Path) -> None:
    merge([tmp_path], tmp_path.parent / f"{tmp_path.name}-whole")
    assert len(read_run(tmp_path.parent / f"{tmp_path.name}-whole").tasks[0].samples) == len(RIGHT)


def test_documents_in_no_shard_are_named_with_the_options_that_run_them(shards: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"3 of 7 documents are in no shard, 2–4\. .*--offset 2 --limit 3"):
        merge(shards[:2], tmp_path / "whole")
    assert not (tmp_path / "whole").exists()


def test_documents_in_two_shards_are_named(shards: list[Path], tmp_path: Path) -> None:
    again = shard(tmp_path / "again", 4, 6)
    with pytest.raises(ResultsError, match=r"again/.* and .*/5/.* share 1 documents, 5\."):
        merge([*shards[:2], again], tmp_path / "whole")


def differing(**identity: Any) -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw["configs"][TASK]["metadata"]["finer"].update(identity)


DIFFERENCES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "model": (lambda raw: raw["config"].update(model_args="pretrained=x"), r"different models \(m \(\); m \(pretrained=x\)\)"),
    "weights": (differing(weights="77"), r"weights \(None and '77'"),
    "prompts": (differing(prompt_hash="bb"), r"prompts \('aa' and 'bb'"),
    "parent": (differing(parent="none"), r"question \('gold' and 'none'"),
    "choices": (differing(choices={"name": "random"}), r"choices \(None and {'name': 'random'}"),
    "taxonomy": (differing(taxonomy="ab"), r"taxonomy \(None and 'ab'"),
    "data": (differing(data_fingerprint="ee"), r"data \('ff' and 'ee'"),
    "size": (lambda raw: raw["n-samples"][TASK].update(original=9), r"data \(7 and 9"),
    "scoring": (differing(scoring="2"), r"scoring \('1' and '2'"),
    "decoding": (lambda raw: raw["configs"][TASK].update(generation_kwargs={"do_sample": True}), r"decoding \(do_sample False and"),
    "arguments": (lambda raw: raw["config"].update(gen_kwargs={"temperature": 1}), r"decoding \('' and {'temperature': 1}"),
    "seed": (lambda raw: raw["config"].update(random_seed=1), r"seed \(None and 1"),
    "precision": (differing(backend={"dtype": "float16"}), r"backend \(None and {'dtype': 'float16'}"),
    "versions": (differing(finer_version="0.0.9"), r"versions \('0.1.0' and '0.0.9'.*--allow versions"),
    "machine": (differing(machine={"GPU": "A"}), r"machine \(None and {'GPU': 'A'}.*--allow machine"),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENCES)
def test_shards_that_were_made_unlike_are_refused(name: str, shards: list[Path], tmp_path: Path) -> None:
    how, message = DIFFERENCES[name]
    change(shards[2], how)
    with pytest.raises(ResultsError, match=message):
        merge(shards, tmp_path / "whole")


def test_what_may_differ_is_allowed_and_told(shards: list[Path], tmp_path: Path) -> None:
    change(shards[2], differing(machine={"GPU": "A"}))
    merge(shards, tmp_path / "whole", allow=["machine"])
    told = read_run(tmp_path / "whole").tasks[0].identity["merged"]
    assert told["differing"] == {"machine": [[None], [{"GPU": "A"}]]}
    with pytest.raises(ResultsError, match="--allow prompts: unknown; known are versions, batch_size, machine"):
        merge(shards, tmp_path / "other", allow=["prompts"])


def test_a_folder_that_is_there_is_not_written_into(shards: list[Path], tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    with pytest.raises(OutputError, match="is there already"):
        merge(shards, tmp_path / "whole")


def test_documents_that_are_not_those_of_the_prepared_data_are_refused(mini_data: Path, tmp_path: Path) -> None:
    from finer_tasks.datasets.prepared import load_prepared

    prepared = load_prepared("mini")
    rows = prepared.tables()["test"]
    identity = IDENTITY | {"dataset": "mini", "data_fingerprint": prepared.manifest.contents["test"]}
    concepts = [str(concept) for concept in rows["concept_id"]]
    for first, last in ((0, 300), (300, len(rows))):
        folder = tmp_path / "shards" / str(first)
        write_run(folder, [1.0] * (last - first), concepts[first:last], offset=first, of=len(rows), identity=identity)
        (path,) = folder.glob("*.jsonl")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            line["em_strict"]["record"]["id"] = rows[line["doc_id"]]["id"]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert merge([tmp_path / "shards"], tmp_path / "whole") == []
    lines[0]["em_strict"]["record"]["id"] = "mini/test/other"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ResultsError, match="document 300 of finer_cub_fine is mini/test/other, in the prepared split it is"):
        merge([tmp_path / "shards"], tmp_path / "other")


def test_the_command_merges_and_shows_the_run(shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", *map(str, shards), "--merge", str(tmp_path / "whole")]) == 0
    shown = capsys.readouterr()
    assert "0.571" in shown.out
    assert "merged from 3 shards" in shown.out
    assert f"written {tmp_path / 'whole'}" in shown.err
    assert main(["results", *map(str, shards)]) == 2
    assert "3 runs are given, and one is shown" in capsys.readouterr().err


def test_a_shard_without_results_is_named(shards: list[Path], tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    with pytest.raises(FinerError, match=r"killed: no .*_results.json below it. Has this shard run to its end"):
        merge([*shards, tmp_path / "killed"], tmp_path / "whole")
