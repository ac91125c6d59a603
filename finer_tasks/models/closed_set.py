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
from lmms_eval.api.instance import TokenCounts

from finer_tasks.errors import ModelError
from finer_tasks.models.conversation import Conversation, without_images
from finer_tasks.models.generation import Generator
from finer_tasks.models.jobs import Job
from finer_tasks.models.likelihood import score_continuations
from finer_tasks.models.prefix import can_branch, fork
from finer_tasks.models.trie import NameTrie, Piece
from finer_tasks.scoring.candidates import CANDIDATES, LEAD, candidates_of
from finer_tasks.scoring.closed import pack, rankings, right_concepts
from finer_tasks.statistics.clusters import Floats

# Tokens of a trie in one pass, for each prompt of a batch: about as long as a prompt with an image.
PIECE = 256
# Kinds of attention that take any mask.
_MASKED = {"eager", "sdpa"}


@dataclass(frozen=True)
class Prompts:
    """Prompts that went through the model: their mask, cache, and what it expects next, log p of shape (rows, vocabulary)."""

    mask: torch.Tensor
    cache: Any
    following: torch.Tensor


class NameList:
    """The tokens of names, and their trie."""

    def __init__(self, tokenizer: Any, names: Sequence[str]) -> None:
        self.ids: list[list[int]] = tokenizer(list(names), add_special_tokens=False)["input_ids"]
        self.trie = NameTrie(self.ids)


class ClosedSets:
    """Answers requests for the scores of all names of a level."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self._names: dict[str, NameList] = {}
        # Many documents share the question, and with it what the model says without the image.
        self._priors: dict[tuple[str, str], Floats] = {}

    def answer(self, jobs: Sequence[Job], conversations: Sequence[Conversation], inputs: Any) -> list[TokenCounts]:
        """Rankings of jobs that ask for the same closed set, left in them as replies. `inputs` are the encoded prompts."""
        wanted = jobs[0].arguments[CANDIDATES]
        dataset, level = wanted.split("/")
        candidates = candidates_of(dataset, level)
        if wanted not in self._names:
            self._names[wanted] = NameList(self.generator.tokenizer, [LEAD + name for name in candidates.names])
        names = self._names[wanted]
        totals = score_names(self.generator, conversations, inputs, names)
        priors = self._without_image(wanted, conversations, names)
        for job, total, prior in zip(jobs, totals, priors, strict=True):
            right = right_concepts(job.doc, level)
            job.replies = [pack(rankings(candidates, right, total / names.trie.lengths, total, prior))]
        return [TokenCounts(input_tokens=int(mask.sum()), output_tokens=0) for mask in inputs["attention_mask"]]

    def _without_image(self, wanted: str, conversations: Sequence[Conversation], names: NameList) -> list[Floats]:
        """The scores behind the same questions without the image, each question once."""
        blind = [without_images(conversation) for conversation in conversations]
        keys = [(wanted, self.generator.encoder.render(conversation)) for conversation in blind]
        new = {key: one for key, one in zip(keys, blind, strict=True) if key not in self._priors}
        if new:
            found = score_names(self.generator, list(new.values()), self.generator.encoder.encode(list(new.values())), names)
            self._priors |= zip(new, found.astype(np.float32), strict=True)
        return [self._priors[key] for key in keys]


def score_names(generator: Generator, conversations: Sequence[Conversation], inputs: Any, names: NameList) -> Floats:
    """Sums of log p of each name's tokens behind each prompt, of shape (prompts, names). `inputs` are the encoded prompts.

    Raises ModelError where the model gives no numbers.
    """
    prompts = _run(generator, inputs) if _takes_trees(generator) else None
    scores = _by_trie(generator, prompts, names.trie) if prompts else _one_by_one(generator, conversations, names)
    if not np.isfinite(scores).all():
        raise ModelError("the model gives likelihoods that are no numbers; load it with dtype=bfloat16 or dtype=float32")
    return scores


def _takes_trees(generator: Generator) -> bool:
    config = generator.model.config
    return generator.branches and getattr(config.get_text_config(), "_attn_implementation", "") in _MASKED


@torch.inference_mode()
def _run(generator: Generator, inputs: Any) -> Prompts | None:
    """The prompts' cache; None where it cannot be branched."""
    inputs = generator.on_device(inputs)
    # A single step of generate: it knows each model's positions of left-padded rows.
    step = generator.model.generate(
        **inputs, max_new_tokens=1, do_sample=False, return_dict_in_generate=True, output_logits=True,
        pad_token_id=generator.tokenizer.pad_token_id,
    )  # fmt: skip
    if not can_branch(step.cache) or step.cache.get_seq_length() != inputs["attention_mask"].shape[1]:
        return None
    return Prompts(inputs["attention_mask"], step.cache, step.logits[0].float().log_softmax(-1))


@torch.inference_mode()
def _by_trie(generator: Generator, prompts: Prompts, trie: NameTrie) -> Floats:
    edges = np.zeros((len(prompts.mask), len(trie)))
    first = torch.from_numpy(trie.tokens[trie.first]).to(generator.device)
    edges[:, trie.first] = prompts.following[:, first].double().cpu().numpy()
    for piece in trie.pieces(PIECE):
        tokens = torch.from_numpy(trie.tokens[piece.children]).to(generator.device)
        rows = torch.from_numpy(piece.rows).to(generator.device)
        logits = _logits(generator, prompts, piece)
        wanted = logits[:, rows, tokens].float() - logits.float().logsumexp(-1)[:, rows]
        edges[:, piece.children] = wanted.double().cpu().numpy()
    return trie.sums(edges)


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
            means = [mean for mean, _ in score_continuations(generator, inputs, some)]
            found[row, start : start + len(some)] = [-mean * len(ids) for mean, ids in zip(means, some, strict=True)]
    return found
