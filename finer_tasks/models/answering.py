"""From a batch of jobs to all replies of their rounds, on one prefix where its conversations share images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finer_tasks.models.closed_set import ClosedSets
from finer_tasks.models.conversation import Conversation
from finer_tasks.models.generation import Generator, TokenCounts, Turn
from finer_tasks.models.jobs import Job, alike, next_messages
from finer_tasks.models.prefix import Heads, Prefix, branch, encode_heads
from finer_tasks.scoring.candidates import CANDIDATES


@dataclass(frozen=True)
class Encoded:
    """A batch made ready on the CPU: its conversations, and either their inputs or the heads that they share."""

    conversations: list[Conversation]
    inputs: Any = None
    heads: Heads | None = None


class Answering:
    """Prepares batches in background threads and answers them."""

    def __init__(self, generator: Generator) -> None:
        self.generator, self.encoder = generator, generator.encoder
        self.closed_sets = ClosedSets(generator)

    def prepare(self, jobs: Sequence[Job]) -> Encoded:
        """Decode the images, render and encode the prompts."""
        conversations = [job.conversation for job in jobs]
        if self.generator.branches and (heads := encode_heads(self.encoder, [job.document for job in jobs], conversations)):
            return Encoded(conversations, heads=heads)
        return Encoded(conversations, self.encoder.encode(conversations))

    def answer(self, jobs: list[Job], encoded: Encoded) -> list[TokenCounts]:
        """Replies of all rounds, left in the jobs; returns the token counts of the last one of each."""
        prefix = None if encoded.heads is None else self.generator.prefix(encoded.heads)
        counts: dict[int, TokenCounts] = {}
        for rows in alike(jobs):
            members = [jobs[row] for row in rows]
            conversations = [encoded.conversations[row] for row in rows]
            inputs = encoded.inputs if len(rows) == len(jobs) else None
            answers = self._names if CANDIDATES in members[0].arguments else self._rounds
            for row, count in zip(rows, answers(members, conversations, inputs, prefix), strict=True):
                counts[row] = count
        return [counts[row] for row in range(len(jobs))]

    def _rounds(
        self, jobs: list[Job], conversations: list[Conversation], inputs: Any, prefix: Prefix | None
    ) -> list[TokenCounts]:
        """Rounds of jobs with equal arguments; all that are not over take a round together."""
        counts: list[Any] = [None] * len(jobs)
        for job in jobs:
            job.replies, job.info = [], None
        active, turn = list(range(len(jobs))), self._turn(jobs, conversations, inputs, prefix, None)
        while active:
            for row, text, count in zip(active, turn.texts, turn.counts, strict=True):
                jobs[row].replies.append(text)
                counts[row] = count
            following = {row: messages for row in active if (messages := next_messages(jobs[row])) is not None}
            before = turn if len(following) == len(active) else None
            active = list(following)
            if active:
                turn = self._turn([jobs[row] for row in active], list(following.values()), None, prefix, before)
        return counts

    def _names(
        self, jobs: list[Job], conversations: list[Conversation], inputs: Any, prefix: Prefix | None
    ) -> list[TokenCounts]:
        """The scores of all names of a closed set, as replies."""
        return self.closed_sets.answer(jobs, conversations, self._inputs(jobs, conversations, inputs, prefix))

    def _turn(
        self, jobs: list[Job], conversations: list[Conversation], inputs: Any, prefix: Prefix | None, before: Turn | None
    ) -> Turn:
        """A turn on top of the one before where every conversation continues it, else on the prefix, else encoded afresh."""
        if before is not None and (turn := self.generator.next(before, conversations, jobs[0].arguments)):
            return turn
        inputs = self._inputs(jobs, conversations, inputs, prefix)
        return self.generator.first(conversations, inputs, jobs[0].arguments, more=jobs[0].rounds)

    def _inputs(self, jobs: list[Job], conversations: list[Conversation], inputs: Any, prefix: Prefix | None) -> Any:
        """Inputs as prepared, else on the prefix, else encoded afresh."""
        if inputs is None and prefix is not None:
            inputs = branch(prefix, self.encoder, [job.document for job in jobs], conversations)
        return self.encoder.encode(conversations) if inputs is None else inputs
