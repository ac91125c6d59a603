"""How likely a model holds each of many names to be behind a prompt: all in a few passes, or one by one.

The names are a trie behind the prompt's cache. A piece of it goes through the model as one stretch of tokens in which each
sees the prompt and its own beginning only (a tree as mask), so that no cache is copied and no token computed for each name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from finer_tasks.errors import ModelError
from finer_tasks.models.conversation import ChatEncoder, Conversation, without_images
from finer_tasks.models.generation import Generator, TokenCounts
from finer_tasks.models.jobs import Job
from finer_tasks.models.likelihood import score_replies
from finer_tasks.models.prefix import fork
from finer_tasks.models.trie import NameTrie, Piece
from finer_tasks.options.choosing import active_options
from finer_tasks.scoring import multiple_choice
from finer_tasks.scoring.candidates import CANDIDATES, LEAD, candidates_of
from finer_tasks.scoring.closed import pack, rankings, right_concepts
from finer_tasks.scoring.multiple_choice import OFFERED, replies_to_score
from finer_tasks.statistics.clusters import Floats, Integers

# Tokens of a trie in one pass, for each prompt of a batch: about as long as a prompt with an image.
PIECE = 256
# What stands in a trie for the end of a reply, whichever token that is.
END = -2
# Questions whose scores without the image are kept, the ones asked last.
PRIORS = 256
# Kinds of attention that take any mask.
_MASKED = {"eager", "sdpa"}


@dataclass(frozen=True)
class Prompts:
    """Prompts that went through the model: mask, cache, and the logits of what follows, of shape (rows, 1, vocabulary)."""

    mask: torch.Tensor
    cache: Any
    following: torch.Tensor


class NameList:
    """The tokens of names as replies, and their trie, in which a name has an end: else "Gull" would always beat "Gulls"."""

    def __init__(self, encoder: ChatEncoder, names: Sequence[str]) -> None:
        self.ids = encoder.reply_ids([LEAD + name for name in names])
        self.trie = NameTrie([[*ids, END] for ids in self.ids])


class ClosedSets:
    """Answers requests for the scores of all names of a level."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self._names: dict[str, NameList] = {}
        # Many documents share the question, and with it what the model says without the image; the latest last.
        self._priors: dict[tuple[str, str], Floats] = {}

    def answer(self, jobs: Sequence[Job], conversations: Sequence[Conversation], inputs: Any) -> list[TokenCounts]:
        """Rankings of jobs that ask for the same closed set, left in them as replies. `inputs` are the encoded prompts."""
        wanted = jobs[0].arguments[CANDIDATES]
        dataset, level = wanted.split("/")
        candidates = candidates_of(dataset, level)
        if wanted not in self._names:
            self._names[wanted] = NameList(self.generator.encoder, candidates.names)
        names = self._names[wanted]
        totals = score_names(self.generator, conversations, inputs, names)
        priors = self._without_image(wanted, conversations, names)
        for job, total, prior in zip(jobs, totals, priors, strict=True):
            right = right_concepts(job.doc, level)
            job.replies = [pack(rankings(candidates, right, total / names.trie.lengths, total, prior))]
        return [TokenCounts(input_tokens=int(mask.sum()), output_tokens=0) for mask in inputs["attention_mask"]]

    def _without_image(self, wanted: str, conversations: Sequence[Conversation], names: NameList) -> Sequence[Floats | None]:
        """The scores behind the same questions without the image, each question once; None where the model needs one."""
        if self.generator.needs_images:
            return [None] * len(conversations)
        blind = [without_images(conversation) for conversation in conversations]
        keys = [(wanted, self.generator.encoder.render(conversation)) for conversation in blind]
        new = {key: one for key, one in zip(keys, blind, strict=True) if key not in self._priors}
        if new:
            found = score_names(self.generator, list(new.values()), self.generator.encoder.encode(list(new.values())), names)
            self._priors |= zip(new, found.astype(np.float32), strict=True)
        priors = [self._priors[key] for key in keys]
        for key in keys:
            self._priors[key] = self._priors.pop(key)
        for key in list(self._priors)[:-PRIORS]:
            del self._priors[key]
        return priors


