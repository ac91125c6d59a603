"""BERTScore of logged lists with a tiny random model: identical lists score 1, others less; quality is the model's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import BertModel

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.cli.main import main
from finer_tasks.errors import ResultsError
from finer_tasks.runs.bertscore import bertscore
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from tests.submission.made import write_whole_run
from tests.tiny_bert import tiny_bert


def run_of(**lists: Any) -> Run:
    concept = sorted(load_knowledge("mini").concepts)[0]
    sample = Sample({"concept_id": concept}, "", {"attr_f1": lists})
    return Run(Path("x"), "m", (TaskRun("finer_mini_attributes", {"dataset": "mini"}, {}, (sample,)),))


def test_identical_lists_score_one_and_others_less(tmp_path: Path) -> None:
    BertModel(tiny_bert(tmp_path)).save_pretrained(tmp_path)
    truth = load_knowledge("mini")[sorted(load_knowledge("mini").concepts)[0]]
    same = bertscore(run_of(required=list(truth.required), likely=list(truth.likely)), str(tmp_path), layers=1)
    assert same["finer_mini_attributes"] == pytest.approx(1, abs=1e-4)
    other = bertscore(run_of(required=["red"], likely=[]), str(tmp_path), layers=1)
    assert other["finer_mini_attributes"] < 0.999


def test_a_model_whose_layers_are_unknown_asks_for_them(tmp_path: Path) -> None:
    BertModel(tiny_bert(tmp_path)).save_pretrained(tmp_path)
    with pytest.raises(ResultsError, match="does not know which layer of it to take"):
        bertscore(run_of(required=["red"], likely=[]), str(tmp_path))
    with pytest.raises(ResultsError, match="num_layers should be between 0 and 1"):
        bertscore(run_of(required=["red"], likely=[]), str(tmp_path), layers=7)
    with pytest.raises(ResultsError, match="no_such"):
        bertscore(run_of(required=["red"], likely=[]), str(tmp_path / "no_such"), layers=1)


@pytest.mark.parametrize("model", ["no/model", "no/model:3", "C:/no/model", "no/model:x"])
def test_a_run_without_lists_is_said_to_have_none(
    model: str, mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_whole_run(tmp_path / "run", 1.0, tasks=("finer_mini_superordinate",))
    assert main(["results", str(run), "--bertscore", model]) == 2
    assert "no task of" in capsys.readouterr().err
