"""From a batch of jobs to all replies of their rounds, on one prefix where its conversations share images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from finer_tasks.models.closed_set import ClosedSets, score_options
from finer_tasks.models.conversation import Conversation, append_turn
from finer_tasks.models.generation import Generator, TokenCounts, Turn
from finer_tasks.models.jobs import Job, alike, next_messages
from finer_tasks.models.journal import Journal
from finer_tasks.models.prefix import Heads, Prefix, branch, encode_heads
from finer_tasks.models.resuming import Begun, Resuming
from finer_tasks.scoring.candidates import CANDIDATES
from finer_tasks.scoring.multiple_choice import OFFERED


@dataclass(frozen=True)
class Encoded:
    """A batch made ready on the CPU: how far its jobs are, and of those that are not over the inputs or shared heads."""

    begun: list[Begun]
    inputs: Any = None
    heads: Heads | None = None


class Answering:
    """Prepares batches in background threads and answers them, as far as a journal does not know the answers."""

    def __init__(self, generator: Generator, journal: Journal | None = None) -> None:
        self.generator, self.encoder = generator, generator.encoder
        self.closed_sets = ClosedSets(generator)
        self.resuming = Resuming(self.encoder, journal, generator.continues_cache)

    def prepare(self, jobs: Sequence[Job]) -> Encoded:
        """Decode the images, look for known replies, and render and encode the prompts of what is left."""
        begun = [self.resuming.begin(job) for job in jobs]
        open_jobs = [(job.document, one.encoded) for job, one in zip(jobs, begun, strict=True) if one.conversation is not None]
        if not open_jobs:
            return Encoded(begun)
        documents, conversations = map(list, zip(*open_jobs, strict=True))
        if self.generator.branches and (heads := encode_heads(self.encoder, documents, conversations)):
            return Encoded(begun, heads=heads)
        return Encoded(begun, self.encoder.encode(conversations))

    def answer(self, jobs: list[Job], encoded: Encoded) -> list[TokenCounts]:
        """Replies of all rounds, left in the jobs; returns the token counts of the last one of each."""
        counts: dict[int, TokenCounts] = {}
        for row, (job, begun) in enumerate(zip(jobs, encoded.begun, strict=True)):
            job.replies, job.info = list(begun.replies), begun.info
            if begun.conversation is None and begun.counts is not None:
                counts[row] = begun.counts
        waiting = [row for row in range(len(jobs)) if row not in counts]
        prefix = None if encoded.heads is None else self.generator.prefix(encoded.heads)
        for rows in _together(jobs, encoded.begun, waiting):
            members, begun_ones = [jobs[row] for row in rows], [encoded.begun[row] for row in rows]
            inputs = encoded.inputs if len(rows) == len(waiting) else None
            answers = self._names if {CANDIDATES, OFFERED} & members[0].arguments.keys() else self._rounds
            counts |= zip(rows, answers(members, begun_ones, inputs, prefix), strict=True)
        return [counts[row] for row in range(len(jobs))]

    def _rounds(self, jobs: list[Job], begun: list[Begun], inputs: Any, prefix: Prefix | None) -> list[TokenCounts]:
        """Rounds of jobs with equal arguments; all that are not over take a round together."""
        counts: list[Any] = [None] * len(jobs)
        active, keys, turn = list(range(len(jobs))), [one.key for one in begun], self._first(jobs, begun, inputs, prefix)
        while active:
            self.resuming.keep([jobs[row] for row in active], keys, turn)
            for row, text, count in zip(active, turn.texts, turn.counts, strict=True):
                jobs[row].replies.append(text)
                counts[row] = count
            following = {row: messages for row in active if (messages := next_messages(jobs[row])) is not None}
            before = turn if len(following) == len(active) else None
            active = list(following)
            if active:
                keys = [self.resuming.key(jobs[row], messages) for row, messages in following.items()]
                turn = self._next([jobs[row] for row in active], list(following.values()), prefix, before)
        return counts

    def _names(self, jobs: list[Job], begun: list[Begun], inputs: Any, prefix: Prefix | None) -> list[TokenCounts]:
        """The scores of all names of a closed set, or of each document's options, as replies."""
        conversations = [one.encoded for one in begun]
        encoded = self._inputs(jobs, conversations, inputs, prefix)
        if OFFERED in jobs[0].arguments:
            counts = score_options(self.generator, jobs, conversations, encoded)
        else:
            counts = self.closed_sets.answer(jobs, conversations, encoded)
        self.resuming.keep_whole(jobs, [one.key for one in begun], counts)
        return counts

    def _first(self, jobs: list[Job], begun: list[Begun], inputs: Any, prefix: Prefix | None) -> Turn:
        """The first turn that is not known, behind the tokens of those that are."""
        inputs = dict(self._inputs(jobs, [one.encoded for one in begun], inputs, prefix))
        if any(tails := [one.tail for one in begun]):
            ids, mask = inputs["input_ids"], inputs["attention_mask"]
            inputs["input_ids"], inputs["attention_mask"] = append_turn(ids, mask, tails, self.encoder.tokenizer.pad_token_id)
        conversations = [one.conversation for one in begun if one.conversation is not None]
        return self.generator.first(conversations, inputs, jobs[0].arguments, more=jobs[0].rounds)

    def _next(self, jobs: list[Job], conversations: list[Conversation], prefix: Prefix | None, before: Turn | None) -> Turn:
        """A turn on top of the one before where every conversation continues it, else on the prefix, else encoded afresh."""
        if before is not None and (turn := self.generator.next(before, conversations, jobs[0].arguments)):
            return turn
        inputs = self._inputs(jobs, conversations, None, prefix)
        return self.generator.first(conversations, inputs, jobs[0].arguments, more=jobs[0].rounds)

    def _inputs(self, jobs: list[Job], conversations: list[Conversation], inputs: Any, prefix: Prefix | None) -> Any:
        """Inputs as prepared, else on the prefix, else encoded afresh."""
        if inputs is None and prefix is not None:
            inputs = branch(prefix, self.encoder, [job.document for job in jobs], conversations)
        return self.encoder.encode(conversations) if inputs is None else inputs


def _together(jobs: Sequence[Job], begun: Sequence[Begun], waiting: Sequence[int]) -> Iterator[list[int]]:
    """Of the waiting rows those that one call can answer: with equal arguments, and all or none behind known replies."""
    for places in alike([jobs[row] for row in waiting]):
        for behind in (False, True):
            if rows := [waiting[place] for place in places if bool(begun[waiting[place]].tail) is behind]:
                yield rows
