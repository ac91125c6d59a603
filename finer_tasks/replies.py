"""From what a model returned to the text of its answer: the one place where a reply enters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

MARKER = "Answer:"
_END_MARKS = re.compile(
    r"</s>|<\|im_end\|>|<\|endoftext\|>|<\|eot_id\|>|<\|end\|>|<end_of_turn>|<end_of_utterance>|<eos>|<\|return\|>|<｜end▁of▁sentence｜>"
)

# Why a document, which then counts as wrong, has no answer of the model; and the figures that count them.
Unanswered = Literal["corrupt_image", "request_failed", "unfinished_thought"]
COUNTED_AS: Mapping[Unanswered, str] = {
    "corrupt_image": "corrupt_images",
    "request_failed": "failed_requests",
    "unfinished_thought": "unfinished_thoughts",
}
# Stands for a reply without any content, so that replies are text in every file.
NO_CONTENT = "[FINER_NO_CONTENT]"
# What backends of lmms-eval return where no model answered; the last one is its async_openai on empty content.
_FAILED = re.compile(
    r"\[LMMS_EVAL_[A-Z_]+|\[SAFETY_BLOCKED\b|\[GENERATION_FAILED\]|\[FINER_NO_CONTENT\]|"
    r'Error: can only concatenate str \(not "NoneType"\) to str'
)

# Around a thought: most families; Kimi-VL; Magistral; Seed-OSS; LongCat; EXAONE Deep; Gemma 4; MedGemma; Command A;
# OpenThinker; gpt-oss, whose thought ends where the final channel begins.
THOUGHT_TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<analysis>", "</analysis>"),
    ("<reasoning>", "</reasoning>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<thought>", "</thought>"),
    ("<|channel>thought", "<channel|>"),
    ("<unused94>thought", "<unused95>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
# Around the answer: most families; Granite and ERNIE; GLM; Command A; OpenThinker; LLaVA-CoT. \boxed{} is one as well.
ANSWER_TAGS = (
    ("<answer>", "</answer>"),
    ("<response>", "</response>"),
    ("<|begin_of_box|>", "<|end_of_box|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<CONCLUSION>", "</CONCLUSION>"),
)
# The generation argument that tells a request of several rounds which comes among those of one.
ROUNDS = "rounds"


def _any_of(tags: Sequence[tuple[str, str]]) -> re.Pattern[str]:
    """Any of the tags, opening ones as the group `open`."""
    opening, closing = ("|".join(re.escape(pair[side]) for pair in tags) for side in (0, 1))
    return re.compile(f"(?P<open>{opening})|(?:{closing})", re.IGNORECASE)


_THOUGHT, _ANSWER = _any_of(THOUGHT_TAGS), _any_of(ANSWER_TAGS)
_FAMILIES = tuple(_any_of((pair,)) for pair in THOUGHT_TAGS)
# Of LaTeX, in a box: commands that set a font.
_FONT = re.compile(r"\\(?:text|math)[a-z]*\{([^{}]*)\}")
_FONTS_NESTED = 3
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


@dataclass(frozen=True)
class Reply:
    """What a model said, without its thoughts and the tags of its answer.

    `state` is empty, "failed" (the backend returned no answer, for the cause in `detail`) or "unfinished"
    (a thought that never closed); then there is no text, so that it cannot be right.
    """

    text: str
    state: str = ""
    detail: str = ""

    @property
    def answer(self) -> str:
        """The text as it is scored."""
        return extract_answer(self.text)


def read_reply(raw: Any) -> Reply:
    """The reply in a backend's output: text, None, or the content parts of a chat message.

    A closing tag without an opening one ends a thought that the chat template opened in the prompt.
    Text without tags comes back unchanged.
    """
    output = as_text(raw)
    start = output.lstrip()
    if _FAILED.match(start):
        return Reply("", "failed", " ".join(start.split()))
    text = _without_thoughts(output)
    if text is None:
        return Reply("", "unfinished", "a thought that does not end, most often cut off at max_new_tokens")
    return Reply(_tagged_answer(text))


def no_answer(outputs: Sequence[str], readable: bool = True) -> Unanswered | None:
    """Why a document has no answer of the model: its image, else any of its replies."""
    if not readable:
        return "corrupt_image"
    states = {read_reply(output).state for output in outputs}
    return "request_failed" if "failed" in states else "unfinished_thought" if "unfinished" in states else None


def as_text(raw: Any) -> str:
    """A backend's output as text; NO_CONTENT where there is none."""
    if isinstance(raw, (list, tuple)):
        parts = [_part_text(part) if isinstance(part, dict) else part for part in raw]
        raw = "".join(part for part in parts if isinstance(part, str)) or None
    return NO_CONTENT if raw is None else str(raw)


