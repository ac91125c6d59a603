"""Scoring given continuations, as far as a journal does not know their scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finer_tasks.models.generation import Generator
from finer_tasks.models.jobs import Job
from finer_tasks.models.journal import Journal, Kept, Place
from finer_tasks.models.likelihood import score_replies
from finer_tasks.models.resuming import Resuming

Score = tuple[float, bool]


@dataclass(frozen=True)
class Asked:
    """A batch made ready on the CPU: its keys, the scores that are known, and inputs and continuations of the others."""

    keys: list[str | None]
    known: dict[int, Score]
    inputs: Any = None
    ids: Sequence[Sequence[int]] = ()


class Continuations:
    """Prepares batches in background threads and scores them."""

    def __init__(self, generator: Generator, journal: Journal | None = None) -> None:
        self.generator, self.encoder, self.journal = generator, generator.encoder, journal
        self._resuming = Resuming(self.encoder, journal, continues=False)

    def prepare(self, jobs: Sequence[Job]) -> Asked:
        """Decode the images, look for known scores, and encode the prompts and continuations of what is left."""
        conversations = [job.conversation for job in jobs]
        texts = [job.replies[0].strip() for job in jobs]  # templates write their own space
        keys = [self._resuming.key(*one) for one in zip(jobs, conversations, texts, strict=True)]
        known = {row: score for row, key in enumerate(keys) if (score := self._score_of(key, jobs[row].place)) is not None}
        left = [row for row in range(len(jobs)) if row not in known]
        if not left:
            return Asked(keys, known)
        inputs = self.encoder.encode([conversations[row] for row in left])
        return Asked(keys, known, inputs, self.encoder.reply_ids([texts[row] for row in left]))

    def score(self, jobs: list[Job], asked: Asked) -> list[Score]:
        """By job, of the continuation as a whole reply: mean negative log-likelihood, and whether greedy decoding gives it."""
        if not asked.ids:
            return [asked.known[row] for row in range(len(jobs))]
        left = [row for row in range(len(jobs)) if row not in asked.known]
        found = dict(zip(left, score_replies(self.generator, asked.inputs, asked.ids), strict=True))
        if self.journal is not None:
            self.journal.add(
                [
                    Kept(key=key, place=jobs[row].place, reply=jobs[row].replies[0], loss=loss, greedy=greedy)
                    for row, (loss, greedy) in found.items() if (key := asked.keys[row]) and math.isfinite(loss)
                ]
            )  # fmt: skip
        return [(asked.known | found)[row] for row in range(len(jobs))]

    def _score_of(self, key: str | None, place: Place) -> Score | None:
        kept = self.journal.find(key, place) if self.journal is not None and key else None
        return None if kept is None or kept.loss is None else (kept.loss, kept.greedy)
