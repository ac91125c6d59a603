"""The modality gap on made-up runs whose figures are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.errors import ResultsError
from finer_tasks.gap.comparison import gaps
from finer_tasks.gap.plots import plot_gaps
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample

IDENTITY = {
    "dataset": "mini",
    "level": "fine",
    "parent": "gold",
    "prompt_set": "p",
    "prompt_hash": "h",
    "data_fingerprint": "f",
    "data_source": "s",
}


def task(variant: str, right: list[int], **changes: Any) -> TaskRun:
    """Documents 0, 1, … of concepts a, a, b, b, … and groups A, A, A, A, B, …; `right` are those answered right."""
    samples = []
    for i in range(8):
        value = float(i in right)
        concept = {"concept_id": "abcd"[i // 2]}
        record = {"id": f"mini/test/{i}", "coarse": ["AB"[i // 4]], **concept}
        items = {"em": {"score": value} | concept, "em_strict": {"score": value} | concept, "f1": {"score": value} | concept}
        samples.append(Sample(record, "", items))
    return TaskRun(f"finer_mini_fine_{variant}", IDENTITY | {"variant": variant} | changes, {}, tuple(samples))


def run(*tasks: TaskRun) -> Run:
    return Run(Path("x"), "m", tasks)


IMAGE, TEXT = task("direct", [0, 4]), task("text", [0, 1, 2, 3, 4])


def test_figures_worked_by_hand() -> None:
    (gap,) = gaps([run(IMAGE, TEXT, task("parent_only", []))])
    arms = {arm.name: arm.em.value for arm in gap.arms}
    assert arms == {"image": 2 / 8, "text": 5 / 8, "parent_only": 0.0}
    assert gap.differences["text"].value == pytest.approx(3 / 8)
    cells = {name: cell.value for name, cell in gap.knows_sees.items()}
    assert cells == {"yes_yes": 2 / 8, "yes_no": 3 / 8, "no_yes": 0.0, "no_no": 3 / 8}
    assert gap.by_coarse == {"A": 1.0 - 0.25, "B": 0.25 - 0.25}
    assert gap.widest[0] == ("b", 1.0)
    assert (gap.documents, gap.concepts) == (8, 4)
    assert gap.notes == ()


def test_intervals_hold_the_value_and_are_the_same_every_time() -> None:
    one, two = gaps([run(IMAGE, TEXT)]), gaps([run(IMAGE), run(TEXT)])
    assert one == two
    for estimate in (*one[0].differences.values(), *one[0].knows_sees.values()):
        assert estimate.low <= estimate.value <= estimate.high
    assert one[0].differences["text"].low < one[0].differences["text"].high
    assert "parent_only" in one[0].notes[0]


@pytest.mark.parametrize(
    ("key", "allow"),
    [("prompt_hash", "prompts"), ("data_fingerprint", "data"), ("scoring", "scoring"), ("taxonomy", "scoring")],
)
def test_other_prompts_data_or_scoring_are_refused_unless_allowed(key: str, allow: str) -> None:
    runs = [run(IMAGE, task("text", [], **{key: "other"}))]
    with pytest.raises(ResultsError, match=f"cannot be compared: {allow} differs: .*'other'.* --allow {allow}"):
        gaps(runs)
    assert gaps(runs, [allow])[0].notes[0] == f"compared although {allow} differ between the arms"


def test_arms_of_two_models_or_decodings_are_refused() -> None:
    with pytest.raises(ResultsError, match=r"model differs: 'other \(7b\)' and 'm'"):
        gaps([run(IMAGE), replace(run(TEXT), model="other (7b)")])
    sampled = replace(TEXT, generation={"do_sample": True})
    with pytest.raises(ResultsError, match=r"decoding differs: {'do_sample': True} and {}"):
        gaps([run(IMAGE, sampled)])
    longer = replace(TEXT, generation={"max_new_tokens": 256})
    assert gaps([run(IMAGE, longer)])[0].notes == gaps([run(IMAGE, TEXT)])[0].notes
    with pytest.raises(ResultsError, match="--allow weather: unknown"):
        gaps([run(IMAGE, TEXT)], ["weather"])


def test_other_documents_are_refused_and_named() -> None:
    fewer = replace(TEXT, samples=TEXT.samples[:-1])
    with pytest.raises(ResultsError, match="7 and 8 documents, 1 of them in one only, for example mini/test/7"):
        gaps([run(IMAGE, fewer)])


def test_the_same_task_twice_or_no_image_arm_is_refused() -> None:
    with pytest.raises(ResultsError, match="in more than one of the results"):
        gaps([run(IMAGE), run(IMAGE)])
    with pytest.raises(ResultsError, match="no direct coarse or fine task"):
        gaps([run(TEXT)])


def test_inaturalists_text_arm_is_told_to_tell_more() -> None:
    (gap,) = gaps([run(task("direct", [0], dataset="inat"), task("text", [0], dataset="inat"))])
    assert "ranks down to genus" in gap.notes[0]


def test_plots_in_both_formats(tmp_path: Path) -> None:
    written = plot_gaps(gaps([run(IMAGE, TEXT)]), tmp_path)
    assert {path.suffix for path in written} == {".png", ".svg"}
    assert all(path.stat().st_size > 5000 for path in written)


def test_arms_that_tell_other_attributes_are_refused() -> None:
    text, both = (task(name, [], attributes_fingerprint=value) for name, value in (("text", "aa"), ("both", "bb")))
    with pytest.raises(ResultsError, match=r"both and finer_mini_fine_text cannot be compared: attributes differs"):
        gaps([run(IMAGE, text, both)])
    assert gaps([run(IMAGE, text, both)], ["attributes"])[0].notes[0].startswith("compared although attributes differ")


def test_an_arm_with_requests_that_failed_is_refused_unless_allowed() -> None:
    failing = replace(TEXT.samples[0], outputs=("[LMMS_EVAL_REQUEST_FAILED after 3 retries] 429",))
    text = replace(TEXT, samples=(failing, *TEXT.samples[1:]))
    with pytest.raises(ResultsError, match=r"finer_mini_fine_text: 1 x request_failed.*--allow request_failed"):
        gaps([run(IMAGE, text)])
    assert "text: 1 requests were not answered" in " ".join(gaps([run(IMAGE, text)], ["request_failed"])[0].notes)


def graded(variant: str, scores: list[float]) -> TaskRun:
    """Documents of concepts a (1), b (2) and c (4), groups A (a, b) and B (c), with scores between 0 and 1."""
    samples = []
    for number, (concept, score) in enumerate(zip("abbcccc", scores, strict=True)):
        record = {"id": f"mini/test/{number}", "coarse": ["B" if concept == "c" else "A"], "concept_id": concept}
        items = {name: {"score": score, "concept_id": concept} for name in ("em", "em_strict", "f1")}
        samples.append(Sample(record, "", items))
    return TaskRun(f"finer_mini_fine_{variant}", IDENTITY | {"variant": variant}, {}, tuple(samples))


def test_figures_of_unequal_concepts_and_graded_scores() -> None:
    image, text = [0.5, 0.0, 0.25, 1.0, 0.75, 0.5, 0.1], [1.0, 0.2, 0.3, 1.0, 0.5, 0.9, 0.6]
    (gap,) = gaps([run(graded("direct", image), graded("text", text))])
    assert gap.arms[0].f1.value == pytest.approx(sum(image) / 7)
    assert gap.differences["text"].value == pytest.approx((sum(text) - sum(image)) / 7)
    assert gap.by_concept["b"] == pytest.approx(((0.2 + 0.3) / 2, 0.25 / 2))
    assert gap.by_concept["c"] == pytest.approx((3.0 / 4, 2.35 / 4))
    assert gap.by_coarse == pytest.approx({"A": (1.5 - 0.75) / 3, "B": (3.0 - 2.35) / 4})
    cells = {name: cell.value for name, cell in gap.knows_sees.items()}
    assert cells["yes_no"] == pytest.approx(sum(t * (1 - i) for t, i in zip(text, image, strict=True)) / 7)
    assert sum(cells.values()) == pytest.approx(1)
