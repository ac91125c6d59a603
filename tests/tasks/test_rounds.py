"""Tasks of several rounds through lmms-eval's evaluator, on backends that take rounds in different ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.models import MODEL_REGISTRY_V2
from lmms_eval.tasks import TaskManager

from finer_tasks.errors import ModelError
from finer_tasks.models.finer_hf import FinerHF, FinerHFSimple
from finer_tasks.tasks import plugin
from finer_tasks.tasks.rounds import choose_rounds
from tests.tasks.backends import MANIFESTS, Backend, Serial, Simple

SEEK, PREDICTED = "finer_mini_fine_attrseek", "finer_mini_fine_parent_predicted"
YES_NO = "finer_mini_fine_yesno"
THEIRS = """
task: their_rounds
dataset_path: json
dataset_kwargs: {{data_files: {{test: {documents}}}}}
test_split: test
output_type: generate_until_multi_round
doc_to_text: question
doc_to_visual: null
doc_to_target: question
process_results: !function tests.tasks.theirs.score
metric_list: [{{metric: theirs, aggregation: mean, higher_is_better: true}}]
"""


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    plugin.register()
    known = dict(MODEL_REGISTRY_V2._manifests), dict(MODEL_REGISTRY_V2._alias_to_model_id)
    for manifest in MANIFESTS:
        MODEL_REGISTRY_V2.register_manifest(manifest)
    yield
    MODEL_REGISTRY_V2._manifests, MODEL_REGISTRY_V2._alias_to_model_id = known


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder with another project's task of several rounds."""
    documents = tmp_path / "documents.jsonl"
    documents.write_text('{"question": "a"}\n{"question": "b"}\n')
    (tmp_path / "their_rounds.yaml").write_text(THEIRS.format(documents=documents))
    return tmp_path


def evaluate(model: str, *tasks: str, include: Path | None = None) -> dict[str, Any]:
    Backend.calls.clear()
    Backend.seen.clear()
    manager = TaskManager(include_path=str(include) if include else None, include_defaults=False, model_name=model)
    results: dict[str, Any] = simple_evaluate(
        model=model, tasks=list(tasks), limit=3, task_manager=manager, log_samples=True, bootstrap_iters=0
    )
    return results


def replies(results: dict[str, Any], task: str) -> list[list[str]]:
    return [sample["em_strict"]["rounds"] for sample in results["samples"][task]]


def rounds(results: dict[str, Any], task: str) -> str:
    return str(results["configs"][task]["metadata"]["finer"]["rounds"])


@pytest.mark.parametrize("model", ["fake_backend", "fake_serial"])
def test_chat_backends_are_driven_round_by_round_in_batches(mini_data: Path, model: str) -> None:
    results = evaluate(model, SEEK, PREDICTED)
    assert {rounds(results, task) for task in (SEEK, PREDICTED)} == {"driver"}
    assert Backend.calls == [("generate_until", 6), ("generate_until", 6), ("generate_until", 3)]
    assert replies(results, SEEK) == [["- turn 1", "- turn 3"]] * 3
    assert replies(results, PREDICTED) == [["- turn 1"] * 3] * 3
    continued = next(conversation for conversation in Backend.seen if len(conversation) == 3)
    assert [turn["role"] for turn in continued] == ["user", "assistant", "user"]
    assert continued[1]["content"][0]["text"] == "- turn 1"


@pytest.mark.parametrize(
    ("model", "rounds"),
    [
        ("finer_hf", "multi_round"),
        (FinerHF.__new__(FinerHF), "multi_round"),
        (FinerHFSimple.__new__(FinerHFSimple), "agentic"),
        ("openai", "driver"),
        ("dummy", "agentic"),
        ("no_model_at_all", "agentic"),
        (None, "agentic"),
    ],
)
def test_how_models_take_rounds(model: Any, rounds: str) -> None:
    assert choose_rounds(model) == rounds


def test_a_backend_that_takes_rounds_together_does_so_itself(mini_data: Path) -> None:
    results = evaluate("fake_together", SEEK)
    assert (rounds(results, SEEK), Backend.calls) == ("multi_round", [("own", 3)])
    assert replies(results, SEEK) == [["own reply", "another"]] * 3


def test_backends_without_chat_turns_go_through_the_agentic_loop(mini_data: Path) -> None:
    results = evaluate("fake_simple", SEEK)
    assert (rounds(results, SEEK), Backend.calls) == ("agentic", [("generate_until", 1)] * 6)
    assert all("- after" in sample[1] for sample in replies(results, SEEK))


@pytest.mark.parametrize("model", ["fake_backend", "fake_serial", "fake_simple"])
def test_yes_and_no_are_asked_in_conversations_of_their_own(mini_data: Path, model: str) -> None:
    results = evaluate(model, YES_NO)
    asked = Backend.seen if model == "fake_simple" else [(turn[0]["content"][-1]["text"], len(turn)) for turn in Backend.seen]
    texts = sorted(text for text, _ in asked)
    items = [sample["yesno_both"] for sample in results["samples"][YES_NO]]
    claims = [claim for item in items for claim in item["claims"]]
    assert texts == sorted(
        f'Is the object in this image of the named type "{claim}"? Write "Answer: yes" or "Answer: no".' for claim in claims
    )
    assert model == "fake_simple" or {turns for _, turns in asked} == {1}
    assert [len(item["rounds"]) for item in items] == [2] * 3


def test_rounds_of_other_tasks_and_the_class_of_the_model_are_left_alone(mini_data: Path, theirs: Path) -> None:
    own = Serial.generate_until_multi_round
    results = evaluate("fake_serial", SEEK, "their_rounds", include=theirs)
    assert [sample["filtered_resps"] for sample in results["samples"]["their_rounds"]] == [[["own reply", "another"]]] * 2
    assert replies(results, SEEK) == [["- turn 1", "- turn 3"]] * 3
    assert Backend.calls == [("generate_until", 3), ("generate_until", 3), ("own", 2)]
    assert Serial.generate_until_multi_round is own
    assert Backend.generate_until_multi_round is not own


def test_a_model_passed_as_an_object_is_given_back_as_it_was(mini_data: Path) -> None:
    model = Serial()
    manager = TaskManager(include_defaults=False, model_name=model)
    results = simple_evaluate(model=model, tasks=[SEEK], limit=3, task_manager=manager, bootstrap_iters=0)
    assert rounds(results, SEEK) == "driver"
    assert "generate_until_multi_round" not in vars(model)


def test_tasks_made_for_another_kind_of_model_are_refused(mini_data: Path) -> None:
    manager = TaskManager(include_defaults=False, model_name="fake_backend")
    with pytest.raises(ModelError, match="made for a chat model, but Simple has no chat turns"):
        simple_evaluate(model=Simple(), tasks=[SEEK], limit=3, task_manager=manager, bootstrap_iters=0)
