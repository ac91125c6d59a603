from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lmms_eval.api.reasoning import strip_reasoning_tags

from finer_tasks.replies import (
    ANSWER_TAGS,
    NO_CONTENT,
    THOUGHT_TAGS,
    Reply,
    no_answer,
    pack_rounds,
    read_reply,
    rounds_of,
)

# The default of lmms-eval's option --reasoning_tags.
STRIPPED_BY_LMMS_EVAL = [["<think>", "</think>"], ["<analysis>", "</analysis>"]]


@pytest.mark.parametrize(("opening", "closing"), THOUGHT_TAGS)
def test_thoughts_of_every_family(opening: str, closing: str) -> None:
    thought = "It looks like a Pug.\nAnswer: Pug"
    assert read_reply(f"{opening}{thought}{closing}\nAnswer: Beagle").answer == "Beagle"
    assert read_reply(f"{thought}{closing}\nBeagle") == Reply("Beagle")
    cut_off = read_reply(f"{opening}{thought}")
    assert (cut_off.text, cut_off.state) == ("", "unfinished")
    assert read_reply(f"{opening}{closing}") == Reply("")


@pytest.mark.parametrize(("opening", "closing"), ANSWER_TAGS)
def test_answers_in_tags_of_every_family(opening: str, closing: str) -> None:
    assert read_reply(f"<think>a Pug?</think>\nNot a Pug: {opening}Beagle{closing}.") == Reply("Beagle")
    assert read_reply(f"{opening}\nAnswer: Beagle{closing}").answer == "Beagle"
    assert read_reply(f"Answer: {opening}Beagle").answer == "Beagle"
    assert read_reply(f"Beagle{closing}") == Reply("Beagle")
    assert read_reply(f"{opening}Pug{closing} or {opening}Beagle{closing}") == Reply("Pug or Beagle")


@pytest.mark.parametrize(
    "text",
    [
        "Beagle",
        " Answer: a < b > c ",
        "<b>Pug</b>",
        "< think >",
        "I think it is [a Pug]",
        "analysis of <the> wing",
        "a<br/>b</s>",
    ],
)
def test_text_without_such_tags_is_untouched(text: str) -> None:
    assert read_reply(text) == Reply(text)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("<Thinking>a</THINKING> Pug", "Pug"),
        ("<think>a</thinking>Pug", "Pug"),
        ("a</think> b <think>c</think> d", "b  d"),
        ("Answer: $\\boxed{\\text{Pug}}$", "Answer: $Pug$"),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Pug<|return|>", "Pug<|return|>"),
        ("\\boxed{\\text{Black \\textbf{Pug}}} or \\boxed{\\mathrm{Beagle}}", "Black Pug or Beagle"),
        ([{"type": "reasoning", "text": "a Pug?"}, {"type": "text", "text": "Beagle"}], "Beagle"),
        ([{"type": "thinking", "thinking": []}, {"type": "text", "text": "Pug"}, " dog"], "Pug dog"),
    ],
)
def test_odd_replies(output: object, text: str) -> None:
    assert read_reply(output) == Reply(text)


@pytest.mark.parametrize(
    "output",
    [
        "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Error code: 429 - Answer: Pug",
        "[LMMS_EVAL_BUDGET_EXCEEDED]",
        "[SAFETY_BLOCKED:finish_reason=2]",
        'Error: can only concatenate str (not "NoneType") to str',
        NO_CONTENT,
        None,
        [],
    ],
)
def test_what_a_backend_returns_where_no_model_answered(output: object) -> None:
    reply = read_reply(output)
    assert (reply.text, reply.answer, reply.state) == ("", "", "failed")
    assert reply.detail


_pieces = st.lists(
    st.sampled_from(["Pug ", "Beagle\n", "Answer: ", "<think>", "</think>", "<analysis>", "</analysis>"]), max_size=12
)


@given(_pieces.map("".join))
@settings(max_examples=300)
def test_what_lmms_eval_has_stripped_already_reads_the_same(text: str) -> None:
    there, here = read_reply(strip_reasoning_tags(text, STRIPPED_BY_LMMS_EVAL)), read_reply(text)
    assert (there.text.strip(), there.state) == (here.text.strip(), here.state)


@given(st.text(st.characters(exclude_characters=">▷]\\")))
def test_arbitrary_text_without_tags_is_untouched(text: str) -> None:
    assert read_reply(text) == Reply(text)


@pytest.mark.parametrize("piece", ["<think>", "</think>", "<answer>", "\\boxed{", "<think>a</think>"])
def test_long_runs_of_tags_are_read_in_one_pass(piece: str) -> None:
    assert read_reply(piece * 20_000).state == ("unfinished" if piece == "<think>" else "")


@pytest.mark.parametrize(
    ("results", "rounds"),
    [
        (["Answer: x"], ["Answer: x"]),
        ([["a", "b"]], ["a", "b"]),
        ([[["a", "b"]]], ["a", "b"]),
        ([["a", None]], ["a", NO_CONTENT]),
        ([json.dumps({"rounds": ["a", "b"]})], ["a", "b"]),
        (['{"rounds": "ab"}'], ['{"rounds": "ab"}']),
        (['{"rounds" broken'], ['{"rounds" broken']),
        ([None], [NO_CONTENT]),
        ([], [NO_CONTENT]),
    ],
)
def test_replies_in_whichever_form_lmms_eval_hands_them_over(results: list[object], rounds: list[str]) -> None:
    assert rounds_of(results) == rounds


def test_rounds_in_one_text() -> None:
    rounds = ["<think>open", "end</think> Pug", "a < b"]
    packed = pack_rounds([*rounds, None])
    assert rounds_of([packed]) == [*rounds, NO_CONTENT]
    assert rounds_of([strip_reasoning_tags(packed, STRIPPED_BY_LMMS_EVAL)]) == [*rounds, NO_CONTENT]
    assert json.loads(packed)["rounds"][2] == "a < b"
    deep = '{"rounds": ' + "[" * 100_000
    assert rounds_of([deep]) == [deep]


def test_why_a_document_of_several_rounds_has_no_answer() -> None:
    assert no_answer(["a", NO_CONTENT, "<think>a"]) == "request_failed"
    assert no_answer(["<think>a", "a"]) == "unfinished_thought"
    assert no_answer(["a", "b"]) is None
    assert no_answer([NO_CONTENT], readable=False) == "corrupt_image"
