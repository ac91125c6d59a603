"""Scores by document of tasks that are not ours, as lmms-eval logs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lmms_eval.tasks import TaskManager

from finer_tasks.errors import ResultsError
from finer_tasks.retention.scores import read_scores
from finer_tasks.tasks import plugin
from tests.e2e.evaluating import write

TASK = """
task: colours
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{max_new_tokens: 2}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""


def own_tasks(folder: Path) -> Path:
    """A folder with a task of the user's own: questions without an image."""
    rows = [
        {"question": f"What colour is {thing}?", "answer": colour} for thing, colour in (("snow", "white"), ("coal", "black"))
    ]
    folder.mkdir(parents=True)
    (folder / "colours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "colours.yaml").write_text(TASK.format(data=folder / "colours.jsonl"))
    return folder


@pytest.fixture(scope="module")
def evaluated(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retention")
    plugin.register()
    index = TaskManager(include_path=str(own_tasks(folder / "own")), include_defaults=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        write(["colours", "finer_mini_fine"], folder / "out", index, limit=2)
    return folder / "out"


def test_tasks_of_others_and_ours_are_read_alike(evaluated: Path) -> None:
    found, groups = read_scores(evaluated, {})
    assert {name: scores.metric for name, scores in found.items()} == {"colours": "exact_match", "finer_mini_fine": "em"}
    assert groups.keys() == {"colours", "finer_mini_fine"}
    assert found["colours"].clusters == ("document 0", "document 1")
    assert len(set(found["finer_mini_fine"].clusters)) == 1  # the first two documents show one concept
    assert list(found["finer_mini_fine"].values) == [1.0, 1.0]
    assert read_scores(evaluated, {"finer_mini_fine": "f1"})[0]["finer_mini_fine"].metric == "f1"


def test_a_metric_that_is_not_there_is_refused_with_those_that_are(evaluated: Path) -> None:
    with pytest.raises(ResultsError, match=r"--metric colours=accuracy: no document of colours has .* one: exact_match"):
        read_scores(evaluated, {"colours": "accuracy"})


def test_a_task_without_scores_by_document_and_a_damaged_file_are_refused(evaluated: Path, tmp_path: Path) -> None:
    for path in evaluated.rglob("*"):
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (samples,) = tmp_path.glob("*_samples_colours.jsonl")
    rows = [json.loads(line) | {"exact_match": "no number"} for line in samples.read_text().splitlines()]
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ResultsError, match="colours logs no score by document"):
        read_scores(tmp_path, {})
    samples.write_text("[]\n")
    with pytest.raises(ResultsError, match=r"samples_colours.jsonl:1: no sample of lmms-eval"):
        read_scores(tmp_path, {})
