"""From a model's raw output to the text of its answer."""

from __future__ import annotations

import re

MARKER = "Answer:"
_END_MARKS = re.compile(r"</s>|<\|im_end\|>|<\|endoftext\|>|<\|eot_id\|>|<\|end\|>|<end_of_turn>|<end_of_utterance>|<eos>")


def extract_answer(output: str) -> str:
    """The text after the first "Answer:", else the whole output; end-of-sequence marks removed, stripped.

    Rule of the FINER benchmark (Kim & Ji 2024, released evaluation).
    """
    _, marker, after = output.partition(MARKER)
    return _END_MARKS.sub("", after if marker else output).strip()