def _part_text(part: Mapping[str, Any]) -> Any:
    """The text of a content part, None where it is the model's thought."""
    return None if part.get("type") in ("thinking", "reasoning", "thought") else part.get("text")


def _without_thoughts(text: str) -> str | None:
    """The text outside of thoughts, stripped if there were any; None where one never closes.

    Family by family with the rules of lmms-eval's --reasoning_tags, so that a text of which it has removed
    some families already reads the same.
    """
    if not _THOUGHT.search(text):
        return text
    for family in _FAMILIES:
        text = _without_family(text, family)
    left = list(_THOUGHT.finditer(text))
    if any(tag["open"] for tag in left):
        return None
    return text[left[-1].end() if left else 0 :].strip()


def _without_family(text: str, family: re.Pattern[str]) -> str:
    kept: list[str] = []
    position, start = 0, None
    for tag in family.finditer(text):
        if tag["open"]:
            start = tag.start() if start is None else start
        elif start is not None:
            kept.append(text[position:start])
            position, start = tag.end(), None
    text = "".join(kept) + text[position:]
    if start is not None:
        return text
    return text[max((tag.end() for tag in family.finditer(text)), default=0) :]


def _tagged_answer(text: str) -> str:
    """What stands between the tags of the one answer; of several the tags alone are removed, so that none is preferred."""
    tags = list(_ANSWER.finditer(text))
    opening = [tag.end() for tag in tags if tag["open"]]
    if tags and len(opening) <= 1:
        start = opening[0] if opening else 0
        end = next((tag.start() for tag in tags if not tag["open"] and tag.start() >= start), len(text))
        text = text[start:end].strip() or text
    text = _ANSWER.sub("", text).strip() if tags else text
    if "\\boxed{" not in text:
        return text
    for _ in range(_FONTS_NESTED):
        text = _FONT.sub(r"\1", text)
    return _BOXED.sub(r"\1", text)


def rounds_of(results: Sequence[Any]) -> list[str]:
    """All replies of a document, whichever way lmms-eval hands them over: text, list, or our JSON of rounds.

    lmms-eval strips the first two, so that those in the JSON are stripped as well: a run's replies do not tell the ways apart.
    """
    value: Any = results[0] if results else None
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (list, tuple)):
        return [as_text(reply) for reply in value] or [NO_CONTENT]
    text = as_text(value)
    if text.startswith('{"rounds"'):
        try:
            packed = json.loads(text)["rounds"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return [text]
        if isinstance(packed, list):
            return [as_text(reply).strip() for reply in packed] or [NO_CONTENT]
    return [text]


def pack_rounds(replies: Sequence[Any]) -> str:
    """All replies as one text, which `rounds_of` reads; without "<", so that nothing takes a tag's pair from two replies."""
    return json.dumps({"rounds": [as_text(reply) for reply in replies]}).replace("<", "\\u003c")


def opened_thought(prompt: str) -> str:
    """The opening tag with which a prompt ends, where the chat template has begun the thought that the reply goes on with."""
    end = prompt.rstrip()
    return next((opening for opening, _ in THOUGHT_TAGS if end.endswith(opening)), "")


def is_tag(token: str) -> bool:
    """Whether a special token is a tag, or a piece of one, that tells thought from answer."""
    return len(token) > 2 and any(token in tag for pair in (*THOUGHT_TAGS, *ANSWER_TAGS) for tag in pair)


def extract_answer(output: str) -> str:
    """The text after the first "Answer:", else the whole output; end-of-sequence marks removed, stripped.

    Rule of the FINER benchmark (Kim & Ji 2024, released evaluation).
    """
    _, marker, after = output.partition(MARKER)
    return _END_MARKS.sub("", after if marker else output).strip()
