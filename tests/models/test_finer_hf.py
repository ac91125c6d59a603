"""finer_hf with the built-in model, which loads through the ordinary code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import load_from_disk
from lmms_eval.api.instance import Instance
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForImageTextToText

from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.errors import ModelError
from finer_tasks.models.batching import BatchRunner, by_length
from finer_tasks.models.finer_hf import FinerHF, FinerHFSimple
from finer_tasks.models.loading import BUILT_IN
from finer_tasks.replies import read_reply
from finer_tasks.tasks import hooks, questions

GREEDY = {"max_new_tokens": 24, "do_sample": False}
# Documents that differ in level, and so in the length of the question.
LEVELS = ("superordinate", "coarse", "fine")


@pytest.fixture
def docs(mini_data: Path) -> Any:
    return load_from_disk(str(load_prepared("mini").data))["test"]


def question(doc: dict[str, Any], index: int) -> str:
    return hooks.doc_to_text(doc, {"level": LEVELS[index % 3], "parent": "none" if index % 3 == 0 else "gold"})


def messages(doc: dict[str, Any], text: str) -> list[dict[str, Any]]:
    content = [{"type": "image", "url": image} for image in hooks.doc_to_visual(doc)]
    return [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]


def request(index: int, arguments: tuple[Any, ...], kind: str = "generate_until") -> Instance:
    return Instance(kind, arguments, 0, {"task": "t", "doc_id": index, "repeats": 1})


def chat_requests(docs: Any, indices: list[int], gen: dict[str, Any] = GREEDY) -> list[Instance]:
    made = []
    for index in indices:
        text = question(docs[index], index)
        made.append(request(index, (text, lambda doc, text=text: messages(doc, text), dict(gen), index, "t", "test")))
    return made


def model(docs: Any, kind: type[FinerHF] = FinerHF, **options: Any) -> FinerHF:
    made = kind(pretrained="finer-mini", **options)
    made.task_dict = {"t": {"test": docs}}
    return made


def texts(results: list[Any]) -> list[str]:
    return [result.text for result in results]


def test_batches_of_mixed_lengths_answer_as_one_by_one_and_in_order(docs: Any) -> None:
    indices = list(range(0, 640, 13))
    single = texts(model(docs, batch_size=1).generate_until(chat_requests(docs, indices)))
    for size in (7, 64):
        assert texts(model(docs, batch_size=size).generate_until(chat_requests(docs, indices))) == single
    right = sum(docs[i]["fine"][0] in text for i, text in zip(indices, single, strict=True) if i % 3 == 2)
    assert right >= 0.7 * len([i for i in indices if i % 3 == 2])


def test_the_simple_form_answers_as_the_chat_form(docs: Any) -> None:
    indices = list(range(6))
    chat = texts(model(docs, batch_size=4).generate_until(chat_requests(docs, indices)))
    simple = [request(i, (question(docs[i], i), dict(GREEDY), hooks.doc_to_visual, i, "t", "test")) for i in indices]
    assert texts(model(docs, FinerHFSimple, batch_size=4).generate_until(simple)) == chat


def test_token_counts_and_stop_strings(docs: Any) -> None:
    plain = model(docs).generate_until(chat_requests(docs, [2]))[0]
    assert plain.token_counts.input_tokens > 64  # the image alone has 64
    assert 0 < plain.token_counts.output_tokens <= 24
    cut = model(docs).generate_until(chat_requests(docs, [2], GREEDY | {"until": ["er:"]}))[0]
    assert cut.text == plain.text.split("er:")[0]


def test_a_thought_that_the_template_opens_and_tags_that_are_special_tokens_stay_in_the_reply(docs: Any) -> None:
    thinking = model(docs)
    plain = texts(thinking.generate_until(chat_requests(docs, [0])))[0]
    thinking.tokenizer.add_special_tokens({"extra_special_tokens": ["[THINK]", "[/THINK]", "<pad2>"]})
    ids = thinking.tokenizer.encode("[THINK]red[/THINK]Finch<pad2>", add_special_tokens=False)
    thinking._use(thinking.model, thinking.encoder.processor, thinking.device, 1, 1)
    assert thinking.generator.decode(torch.tensor(ids)) == "[THINK]red[/THINK]Finch"
    thinking.encoder.processor.chat_template += "<think>\n"
    reply = texts(thinking.generate_until(chat_requests(docs, [0])))[0]
    assert reply.startswith("<think>")
    assert read_reply(reply).state == "unfinished"
    assert not plain.startswith("<think>")


def two_turns(docs: Any, indices: list[int], second: Callable[[str], list[dict[str, Any]]]) -> list[Instance]:
    """Ask the coarse question, then `second(reply)` in the same conversation."""
    made = []
    for index in indices:

        def rounds(doc: Any, round_idx: Any = None, previous_output: Any = None, previous_round_info: Any = None) -> Any:
            first = messages(doc, hooks.doc_to_text(doc, {"level": "coarse", "parent": "none"}))
            if round_idx is None:
                return first
            if round_idx == 1:
                return first + second(previous_output[0]), False, previous_output, None
            return None, True, previous_output, None

        made.append(request(index, ("question", rounds, dict(GREEDY), index, "t", "test"), "generate_until_multi_round"))
    return made


def follow_up(reply: str) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": [{"type": "text", "text": reply.strip()}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": 'Which named type is it exactly? Write its name after "Answer:".'}],
        },
    ]


def test_a_second_turn_on_the_kept_cache_equals_the_conversation_encoded_afresh(
    docs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    indices = list(range(0, 640, 40))
    kept = model(docs, batch_size=6)
    encoded: list[int] = []
    original = kept.encoder.encode
    monkeypatch.setattr(
        kept.encoder, "encode", lambda conversations: encoded.append(len(conversations)) or original(conversations)
    )
    replies = kept.generate_until_multi_round(two_turns(docs, indices, follow_up))
    assert sum(encoded) == len(indices)  # every image was encoded once, for the first turn
    fresh = model(docs, batch_size=6)
    fresh.generator.continues_cache = False
    again = fresh.generate_until_multi_round(two_turns(docs, indices, follow_up))
    one_by_one = model(docs, batch_size=1).generate_until_multi_round(two_turns(docs, indices, follow_up))
    assert all(len(rounds) == 2 for rounds in replies)
    assert replies == one_by_one
    same = sum(a == b for a, b in zip(replies, again, strict=True))
    assert same >= len(indices) - 1  # a reply tokenised anew may split differently from how it was generated


def test_what_a_stop_string_cut_off_is_not_seen_by_the_next_turn(docs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    indices = [0, 200, 400]
    requests = two_turns(docs, indices, follow_up)
    for made in requests:
        made.args[2]["until"] = [":"]  # of "Answer: Gull" stays "Answer"
    cut = model(docs, batch_size=3)
    seen: list[list[dict[str, Any]]] = []
    original = cut.encoder.encode
    monkeypatch.setattr(cut.encoder, "encode", lambda conversations: seen.extend(conversations) or original(conversations))
    replies = cut.generate_until_multi_round(requests)
    assert [rounds[0].strip() for rounds in replies] == ["Answer"] * 3
    assert [c[1]["content"][0]["text"] for c in seen[3:]] == ["Answer"] * 3  # encoded anew: the cache holds more


def test_rounds_that_start_afresh_and_documents_that_end_early(docs: Any) -> None:
    def rounds(doc: Any, round_idx: Any = None, previous_output: Any = None, previous_round_info: Any = None) -> Any:
        level = "superordinate" if round_idx is None else "coarse"
        ended = round_idx == 2 or (round_idx == 1 and "Bird" in previous_output[0])
        fresh = messages(doc, hooks.doc_to_text(doc, {"level": level, "parent": "none"}))
        return fresh if round_idx is None else (fresh, ended, previous_output, None)

    indices = [0, 200, 400, 600]
    requests = [request(i, ("q", rounds, dict(GREEDY), i, "t", "test"), "generate_until_multi_round") for i in indices]
    replies = model(docs, batch_size=4).generate_until_multi_round(requests)
    assert [len(r) for r in replies] == [1, 2, 2, 2]
    assert [r[0].strip() for r in replies] == [f"Answer: {docs[i]['superordinate']}" for i in indices]
    assert [r[1].strip() for r in replies[1:]] == [f"Answer: {docs[i]['coarse'][0]}" for i in indices[1:]]


def test_loglikelihood_prefers_the_true_label_and_is_the_same_in_batches(docs: Any) -> None:
    indices, labels = [0, 200, 400, 600], ["Bird", "Airplane", "Dog", "Car"]
    requests = [
        request(
            i,
            (
                questions.with_parent(docs[i], "superordinate", None),
                f"Answer: {label}",
                hooks.doc_to_visual,
                i,
                "t",
                "test",
            ),
            "loglikelihood",
        )
        for i in indices
        for label in labels
    ]
    batched = model(docs, FinerHFSimple, batch_size=5).loglikelihood(requests)
    single = model(docs, FinerHFSimple, batch_size=1).loglikelihood(requests)
    for row in range(4):
        losses = [loss for loss, _ in batched[4 * row : 4 * row + 4]]
        assert losses.index(min(losses)) == row
        assert [greedy for _, greedy in batched[4 * row : 4 * row + 4]] == [label == labels[row] for label in labels]
    assert [a for a, _ in batched] == pytest.approx([b for b, _ in single], abs=1e-3)


def test_a_batch_that_does_not_fit_is_halved_until_it_does(docs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = model(docs, batch_size=16)
    original, sizes = made.model.generate, []

    def generate(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(**inputs)

    monkeypatch.setattr(made.model, "generate", generate)
    indices = list(range(30))
    answers = texts(made.generate_until(chat_requests(docs, indices)))
    assert sizes[:3] == [16, 8, 4]
    assert max(sizes[2:]) <= 4
    assert answers == texts(model(docs, batch_size=4).generate_until(chat_requests(docs, indices)))


def test_after_a_back_off_every_batch_has_the_new_size() -> None:
    prepared: list[int] = []

    def prepare(jobs: list[int]) -> list[int]:
        prepared.append(len(jobs))
        return jobs

    def run(jobs: list[int], _: Any) -> list[int]:
        if len(jobs) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return jobs

    batches = list(BatchRunner(16, workers=2).map(list(range(160)), prepare, run))
    assert [job for jobs, _ in batches for job in jobs] == list(range(160))
    assert prepared == [16, 8, *[4] * 40]


def test_one_document_that_does_not_fit_is_an_error() -> None:
    runner = BatchRunner(1, 1)

    def run(jobs: list[int], prepared: Any) -> list[int]:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(ModelError, match="out of memory with a batch of one"):
        list(runner.map([1], lambda jobs: jobs, run))


def test_other_errors_of_a_batch_are_not_taken_for_lack_of_memory() -> None:
    def run(jobs: list[int], prepared: Any) -> list[int]:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(BatchRunner(4, 1).map([1, 2], lambda jobs: jobs, run))


def test_jobs_are_grouped_by_arguments_and_ordered_by_length() -> None:
    groups = by_length(["aa", "b", "CCC", "D"], len, lambda job: str(job.isupper()))
    assert groups == [["aa", "b"], ["CCC", "D"]]


def test_an_adapter_changes_the_answers_and_a_wrong_one_is_explained(docs: Any, tmp_path: Path) -> None:
    base = AutoModelForImageTextToText.from_pretrained(BUILT_IN["finer-mini"], dtype=torch.float32)
    lora = get_peft_model(base, LoraConfig(r=4, target_modules=r".*language_model.*\.(q_proj|v_proj)"))
    generator = torch.Generator().manual_seed(0)
    for name, parameter in lora.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    lora.save_pretrained(tmp_path / "adapter")
    plain = texts(model(docs, batch_size=8).generate_until(chat_requests(docs, list(range(8)))))
    adapted = texts(
        model(docs, batch_size=8, peft=str(tmp_path / "adapter")).generate_until(chat_requests(docs, list(range(8))))
    )
    assert adapted != plain
    with pytest.raises(ModelError, match=r"not an adapter that can be read.*adapter_config.json"):
        FinerHF(pretrained="finer-mini", peft=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs the model argument pretrained="),
        ({"pretrained": "/nonexistent/model"}, "pretrained=/nonexistent/model cannot be loaded"),
        ({"pretrained": "finer-mini", "dtyp": "float32"}, "unknown model argument 'dtyp'; known are batch_size"),
        ({"pretrained": "finer-mini", "dtype": "float33"}, "dtype=float33 is no precision of models. Use auto, float32"),
        ({"pretrained": "finer-mini", "dtype": "int8"}, "dtype=int8 is no precision"),
        ({"pretrained": "finer-mini", "dtype": 16}, "dtype=16: give a text"),
        ({"pretrained": "finer-mini", "device": "cuad"}, "device=cuad is no device of torch"),
        ({"pretrained": "finer-mini", "device": "xpu"}, "device=xpu is not there"),
        ({"pretrained": "finer-mini", "load_in_4bit": "yes"}, "load_in_4bit=yes: give True or False"),
        ({"pretrained": "finer-mini", "workers": "two"}, "workers=two: give a number of threads"),
        ({"pretrained": "finer-mini", "batch_size": None}, "batch_size=None"),
        ({"pretrained": "finer-mini", "batch_size": "many"}, "batch_size=many"),
        ({"pretrained": "finer-mini", "batch_size": 0}, "give a positive number or auto"),
    ],
)
def test_mistakes_in_model_arguments_are_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        FinerHF(**options)


def test_a_cuda_device_that_is_not_there_is_named() -> None:
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is there")
    with pytest.raises(ModelError, match="no CUDA device is visible"):
        FinerHF(pretrained="finer-mini", device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_batches_answer_as_one_by_one(docs: Any) -> None:
    indices = list(range(0, 640, 20))
    single = texts(model(docs, batch_size=1, device="cuda", dtype="float32").generate_until(chat_requests(docs, indices)))
    batched = texts(model(docs, batch_size=16, device="cuda", dtype="float32").generate_until(chat_requests(docs, indices)))
    assert batched == single