def score_options(
    generator: Generator, jobs: Sequence[Job], conversations: Sequence[Conversation], inputs: Any
) -> list[TokenCounts]:
    """Likelihoods of the letters and names of each document's options, left in the jobs as replies.

    Those of all documents of a batch are one list of names, for siblings share most of them.
    """
    offered = [active_options(job.doc, job.arguments[OFFERED]) for job in jobs]
    wanted = [replies_to_score(options) for options in offered]
    places = {text: place for place, text in enumerate(dict.fromkeys(text for some in wanted for text in some))}
    names = NameList(generator.encoder, list(places))
    totals = score_names(generator, conversations, inputs, names)
    for job, options, some, total in zip(jobs, offered, wanted, totals, strict=True):
        own = [places[text] for text in some]
        job.replies = [multiple_choice.pack(options, total[own].tolist(), (total / names.trie.lengths)[own].tolist())]
    return [TokenCounts(input_tokens=int(mask.sum()), output_tokens=0) for mask in inputs["attention_mask"]]


def score_names(generator: Generator, conversations: Sequence[Conversation], inputs: Any, names: NameList) -> Floats:
    """Sums of log p of each name's tokens and its end behind each prompt, of shape (prompts, names).

    `inputs` are the encoded prompts. Raises ModelError where the model gives no numbers.
    """
    prompts = _run(generator, inputs) if _takes_trees(generator) else None
    scores = _by_trie(generator, prompts, names.trie) if prompts else _one_by_one(generator, conversations, names)
    if not np.isfinite(scores).all():
        raise ModelError("the model gives likelihoods that are no numbers; load it with dtype=bfloat16 or dtype=float32")
    return scores


def _takes_trees(generator: Generator) -> bool:
    config = generator.model.config
    return generator.branches and getattr(config.get_text_config(), "_attn_implementation", "") in _MASKED


def _run(generator: Generator, inputs: Any) -> Prompts | None:
    """The prompts' cache; None where it cannot be branched."""
    inputs = generator.on_device(inputs)
    step = generator.prefill(inputs, logits=True)
    return None if step is None else Prompts(inputs["attention_mask"], step.cache, step.logits[0][:, None])


@torch.inference_mode()
def _by_trie(generator: Generator, prompts: Prompts, trie: NameTrie) -> Floats:
    scores = np.zeros((len(prompts.mask), len(trie)))
    scores[:, trie.first] = _edges(prompts.following, np.zeros_like(trie.first), trie.tokens[trie.first], generator.ends)
    for piece in trie.pieces(PIECE):
        logits = _logits(generator, prompts, piece)
        scores[:, piece.children] = _edges(logits, piece.rows, trie.tokens[piece.children], generator.ends)
    return trie.sums(scores)


def _edges(logits: torch.Tensor, rows: Integers, tokens: Integers, ends: Sequence[int]) -> Floats:
    """log p of tokens, each at a row of logits of shape (prompts, rows, vocabulary)."""
    at, ending = torch.from_numpy(rows).to(logits.device), torch.from_numpy(tokens == END).to(logits.device)
    logits = logits.float()
    found = logits[:, at, torch.from_numpy(np.maximum(tokens, 0)).to(logits.device)]
    found[:, ending] = logits[:, at[ending][:, None], torch.tensor(ends, device=logits.device)].logsumexp(-1)
    known: Floats = (found - logits.logsumexp(-1)[:, at]).double().cpu().numpy()
    return known


def _logits(generator: Generator, prompts: Prompts, piece: Piece) -> torch.Tensor:
    """What follows each token of a piece behind each prompt, shape (rows, tokens, vocabulary)."""
    device, dtype, rows = generator.device, generator.model.dtype, len(prompts.mask)
    size = len(piece.tokens)
    before = prompts.mask.bool()[:, None, None, :].expand(-1, 1, size, -1)
    among = torch.from_numpy(piece.sees).to(device)[None, None].expand(rows, 1, -1, -1)
    hidden = ~torch.cat([before, among], dim=-1)
    depths = torch.from_numpy(piece.depths).to(device)
    logits: torch.Tensor = generator.model(
        input_ids=torch.from_numpy(piece.tokens).to(device).expand(rows, -1),
        attention_mask=torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill(hidden, torch.finfo(dtype).min),
        position_ids=prompts.mask.sum(1, keepdim=True) + depths,
        cache=fork(prompts.cache),
        use_cache=True,
    ).logits
    return logits


def _one_by_one(generator: Generator, conversations: Sequence[Conversation], names: NameList) -> Floats:
    """Each name with its whole prompt, as many at a time as the batch has prompts."""
    found = np.zeros((len(conversations), len(names.ids)))
    for row, conversation in enumerate(conversations):
        for start in range(0, len(names.ids), len(conversations)):
            some = names.ids[start : start + len(conversations)]
            inputs = generator.encoder.encode([conversation] * len(some))
            means = [mean for mean, _ in score_replies(generator, inputs, some)]
            found[row, start : start + len(some)] = [-mean * (len(ids) + 1) for mean, ids in zip(means, some, strict=True)]
    return found
