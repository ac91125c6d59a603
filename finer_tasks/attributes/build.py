"""Building a knowledge base: article, extraction by a language model, merging, review aids."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Sequence
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
from finer_tasks.datasets.taxonomy import Concept
from finer_tasks.errors import KnowledgeError
from finer_tasks.metrics.attribute_lists import parse_lists
from finer_tasks.metrics.attribute_phrases import analyse, contradicts

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
ATTEMPTS = 5
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
    """Entries made, concepts whose reply could not be read (with the reply), and what it took."""

    entries: list[ConceptAttributes] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


class ChatEndpoint:
    """An OpenAI-compatible chat endpoint with replies cached on disk by model and prompt."""

    def __init__(self, url: str, model: str, cache: Path, key: str = "", wait: float = 1.0, timeout: float = 120) -> None:
        self.url, self.model, self.cache, self.wait, self.timeout = url.rstrip("/"), model, cache, wait, timeout
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._lock = threading.Lock()
        self.usage = Usage()

    def ask(self, prompt: str) -> str:
        """The reply; raises KnowledgeError after repeated failures (what was answered before stays cached)."""
        name = hashlib.sha256(json.dumps([self.model, prompt]).encode()).hexdigest()
        path = self.cache / f"{name}.json"
        if path.exists():
            with self._lock:
                self.usage.cached += 1
            return str(json.loads(path.read_text(encoding="utf-8"))["reply"])
        reply, usage = self._request(prompt)
        self.cache.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{threading.get_ident()}.new")
        fresh.write_text(json.dumps({"reply": reply, "usage": usage}, ensure_ascii=False), encoding="utf-8")
        os.replace(fresh, path)
        with self._lock:
            self.usage.asked += 1
            self.usage.prompt_tokens += int(usage.get("prompt_tokens") or 0)
            self.usage.completion_tokens += int(usage.get("completion_tokens") or 0)
        return reply

    def _request(self, prompt: str) -> tuple[str, dict[str, Any]]:
        body = {"model": self.model, "temperature": 0, "messages": [{"role": "user", "content": prompt}]}
        problem = ""
        for attempt in range(ATTEMPTS):
            try:
                response = requests.post(
                    f"{self.url}/chat/completions", json=body, headers=self._headers, timeout=(10, self.timeout)
                )
                if response.status_code in (401, 403, 404):
                    raise KnowledgeError(f"{self.url}: status {response.status_code}. Check --endpoint, --model and the key")
                response.raise_for_status()
                answer = response.json()
                return str(answer["choices"][0]["message"]["content"] or ""), dict(answer.get("usage") or {})
            except (requests.RequestException, ValueError, KeyError, IndexError, TypeError) as error:
                problem = str(error)
                time.sleep(self.wait * 2**attempt)
        raise KnowledgeError(
            f"{self.url}: {ATTEMPTS} attempts failed ({problem}). Run the same command again: it goes on from here"
        )


def build(concepts: Sequence[Concept], endpoint: ChatEndpoint, encyclopedia: Encyclopedia | None, workers: int = 4) -> Built:
    """Entries for all concepts, several at a time; interrupted runs go on from the caches.

    A reply that is no list is kept aside in `failures`, not guessed at. Raises KnowledgeError if an
    endpoint stays out of reach.
    """
    built = Built(usage=endpoint.usage)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = {pool.submit(_one, concept, endpoint, encyclopedia): concept for concept in concepts}
        try:
            for future in tqdm(as_completed(futures), total=len(futures), desc="attributes", unit=" concepts"):
                entry, reply = future.result()
                if entry is None:
                    built.failures[futures[future].concept_id] = reply
                else:
                    built.entries.append(entry)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    built.entries.sort(key=lambda entry: entry.concept_id)
    return built


def _one(concept: Concept, endpoint: ChatEndpoint, encyclopedia: Encyclopedia | None) -> tuple[ConceptAttributes | None, str]:
    titles = (concept.fine[0], *concept.aliases[:2])
    article = encyclopedia.article(*titles) if encyclopedia else None
    reply = endpoint.ask(prompt_for(concept, article))
    lists = parse_lists(reply)
    if not lists.parsed:
        return None, reply
    source = f"{article.title} <{article.url}>" if article and article.text else "the model's own knowledge"
    provenance = Provenance(source, endpoint.model, f"{datetime.now(UTC):%Y-%m-%d}", PROMPT_HASH)
    required = merge_synonyms(lists.required)
    likely = [phrase for phrase in merge_synonyms((*required, *lists.likely)) if phrase not in required]
    return tidy(concept.concept_id, concept.fine[0], required, likely, provenance), reply


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
