"""Multiple-choice tasks through lmms-eval: the same options however a run is cut, and the same figures on any backend."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager

from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.models.finer_hf import FinerHF, FinerHFSimple
from finer_tasks.options.choosing import LEVELS, kinds_of, options_of
from finer_tasks.options.negatives import Negatives, write_negatives
from finer_tasks.options.settings import ChoicesError, Setting
from finer_tasks.tasks import plugin
from finer_tasks.tasks.binding import TaskError
from tests.tasks.backends import Backend

ANSWERED = ["finer_mini_coarse_mc", "finer_mini_fine_mc"]
LIKELIHOOD = "finer_mini_fine_mc_likelihood"


def run(model: Any, tasks: list[str], limit: int = 4, offset: int = 0) -> Any:
    plugin.register()
    manager = TaskManager(include_defaults=False, model_name=model)
    return simple_evaluate(model=model, tasks=tasks, limit=limit, offset=offset, log_samples=True, task_manager=manager)


def finer_mini(kind: type[FinerHF] = FinerHF) -> FinerHF:
    return kind(pretrained="finer-mini", batch_size=4)


class Right(Backend):
    """Answers with the letter of the right option where `by_letter`, else with its name."""

    by_letter = True

    def __init__(self) -> None:
        super().__init__()
        self.questions: dict[str, str] = {}

    def generate_until(self, requests: Any) -> list[str]:
        found = []
        for request in requests:
            question, _, self.arguments, doc_id, task, split = request.args
            self.questions[f"{task} {doc_id}"] = question
            doc = self.task_dict[task][split][doc_id]
            options = options_of(doc, "coarse" if "coarse" in task else "fine", Setting("siblings"))
            found.append(options.letters[options.right] if self.by_letter else options.names[options.right])
        return found


def test_letters_and_names_are_right_and_documents_keep_their_options(mini_data: Path) -> None:
    by_letter, by_name = Right(), Right()
    by_name.by_letter = False
    first, second = run(by_letter, ANSWERED), run(by_name, ANSWERED, limit=3, offset=2)
    for task in ANSWERED:
        assert first["results"][task]["mc,none"] == second["results"][task]["mc,none"] == 1
        assert first["results"][task]["mc_chance,none"] == 1
        assert first["results"][task]["mc_foci_rule,none"] == 1
        samples = {sample["doc_id"]: sample for sample in first["samples"][task]}
        for sample in second["samples"][task]:
            if sample["doc_id"] in samples:
                assert sample["mc"]["options"] == samples[sample["doc_id"]]["mc"]["options"]
        identity = first["configs"][task]["metadata"]["finer"]
        assert identity["choices"] == {"name": "siblings", "options": 4, "seed": 0, "version": 1}
        assert (identity["parent"], identity["prompt_set"]) == ("none", "questions-1")
    common = by_letter.questions.keys() & by_name.questions.keys()
    assert len(common) == 4
    assert all(by_letter.questions[key] == by_name.questions[key] for key in common)
    assert all("\nA. " in question and "\nD. " in question for question in by_letter.questions.values())


def test_one_request_of_all_options_gives_the_figures_of_a_request_for_each(mini_data: Path) -> None:
    together, each = run(finer_mini(), [LIKELIHOOD], 3), run(finer_mini(FinerHFSimple), [LIKELIHOOD], 3)
    for one, two in zip(together["samples"][LIKELIHOOD], each["samples"][LIKELIHOOD], strict=True):
        assert one["mc_name_norm"]["scores"] == pytest.approx(two["mc_name_norm"]["scores"], abs=1e-4)
        assert one["mc_letter"]["chosen"] == two["mc_letter"]["chosen"]
        # A letter is few tokens behind "Answer: ": its sum over them all, and their mean.
        ratio = [a / b for a, b in zip(one["mc_letter"]["scores"], two["mc_letter"]["scores"], strict=True)]
        assert ratio == pytest.approx([ratio[0]] * len(ratio), rel=1e-3)
        assert "mc_name_sum" in one
        assert "mc_name_sum" not in two


def test_a_protocol_asks_and_decodes_as_it_does(mini_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = load_prepared("mini")
    keys = {level: list(kinds_of("mini", level)) for level in LEVELS}
    docs = list(prepared.tables()["test"])
    nearest = {
        level: {
            doc["id"]: tuple(key for key in keys[level] if key not in (doc["concept_id"], doc["coarse"][0]))[:5] for doc in docs
        }
        for level in LEVELS
    }
    contents = prepared.manifest.contents["test"]
    made = Negatives("mini", "image", "some-clip", "", "a photo of a {}", "test", contents, "2026-01-01", nearest)
    write_negatives(made, tmp_path / "mini.json")
    monkeypatch.setenv("FINER_CHOICES", f"tara:{tmp_path}")
    backend = Right()
    found = run(backend, ANSWERED[1:])
    assert backend.arguments["max_new_tokens"] == 5
    config = found["configs"][ANSWERED[1]]
    assert config["metadata"]["finer"]["choices"]["model"] == "some-clip"
    assert config["generation_kwargs"]["max_new_tokens"] == 5
    assert all(question.startswith("You classify images by a hierarchy") for question in backend.questions.values())
    with pytest.raises(TaskError, match="reads answers alone"):
        run(finer_mini(), [LIKELIHOOD])


def test_a_setting_that_cannot_be_used_is_refused_before_a_model_is_asked(
    mini_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("hard", f"embedding:{tmp_path / 'absent.json'}"):
        monkeypatch.setenv("FINER_CHOICES", text)
        with pytest.raises(ChoicesError, match="FINER_CHOICES"):
            run(Backend(), ANSWERED)


def test_random_options_come_from_the_whole_level(mini_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_CHOICES", "random,options=6,seed=2")
    samples = run(Backend(), ANSWERED[1:], limit=20)["samples"][ANSWERED[1]]
    assert {len(sample["mc"]["options"]) for sample in samples} == {6}
    kinds = kinds_of("mini", "fine")
    parents = Counter(kinds[key].parent for sample in samples for key in sample["mc"]["keys"])
    assert len(parents) > 8
