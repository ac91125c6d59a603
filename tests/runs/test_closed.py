"""Closed sets of a run: their figures, paths through the levels, and answering only where the model is sure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.cli.main import main
from finer_tasks.runs.closed import closed_rows, risk_curves, selective_rows
from finer_tasks.runs.paths import path_rows
from finer_tasks.runs.reading import read_run
from tests.closed_runs import Choice, write_closed_run
from tests.submission.made import write_whole_run

CONCEPTS = ["alder_finch", "arlen_heron", "ansel_duck", "airdrie_owl"]
# The finest level is right and sure, right and less so, wrong and unsure, and one image is corrupt.
CHOICES: dict[str, list[Choice | None]] = {
    "superordinate": [("Bird", 0.99), ("Bird", 0.98), ("Bird", 0.97), None],
    "coarse": [("Finch", 0.95), ("Heron", 0.9), ("Duck", 0.85), None],
    "fine": [("alder_finch", 0.8), ("arlen_heron", 0.7), ("berwick_duck", 0.5), None],
}


def test_figures_of_a_closed_set_and_what_was_taken_for_what(tmp_path: Path) -> None:
    fine = [row for row in closed_rows(read_run(write_closed_run(tmp_path / "run", CONCEPTS, CHOICES))) if row.level == "fine"]
    assert [row.kind for row in fine] == ["sum", "norm", "pmi"]
    assert (fine[0].documents, fine[0].top1, fine[0].top5, fine[0].corrupt_images) == (4, 0.5, 0.5, 1)
    assert fine[0].rank == pytest.approx((1 + 1 + 33) / 3)  # the wrong choice above 63 ties
    assert fine[0].confusions == (("ansel_duck", "berwick_duck", 1),)
    assert fine[0].ece == pytest.approx((0.2 + 0.3 + 0.5) / 3)


def test_choices_of_three_levels_make_a_path(tmp_path: Path) -> None:
    run = read_run(write_closed_run(tmp_path / "run", CONCEPTS, CHOICES, kinds=["norm"]))
    (row,) = path_rows(run)
    assert (row.scorer, row.variant, row.documents) == ("closed_top1_norm", "closed", 4)
    assert row.hca is not None
    assert row.por is not None
    assert (row.hca.value, row.por.value) == pytest.approx((2 / 4, 8 / 12))


def test_backing_off_answers_at_the_level_that_is_sure(tmp_path: Path) -> None:
    rows = selective_rows(read_run(write_closed_run(tmp_path / "run", CONCEPTS, CHOICES)))
    assert [(row.kind, row.level) for row in rows[:4]] == [
        ("sum", "superordinate"), ("sum", "coarse"), ("sum", "fine"), ("sum", "back-off"),
    ]  # fmt: skip
    fine, whole = rows[2:4]
    assert fine.area == pytest.approx((0 + 0 + 1 / 3 + 2 / 4) / 4)
    assert (fine.excess, fine.coverage, fine.answered) == (0, 0.5, {"fine": 2})
    assert whole.answered == {"coarse": 1, "fine": 2}  # the unsure duck is a duck; the corrupt image is not answered
    assert whole.coverage == pytest.approx((3 + 3 + 2) / 12)


def test_results_tell_and_draw_closed_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_closed_run(tmp_path / "run", CONCEPTS, CHOICES)
    assert main(["results", str(run), "--plots", str(tmp_path / "plots")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for told in ("closed sets: answering only where sure", "coarse 1, fine 2", "choice of a document in closed sets"):
        assert told in printed
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert names == {f"risk-coverage-mini-{kind}.{end}" for kind in ("sum", "norm", "pmi") for end in ("png", "svg")}
    assert main(["results", str(run), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["selective"][3]["level"] == "back-off"
    assert document["selective"][3]["excess"] is None


def test_levels_that_are_not_all_there_have_no_path(tmp_path: Path) -> None:
    run = read_run(write_closed_run(tmp_path / "run", CONCEPTS, {level: CHOICES[level] for level in ("fine", "coarse")}))
    assert path_rows(run) == []
    assert {row.level for row in selective_rows(run)} == {"coarse", "fine"}
    assert list(risk_curves(run)["mini-sum"]) == ["coarse", "fine"]


def test_a_run_without_closed_sets_has_no_curves(mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_whole_run(tmp_path / "run", 0.5, tasks=("finer_mini_fine",))
    assert main(["results", str(run), "--plots", str(tmp_path / "plots")]) == 2
    assert "--plots draws closed sets, and" in capsys.readouterr().err
    assert not (tmp_path / "plots").exists()


def test_of_a_tie_the_other_concept_is_the_one_taken_for_the_right_one(tmp_path: Path) -> None:
    tied = 1 / 64
    run = write_closed_run(tmp_path / "run", CONCEPTS[:2], {"fine": [("alder_finch", tied), ("arlen_heron", tied)]}, ["norm"])
    (row,) = closed_rows(read_run(run))
    assert row.top1 == 0
    assert {right for right, _, _ in row.confusions} == {"alder_finch", "arlen_heron"}
    assert all(right != chosen for right, chosen, _ in row.confusions)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("closed_ece_sum", None, "'closed_ece_sum' is missing"),
        ("closed_rank_norm", None, "'closed_rank_norm' is missing"),
        ("closed_ece_sum", {"confidence": float("nan")}, "closed_ece_sum: the confidence is nan"),
        ("closed_ece_pmi", {"confidence": "high"}, "closed_ece_pmi: the confidence is high"),
        ("closed_ece_pmi", {"confidence": 7}, "closed_ece_pmi: the confidence is 7"),
        ("closed_ece_pmi", {"confidence": None}, "the first concepts, rank and confidence by pmi are not all there"),
        ("closed_top1_pmi", {"top": []}, "closed_top1_pmi: top is no list of concepts"),
        ("closed_top1_norm", {"top": "alder_finch"}, "closed_top1_norm: top is no list of concepts"),
        ("closed_top1_sum", {"top": None}, "the first concepts, rank and confidence by sum are not all there"),
    ],
)
def test_a_damaged_figure_is_told_with_its_line(
    name: str, change: dict[str, Any] | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_closed_run(tmp_path / "run", CONCEPTS, {"fine": CHOICES["fine"]})
    path = run / "r_samples_finer_mini_fine_closed.jsonl"
    first, *others = path.read_text().splitlines()
    sample = json.loads(first)
    if change is None:
        del sample[name]
    else:
        sample[name] |= change
    path.write_text("\n".join([json.dumps(sample), *others]) + "\n")
    assert main(["results", str(run)]) == 2
    assert f"{path}:1: not a sample of a FINER task ({told}" in capsys.readouterr().err
