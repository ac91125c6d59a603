"""What the questions about one image share is computed once, and answers stay those of each question by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import load_from_disk
from lmms_eval.api.instance import Instance
from PIL import Image

from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.models.batching import BatchRunner
from finer_tasks.models.finer_hf import FinerHF, FinerHFSimple
from finer_tasks.models.prefix import BRANCHES, Prefix
from finer_tasks.replies import ROUNDS, rounds_of
from finer_tasks.tasks import hooks
from tests.training import tiny_models

LEVELS = ("superordinate", "coarse", "fine")
GREEDY = {"max_new_tokens": 16, "do_sample": False}


def request(index: int, task: str, text: str, messages: Any, **arguments: Any) -> Instance:
    place = (text, messages, GREEDY | arguments, index, task, "test")
    return Instance("generate_until", place, 0, {"task": task, "doc_id": index, "repeats": 1})


def three_levels(docs: Any, indices: list[int]) -> list[Instance]:
    """The direct questions of three tasks about the same documents, and one without image."""
    made = []
    for level in (*LEVELS, "text"):
        for index in indices:
            asked = "fine" if level == "text" else level
            text = hooks.doc_to_text(docs[index], {"level": asked, "parent": "none" if asked == "superordinate" else "gold"})

            def messages(doc: Any, text: str = text, shows: bool = level != "text") -> Any:
                images = [{"type": "image", "url": image} for image in hooks.doc_to_visual(doc)] if shows else []
                return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]

            made.append(request(index, level, text, messages, max_new_tokens=20 if level == "fine" else 12))
    return made


class Counted:
    """A model that counts the images it encodes."""

    def __init__(self, model: FinerHF, tasks: Any) -> None:
        self.model, self.images = model, 0
        model.task_dict = tasks
        model.model.get_image_features = self._counted(model.model.get_image_features)
        inner = model.model.model
        inner.get_image_features = self._counted(inner.get_image_features)

    def _counted(self, own: Any) -> Any:
        def features(pixel_values: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            self.images += len(pixel_values)
            return own(pixel_values, *args, **kwargs)

        return features

    def answers(self, requests: list[Instance], shares: bool = True) -> list[str]:
        self.images, self.model.generator.branches = 0, shares
        return [result.text for result in self.model.generate_until(requests)]


@pytest.fixture
def docs(mini_data: Path) -> Any:
    return load_from_disk(str(load_prepared("mini").data))["test"]


@pytest.mark.parametrize("size", [4, 12])
def test_each_image_is_encoded_once_for_all_tasks_and_answers_stay(docs: Any, size: int) -> None:
    indices = [0, 100, 300, 500, 639]
    requests = three_levels(docs, indices)
    counted = Counted(FinerHF(pretrained="finer-mini", batch_size=size), {task: {"test": docs} for task in (*LEVELS, "text")})
    apart = counted.answers(requests, shares=False)
    assert counted.images == 15
    assert counted.answers(requests) == apart
    assert counted.images == 5
    assert apart[0].strip() == f"Answer: {docs[0]['superordinate']}"


def test_rounds_among_single_turns_go_on_from_the_same_image(docs: Any) -> None:
    def rounds(doc: Any, round_idx: Any = None, previous_output: Any = None, previous_round_info: Any = None) -> Any:
        kwargs = {"level": "fine", "parent": "gold"}
        return hooks.attrseek_messages(doc, kwargs, round_idx, previous_output, previous_round_info)

    indices = [0, 200, 400]
    direct = [one for one in three_levels(docs, indices) if one.args[4] == "fine"]
    seeking = [request(index, "seek", "q", rounds, max_new_tokens=120, **{ROUNDS: True}) for index in indices]
    counted = Counted(FinerHF(pretrained="finer-mini", batch_size=6), {task: {"test": docs} for task in ("fine", "seek")})
    together = counted.answers([*direct, *seeking])
    assert counted.images == 3
    several = [Instance("generate_until_multi_round", one.args, 0, one.metadata) for one in seeking]
    apart = counted.model.generate_until_multi_round(several)
    assert [rounds_of([text]) for text in together[3:]] == [[reply.strip() for reply in replies] for replies in apart]
    assert together[:3] == counted.answers(direct, shares=False)


def test_scoring_continuations_shares_nothing_and_opens_each_request_s_image_once(docs: Any) -> None:
    opened: list[str] = []

    def visuals(doc: Any) -> list[Image.Image]:
        opened.append(doc["id"])
        return hooks.doc_to_visual(doc)

    places = [("What?", f" {label}", visuals, index, "t", "test") for index in (0, 200, 400) for label in ("Bird", "Dog")]
    model = FinerHFSimple(pretrained="finer-mini", batch_size=4)
    model.task_dict = {"t": {"test": docs}}
    model.loglikelihood(
        [Instance("loglikelihood", place, 0, {"task": "t", "doc_id": place[3], "repeats": 1}) for place in places]
    )
    assert sorted(opened) == sorted(docs[place[3]]["id"] for place in places)


def test_a_document_whose_image_changes_between_questions_is_not_shared(docs: Any) -> None:
    def messages(colour: str) -> Any:
        image = Image.new("RGB", (64, 64), colour)
        return lambda doc: [{"role": "user", "content": [{"type": "image", "url": image}, {"type": "text", "text": "What?"}]}]

    requests = [request(0, colour, "What?", messages(colour)) for colour in ("red", "blue")]
    model = FinerHF(pretrained="finer-mini", batch_size=2)
    model.task_dict = {colour: {"test": docs} for colour in ("red", "blue")}
    apart = [model.generate_until([one])[0].text for one in requests]
    assert [result.text for result in model.generate_until(requests)] == apart


def test_a_prefix_that_does_not_fit_backs_off_and_answers_stay(docs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = three_levels(docs, [0, 100, 300])
    counted = Counted(FinerHF(pretrained="finer-mini", batch_size=12), {task: {"test": docs} for task in (*LEVELS, "text")})
    apart = counted.answers(requests, shares=False)
    own = counted.model.generator.prefix

    def narrow(heads: Any) -> Prefix | None:
        if len(heads.texts) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return own(heads)

    monkeypatch.setattr(counted.model.generator, "prefix", narrow)
    assert counted.answers(requests) == apart
    assert counted.model.runner.batch_size < 6


def test_batches_keep_what_belongs_together_where_there_is_room() -> None:
    def batches(jobs: list[str], size: int) -> list[str]:
        runner = BatchRunner(size, workers=1)
        return ["".join(batch) for batch, _ in runner.map(jobs, lambda b: b, lambda b, _: b, together=lambda job: job.lower())]

    assert batches(list("aAAbBBcC"), 4) == ["aAA", "bBB", "cC"]
    assert batches(list("aAAbBBcC"), 6) == ["aAAbBB", "cC"]
    assert batches(list("aAAAAb"), 2) == ["aA", "AA", "Ab"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llava-next", "llava-onevision", "idefics3", "smolvlm", "internvl", "qwen2.5-vl"])
def test_answers_of_other_architectures_stay(tmp_path: Path, name: str) -> None:
    """In float32 on a CPU all replies are equal; other kernels may differ where two tokens are as likely."""
    tiny_models.save(name, tmp_path)
    documents = [{"id": f"x/test/{index}", "concept_id": "c"} for index in range(4)]
    questions = {"a": "What is it?", "b": "Which group of birds does it belong to? Tell its name.", "c": "Name the kind."}

    def messages(text: str) -> Any:
        def made(doc: Any) -> Any:
            number = int(doc["id"][-1])
            noise = torch.randint(
                256, (64 + 8 * number, 48 + 16 * (number % 2), 3), generator=torch.Generator().manual_seed(number)
            )
            image = Image.fromarray(noise.to(torch.uint8).numpy())
            return [{"role": "user", "content": [{"type": "image", "url": image}, {"type": "text", "text": text}]}]

        return made

    requests = [request(i, task, text, messages(text)) for task, text in questions.items() for i in range(4)]
    model = FinerHF(pretrained=str(tmp_path), batch_size=6)
    model.task_dict = {task: {"test": documents} for task in questions}
    assert model.generator.branches == (model.model.config.model_type in BRANCHES) == (name != "qwen2.5-vl")
    prefixes = []
    own = model.generator.prefix
    model.generator.prefix = lambda heads: prefixes.append(own(heads)) or prefixes[-1]
    together = [result.text for result in model.generate_until(requests)]
    assert (len(prefixes) == 2 and all(prefixes)) == (name != "qwen2.5-vl")
    model.generator.branches = False
    assert [result.text for result in model.generate_until(requests)] == together
