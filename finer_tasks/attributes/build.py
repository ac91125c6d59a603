"""Building a knowledge base: article, extraction by a language model, merging, review aids."""

from __future__ import annotations

import difflib
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from finer_tasks.attributes.authors import tidy
from finer_tasks.attributes.encyclopedia import Article, Encyclopedia
from finer_tasks.attributes.knowledge import ConceptAttributes, Provenance
from finer_tasks.attributes.lists import parse_lists
from finer_tasks.attributes.phrases import analyse, contradicts
from finer_tasks.attributes.requesting import JsonCache, Passing, fetch_json
from finer_tasks.datasets.record import Concept
from finer_tasks.errors import KnowledgeError
from finer_tasks.replies import as_text, read_reply
from finer_tasks.text import well_formed
from finer_tasks.writing import write_text

PROMPT = """\
You prepare a field guide for telling {coarse} kinds apart by sight.

Name: {name}
Group: {coarse}
{source}

Write two lists of short noun phrases (two to five words each, one part of the body or thing with its
colour, pattern or shape per phrase):
Required:
- what every typical adult or standard specimen shows on the outside and what tells it apart
Likely:
- what is often, not always, visible

Leave out size, weight, age, sound, behaviour, habitat, history and comparisons with other kinds.
Write "none" under a heading without phrases. Write nothing else."""
NO_ARTICLE = "No article is at hand: write from what you know."
PROMPT_HASH = hashlib.sha256(PROMPT.encode()).hexdigest()[:12]
# Phrases of one concept whose words overlap so much are taken for one.
SYNONYM = 0.8


@dataclass
class Usage:
    """Requests and tokens so far; `cached` replies cost nothing."""

    asked: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def cost(self, per_million_in: float, per_million_out: float) -> float:
        """Price of the tokens in the currency of the prices."""
        return (self.prompt_tokens * per_million_in + self.completion_tokens * per_million_out) / 1e6


@dataclass
class Built:
    """Entries made, concepts whose reply was of no use (with the reply), and what it took."""

    entries: list[ConceptAttributes] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class ChatReply:
    """A reply's text, without thoughts unless `problem` says why it cannot be used."""

    text: str
    problem: str = ""


class ChatEndpoint:
    """An OpenAI-compatible chat endpoint with replies cached on disk by model and prompt."""

    def __init__(self, url: str, model: str, cache: Path, key: str = "", wait: float = 1.0, timeout: float = 120) -> None:
        self.url, self.model, self.wait, self.timeout = url.rstrip("/"), model, wait, timeout
        if not (key.isascii() and key.isprintable()):
            raise KnowledgeError("the key holds characters that no HTTP header may have. Check --key_variable")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._cache = JsonCache(cache)
        self._lock = threading.Lock()
        self.usage = Usage()

    def ask(self, prompt: str, is_usable: Callable[[str], bool] = bool) -> ChatReply:
        """The reply; one that is of no use is given but not kept, so that the next run asks again.

        Raises KnowledgeError after repeated failures (what was answered before stays cached).
        """
        key = [self.model, prompt]
        known = _without_thoughts((self._cache.get(key) or {}).get("reply") or "")
        if not known.problem and is_usable(known.text):
            with self._lock:
                self.usage.cached += 1
            return known
        reply, usage = fetch_json(
            lambda: self._send(prompt), _read, self.url, "Check --endpoint, --model and the key", self.wait
        )
        with self._lock:
            self.usage.asked += 1
            self.usage.prompt_tokens += _count(usage.get("prompt_tokens"))
            self.usage.completion_tokens += _count(usage.get("completion_tokens"))
        if not reply.problem and is_usable(reply.text):
            self._cache.put(key, {"reply": reply.text, "usage": usage})
        return reply

    def _send(self, prompt: str) -> requests.Response:
        body = {"model": self.model, "temperature": 0, "messages": [{"role": "user", "content": prompt}]}
        address = f"{self.url}/chat/completions"
        return requests.post(address, json=body, headers=self._headers, timeout=(10, self.timeout))


