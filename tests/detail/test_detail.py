"""Scores by detail of attributes on made-up runs whose figures are known."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.cli.main import main
from finer_tasks.detail.comparison import DetailTable, Labelled, compare_details
from finer_tasks.detail.plots import plot_details
from finer_tasks.errors import ResultsError
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from tests.simulated import IDENTITY as ON_DISK
from tests.simulated import write_run

IDENTITY = {
    "dataset": "mini",
    "level": "fine",
    "variant": "attrseek",
    "parent": "gold",
    "prompt_set": "finer-1",
    "data_fingerprint": "f",
    "data_source": "s",
    "scoring": "2",
}


def run(prompts: str, right: Collection[int], model: str = "m", **changes: Any) -> Run:
    """24 documents of 12 concepts: birds of the coarse labels A and B, a third each, and cars of C."""
    samples = []
    for number in range(24):
        concept = {"concept_id": f"c{number // 2:02}"}
        group = number // 8
        record = {"id": f"mini/test/{number}", "superordinate": "Car" if group == 2 else "Bird", "coarse": ["ABC"[group]]}
        items = {name: {"score": float(number in right)} | concept for name in ("em", "em_strict", "f1")}
        samples.append(Sample(record | concept, "", items))
    task = TaskRun("finer_mini_fine_attrseek", IDENTITY | {"prompt_hash": prompts} | changes, {}, tuple(samples), 24)
    return Run(Path("x"), model, (task,))


BASIC = Labelled("basic", run("b", range(0, 24, 2)))
HYPER = Labelled("hyper", run("h", [*range(8), *range(8, 24, 2)]))


def differences(table: DetailTable) -> dict[str, float]:
    return {one.name: round(one.cells["em"][1].difference.value, 6) for one in table.categories}  # type: ignore[union-attr]


def test_figures_worked_by_hand() -> None:
    (table,) = compare_details([BASIC, HYPER])
    assert (table.details, table.differing, table.way) == (("basic", "hyper"), ("prompts",), "attrseek")
    names = [(one.kind, one.name, one.documents, one.concepts) for one in table.categories]
    assert names == [
        ("all", "all", 24, 12), ("superordinate", "Bird", 16, 8), ("superordinate", "Car", 8, 4),
        ("coarse", "A", 8, 4), ("coarse", "B", 8, 4), ("coarse", "C", 8, 4),
    ]  # fmt: skip
    assert differences(table) == {"all": round(4 / 24, 6), "Bird": 0.25, "Car": 0, "A": 0.5, "B": 0, "C": 0}
    whole = table.categories[0].cells["em"]
    assert [cell.score.value for cell in whole] == pytest.approx([0.5, 16 / 24])
    assert whole[0].difference is None
    for category in table.categories:
        change = category.cells["em"][1].difference
        assert change
        assert change.low <= change.value <= change.high
        assert change.low < change.high  # no documents changed in some, and that is no certainty


def test_mixtures_and_told_attributes_differ_as_well() -> None:
    tuned = Labelled("likely", run("b", [1], model="m (peft=adapter)"))
    (table,) = compare_details([BASIC, tuned])
    assert (table.differing, table.notes) == (("model",), ())
    (table,) = compare_details([BASIC, Labelled("both", run("h", [1], model="m (peft=adapter)"))])
    assert table.differing == ("model", "prompts")
    assert "which of them makes a difference cannot be told" in table.notes[0]
    told = [Labelled(name, run("b", [1], attributes_fingerprint=name)) for name in ("few", "all")]
    assert compare_details(told)[0].differing == ("attributes",)


def test_runs_that_are_not_comparable_are_refused() -> None:
    with pytest.raises(ResultsError, match="nothing of model, prompts, attributes differs between basic and same"):
        compare_details([BASIC, Labelled("same", BASIC.run)])
    for runs in ([BASIC], [BASIC, Labelled("basic", HYPER.run)]):
        with pytest.raises(ResultsError, match="each with a name of its own"):
            compare_details(runs)
    other = Labelled("other", run("h", [], data_fingerprint="f+blur:1@00"))
    with pytest.raises(ResultsError, match=r"data differs: .*blur:1.*--allow data"):
        compare_details([BASIC, other])
    assert "although data differ" in compare_details([BASIC, other], ["data"])[0].notes[0]
    fewer = replace(HYPER.run.tasks[0], samples=HYPER.run.tasks[0].samples[:-1])
    with pytest.raises(ResultsError, match="1 of them in one only"):
        compare_details([BASIC, Labelled("hyper", replace(HYPER.run, tasks=(fewer,)))])
    elsewhere = replace(HYPER.run.tasks[0], name="finer_mini_coarse")
    with pytest.raises(ResultsError, match="no task in common"):
        compare_details([BASIC, Labelled("hyper", replace(HYPER.run, tasks=(elsewhere,)))])
    more = Labelled("hyper", replace(HYPER.run, tasks=(*HYPER.run.tasks, elsewhere)))
    assert "left out: finer_mini_coarse" in compare_details([BASIC, more])[0].notes[0]


def test_the_command_prints_and_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    concepts = [str(number % 5) for number in range(20)]
    for name, right in (("basic", [0.0] * 20), ("hyper", [1.0, 0.0] * 10)):
        write_run(tmp_path / name, right, concepts, identity=ON_DISK | {"prompt_hash": name})
    words = ["detail", f"basic={tmp_path / 'basic'}", f"hyper={tmp_path / 'hyper'}"]
    assert main([*words, "--plots", str(tmp_path / "plots")]) == 0
    assert "finer_cub_fine: prompts differ" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "detail-finer_cub_fine.png",
        "detail-finer_cub_fine.svg",
    ]
    assert main([*words, "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)
    assert table["categories"][0]["cells"]["em"][1]["difference"]["value"] == 0.5
    with pytest.raises(SystemExit):
        main(["detail", str(tmp_path / "basic")])
    assert "is not NAME=RUN" in capsys.readouterr().err


def test_of_many_categories_those_that_change_most_are_drawn(tmp_path: Path) -> None:
    (table,) = compare_details([BASIC, HYPER])
    many = replace(table, categories=(table.categories[0], *(replace(table.categories[3], name=f"x{n}") for n in range(60))))
    assert all(path.stat().st_size > 5000 for path in plot_details([many], tmp_path))


def test_first_turns_that_are_no_attributes_are_told() -> None:
    other = run("h", range(8))
    task = other.tasks[0]
    samples = [replace(one, items=one.items | {"seek_named": {"value": float(n < 9)}}) for n, one in enumerate(task.samples)]
    astray = replace(other, tasks=(replace(task, samples=tuple(samples)),))
    (table,) = compare_details([BASIC, Labelled("hyper", astray)])
    assert "hyper: asked for attributes, the model named the concept in 9 of 24 documents" in table.notes
