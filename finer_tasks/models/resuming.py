"""What a reply depends on, so that one of an earlier run is taken for exactly the same request and for no other.

The settings of a run: weights, adapter and processor by content, number format, attention, device, versions. The key of a
request: the rendered conversation, its images by content, and the generation arguments. Not among them are what greedy
replies depend on in no more than the last digits of sums: batch size, neighbours in the batch, and threads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import xxhash
from loguru import logger
from PIL import Image

import finer_tasks
from finer_tasks.errors import ModelError
from finer_tasks.models.conversation import ChatEncoder, Conversation, images_of
from finer_tasks.models.fingerprint import weights_fingerprint
from finer_tasks.models.generation import TokenCounts, Turn, samples
from finer_tasks.models.jobs import Job, next_messages
from finer_tasks.models.journal import Journal, Kept
from finer_tasks.models.loading import LoadOptions
from finer_tasks.options.choosing import active_options
from finer_tasks.scoring.candidates import CANDIDATES, Candidates, candidates_of
from finer_tasks.scoring.closed import right_concepts
from finer_tasks.scoring.multiple_choice import OFFERED

_VERSIONS = ("torch", "transformers", "tokenizers", "peft", "pillow")


@dataclass(frozen=True)
class Begun:
    """A job as far as earlier replies take it.

    Attributes:
        replies: of its rounds so far.
        info: what its task keeps between rounds.
        counts: tokens of the last reply.
        conversation: that is to be answered next; None where the job is over.
        key: of that request; None where its reply is not to be kept.
        encoded: the conversation whose tokens, with `tail` behind them, are those of `conversation`.
        tail: tokens of replies and of turns between them, as an unbroken run has them in its cache.
    """

    replies: tuple[str, ...]
    info: Any
    counts: TokenCounts | None
    conversation: Conversation | None
    key: str | None
    encoded: Conversation
    tail: tuple[int, ...] = ()


class Resuming:
    """Takes replies from a journal and leaves new ones there; without one, every job begins at its beginning."""

    def __init__(self, encoder: ChatEncoder, journal: Journal | None, continues: bool) -> None:
        self.journal, self._encoder, self._continues = journal, encoder, continues
        self._told = False

    def begin(self, job: Job) -> Begun:
        """A job behind the replies that are known. Leaves the job as it is: it may be at work in another thread."""
        conversation = job.conversation
        begun = Begun((), None, None, conversation, self.key(job, conversation), conversation)
        if self.journal is None or not self.journal.knows(job.place):
            return begun
        replayed = replace(job, replies=[], info=None)
        while begun.key and (kept := self.journal.find(begun.key, job.place)):
            replayed.replies.append(kept.reply)
            following = next_messages(replayed)
            begun = self._behind(begun, kept, following, replayed)
        return begun

    def _behind(self, begun: Begun, kept: Kept, following: Conversation | None, job: Job) -> Begun:
        counts, key, tail = TokenCounts(*kept.tokens, least_margin=kept.margin), None, None
        if following is not None:
            key = self.key(job, following)
            if self._continues and kept.ids is not None and begun.conversation is not None:
                tail = self._encoder.next_turn(begun.conversation, kept.reply, following, kept.ended)
        if tail is None or kept.ids is None or following is None:
            return Begun(tuple(job.replies), job.info, counts, following, key, following or begun.encoded)
        whole = (*begun.tail, *kept.ids, *tail)
        return Begun(tuple(job.replies), job.info, counts, following, key, begun.encoded, whole)

    def keep(self, jobs: Sequence[Job], keys: Sequence[str | None], turn: Turn) -> None:
        """Leave the replies of a turn in the journal; the jobs hold the replies before it."""
        if self.journal is None:
            return
        rows = zip(jobs, keys, turn.texts, turn.counts, turn.to_go_on, turn.ended, strict=True)
        self.journal.add(
            [
                Kept(
                    key=key,
                    place=job.place,
                    round=len(job.replies),
                    reply=text,
                    tokens=(count.input_tokens, count.output_tokens),
                    margin=count.least_margin,
                    ids=ids if job.rounds and self._continues else None,
                    ended=ended,
                )
                for job, key, text, count, ids, ended in rows
                if key
            ]
        )

    def keep_whole(self, jobs: Sequence[Job], keys: Sequence[str | None], counts: Sequence[TokenCounts]) -> None:
        """Leave the only reply of each job in the journal."""
        if self.journal is None:
            return
        self.journal.add(
            [
                Kept(key=key, place=job.place, reply=job.replies[0], tokens=(count.input_tokens, count.output_tokens))
                for job, key, count in zip(jobs, keys, counts, strict=True) if key
            ]
        )  # fmt: skip

    def key(self, job: Job, conversation: Conversation, continuation: str | None = None) -> str | None:
        """Of a request; None without a journal, where the reply is drawn at random, and where an image is no picture."""
        if self.journal is None:
            return None
        if continuation is None and samples(job.arguments):
            self._say_that_samples_are_not_kept()
            return None
        images = [_content(image) for image in images_of(conversation)]
        if not all(images):
            return None
        text = self._encoder.render(conversation)
        parts = [text, images, _names(job), continuation, dict(job.arguments)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()[:32]

    def _say_that_samples_are_not_kept(self) -> None:
        if not self._told:
            logger.warning("resume: replies drawn at random (do_sample, temperature) are not kept; they are generated again")
            self._told = True


def open_journal(folder: str, options: LoadOptions, model: Any) -> Journal:
    """The journal of a loaded model. Raises ModelError where its weights cannot be told from others, and OutputError."""
    if not isinstance(folder, str) or not folder:
        raise ModelError(f"resume={folder}: give the folder in which replies are kept")
    return Journal(Path(folder).expanduser(), _settings(options, model))


def _settings(options: LoadOptions, model: Any) -> dict[str, Any]:
    """What all replies of a run depend on."""
    named = {"pretrained": options.pretrained, **({"peft": options.peft} if options.peft else {})}
    weights = {name: weights_fingerprint({name: value, "revision": options.revision}) for name, value in named.items()}
    if unknown := [name for name, found in weights.items() if not found]:
        raise ModelError(
            f"resume: the weights of {unknown[0]}={named[unknown[0]]} cannot be told from others, so that no reply could be "
            "taken from an earlier run. Give a folder, or leave out resume"
        )
    device = next(model.parameters()).device
    return weights | {
        "dtype": str(model.dtype),
        "quantized": "4bit" if options.load_in_4bit else "8bit" if options.load_in_8bit else "no",
        "attention": str(getattr(model.config.get_text_config(), "_attn_implementation", None)),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "instructions": torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else "",
        "device_map": options.device_map or "",
        "matmul": torch.get_float32_matmul_precision(),
        "finer_tasks": f"{finer_tasks.__version__} {_code()}",
        **{name: metadata.version(name) for name in _VERSIONS},
    }


@cache
def _code() -> str:
    """Digest of the code that makes a reply, for a checkout changes without its version."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _content(image: Any) -> str | None:
    """Digest of a picture's pixels."""
    if not isinstance(image, Image.Image):
        return None
    pixels = image.convert("RGBA") if image.mode in ("P", "PA") else image
    return f"{pixels.mode} {pixels.size} {xxhash.xxh3_128_hexdigest(pixels.tobytes())}"


def _names(job: Job) -> list[Any] | None:
    """What a closed set or a list of options is made of, and which of the first is right; None for a request that generates."""
    if OFFERED in job.arguments:
        options = active_options(job.doc, job.arguments[OFFERED])
        return [list(options.keys), list(options.names)]
    if CANDIDATES not in job.arguments:
        return None
    dataset, level = job.arguments[CANDIDATES].split("/")
    return [_digest(candidates_of(dataset, level)), right_concepts(job.doc, level)]


@lru_cache(maxsize=16)
def _digest(candidates: Candidates) -> str:
    parts = [candidates.keys, candidates.names, candidates.members.tolist(), candidates.starts.tolist()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