def _read(answer: Any) -> tuple[ChatReply, dict[str, Any]]:
    """(reply, usage) of a chat completion; text in parts is joined, a reply without text is empty."""
    try:
        choice = answer["choices"][0]
        reply = _without_thoughts(choice["message"]["content"] or "")
        finish, usage = choice.get("finish_reason"), answer.get("usage")
    except (LookupError, TypeError, AttributeError):
        raise Passing("the answer is no chat completion") from None
    if finish == "length" and not reply.problem:
        reply = ChatReply(reply.text, "cut off at the token limit")
    return reply, usage if isinstance(usage, dict) else {}


def _without_thoughts(content: Any) -> ChatReply:
    reply = read_reply(content)
    return ChatReply(well_formed(as_text(content) if reply.state else reply.text), reply.detail)


def _count(value: Any) -> int:
    """A number of tokens, 0 where the server gives none."""
    return value if isinstance(value, int) and value > 0 else 0


def build(concepts: Sequence[Concept], endpoint: ChatEndpoint, encyclopedia: Encyclopedia | None, workers: int = 4) -> Built:
    """Entries for all concepts, several at a time; interrupted runs go on from the caches.

    A reply that holds no list, or was cut off, is kept aside in `failures`, not guessed at. Raises KnowledgeError if an
    endpoint stays out of reach.
    """
    built = Built(usage=endpoint.usage)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = {pool.submit(_one, concept, endpoint, encyclopedia): concept for concept in concepts}
        try:
            for future in tqdm(as_completed(futures), total=len(futures), desc="attributes", unit=" concepts"):
                made = future.result()
                if isinstance(made, ConceptAttributes):
                    built.entries.append(made)
                else:
                    built.failures[futures[future].concept_id] = made
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    built.entries.sort(key=lambda entry: entry.concept_id)
    return built


def _one(concept: Concept, endpoint: ChatEndpoint, encyclopedia: Encyclopedia | None) -> ConceptAttributes | str:
    """The entry of a concept, or the reply that gave none with the reason."""
    titles = (concept.fine[0], *concept.aliases[:2])
    article = encyclopedia.article(*titles) if encyclopedia else None
    reply = endpoint.ask(prompt_for(concept, article), _is_list)
    if reply.problem or not _is_list(reply.text):
        return f"[{reply.problem or 'no attributes found'}] {reply.text}"
    lists = parse_lists(reply.text)
    source = f"{article.title} <{article.url}>" if article and article.text else "the model's own knowledge"
    provenance = Provenance(source, endpoint.model, f"{datetime.now(UTC):%Y-%m-%d}", PROMPT_HASH)
    required = merge_synonyms(lists.required)
    likely = [phrase for phrase in merge_synonyms((*required, *lists.likely)) if phrase not in required]
    return tidy(concept.concept_id, concept.fine[0], required, likely, provenance)


def _is_list(reply: str) -> bool:
    return bool(parse_lists(reply).all)


def prompt_for(concept: Concept, article: Article | None) -> str:
    """The extraction prompt of a concept."""
    source = f"Text:\n{article.text}" if article and article.text else NO_ARTICLE
    return PROMPT.format(name=concept.fine[0], coarse=concept.coarse[0], source=source)


def merge_synonyms(phrases: Iterable[str]) -> list[str]:
    """Phrases without those that say the same as an earlier one: equal stems, or nearly equal wording without contradiction."""
    kept: list[str] = []
    for phrase in phrases:
        same = (known for known in kept if not contradicts(known, phrase))
        if not any(analyse(k).stems == analyse(phrase).stems or _alike(k, phrase) for k in same):
            kept.append(phrase)
    return kept


def _alike(one: str, other: str) -> bool:
    a, b = (" ".join(sorted(analyse(phrase).stems)) for phrase in (one, other))
    return difflib.SequenceMatcher(None, a, b).ratio() >= SYNONYM and analyse(one).colors == analyse(other).colors


def keep_failures(failures: Mapping[str, str], path: Path) -> Path | None:
    """Write the replies that gave no attributes for a look at them; without any, those of an earlier run go."""
    if not failures:
        path.unlink(missing_ok=True)
        return None
    write_text(path, json.dumps(failures, indent=2, ensure_ascii=False))
    return path
