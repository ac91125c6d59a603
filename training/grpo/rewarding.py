"""Rewards of the answers that a model drew, each computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from finer_tasks.scoring.judge import judge
from finer_tasks.training.grpo.recipe import Reward
from finer_tasks.training.grpo.reward import reward_of

_REMEMBERED = 1 << 17
# What is logged of a step's answers, to see what a reward teaches: a share that grows beside "right" is worth a look.
KINDS = ("right", "too_general", "wrong", "several", "other", "overlong")


class Rewarder:
    """Rewards answers as TRL asks for it, and remembers what an answer to a record's question is worth.

    decode: from the tokens of an answer to its text, as the evaluation reads it.
    """

    __name__ = "em_strict"  # what TRL calls its figures by

    def __init__(self, worth: Reward, decode: Callable[[Sequence[int]], str]) -> None:
        self.worth, self._decode = worth, decode
        self._known: dict[tuple[str, str, bool, str], tuple[float, str]] = {}

    def __call__(
        self,
        completion_ids: Sequence[Sequence[int]],
        doc: Sequence[Mapping[str, Any]],
        level: Sequence[str],
        told: Sequence[bool],
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float]:
        """Rewards of answers by their tokens, the records they are about, the levels asked, and whether parents were told."""
        replies = [self._decode(ids) for ids in completion_ids]
        found = [self.reward(*one) for one in zip(doc, level, told, replies, strict=True)]
        if log_metric is not None:
            counts = Counter(kind for _, kind in found)
            counts["overlong"] = sum(len(reply) > self.worth.max_characters for reply in replies)
            for kind in KINDS:
                log_metric(f"answers/{kind}", counts[kind] / len(replies))
        return [value for value, _ in found]

    def reward(self, doc: Mapping[str, Any], level: str, told: bool, reply: str) -> tuple[float, str]:
        """What a reply is worth, and which of KINDS it is."""
        key = (doc["id"], level, told, reply)
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            verdict = judge(doc, [reply], level)[2]
            self._known[key] = reward_of(verdict, level, told, len(reply), self.worth), _kind(verdict.reason)
        return self._known[key]


def _kind(reason: str) -> str:
    return "wrong" if reason.startswith("wrong_") else reason if reason in KINDS else "other"
