"""The strict scorer against verdicts by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.datasets.taxonomy import load_taxonomy
from tests.scoring.agreement import ANSWERS, agreement, judge, judged, table

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "cases" / "strict_answers.jsonl"


FLOORS = {"first.jsonl": 0.97, "second.jsonl": 0.93, "third.jsonl": 0.97, "fourth.jsonl": 0.95, "fifth.jsonl": 0.97}


@pytest.mark.parametrize(("path", "floor"), [*((ANSWERS / name, floor) for name, floor in FLOORS.items()), (SHARED, 0.95)])
def test_the_scorer_agrees_with_verdicts_by_hand(path: Path, floor: float) -> None:
    if not path.exists():
        pytest.skip(f"{path} is not here; it is not part of the project")
    answers = judged(path)
    count, em, strict, false_right = agreement(answers)
    assert strict >= floor * count, [a for a in answers if a.strict.right != a.human]
    assert strict > em
    assert false_right <= 1, [a for a in answers if a.strict.right and not a.human]


def test_every_kind_of_use_of_a_name_is_read_as_meant() -> None:
    answers = judged(ROOT / "tests" / "scoring" / "strict_kinds.jsonl")
    assert [answer for answer in answers if answer.strict.right != answer.human] == []


@pytest.mark.parametrize("dataset", ["aircraft", "cars", "cub", "dogs", "nabirds"])
def test_every_class_is_told_from_its_neighbour_in_a_sentence_that_names_both(dataset: str) -> None:
    classes = {c.concept_id: name for name, c in reversed(load_taxonomy(dataset).classes.items())}
    labels = {name: load_taxonomy(dataset).concept(name).fine for name in classes.values()}
    wrong = []
    for own, other in zip(labels, [*labels][1:] + [*labels][:1], strict=True):
        for answer in (
            f"This is a {labels[own][0]}, not a {labels[other][0]}.",
            f"{labels[other][0]}? No, a {labels[own][0]}.",
        ):
            if not judge(dataset, own, "fine", answer).right:
                wrong.append(answer)
            if not {*labels[own]} & {*labels[other]} and judge(dataset, other, "fine", answer).right:
                wrong.append(answer)
    assert wrong == []


@pytest.mark.parametrize("column", ["dataset", "style"])
def test_the_table_in_the_docs_is_the_measured_one(column: str) -> None:
    assert table(column) in (ROOT / "docs" / "em_strict.md").read_text(encoding="utf-8")
