"""Encyclopedia articles through the MediaWiki API: politely, cached on disk, resumable."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

import finer_tasks
from finer_tasks.errors import KnowledgeError

USER_AGENT = f"finer-tasks/{finer_tasks.__version__} (research on fine-grained recognition)"
# Sections that describe looks, the most telling first.
SECTIONS = ("description", "design", "appearance", "identification", "characteristics", "exterior", "styling", "plumage")
MAX_CHARACTERS = 6000
ATTEMPTS = 5


@dataclass(frozen=True)
class Article:
    """The part of an article that describes how the thing looks; empty text where there is none."""

    title: str
    url: str
    text: str


class Encyclopedia:
    """A MediaWiki API endpoint with a cache folder and a least pause between requests (seconds)."""

    def __init__(self, api: str, cache: Path, pause: float = 0.5, wait: float = 1.0) -> None:
        self.api, self.cache, self.pause, self.wait = api, cache, pause, wait
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT
        self._lock, self._last = threading.Lock(), 0.0

    def article(self, *titles: str) -> Article | None:
        """The first of the titles that has an article of its own (redirects followed, disambiguations passed over)."""
        for title in titles:
            page = self._page(title)
            if page is not None and not _is_disambiguation(page):
                return Article(page["title"], f"{self.api}?curid={page['pageid']}", looks(page.get("extract", "")))
        return None

    def _page(self, title: str) -> dict[str, Any] | None:
        query = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "redirects": "1",
            "prop": "extracts|pageprops",
            "explaintext": "1",
            "exsectionformat": "wiki",
            "titles": title,
        }
        pages = self._get(query).get("query", {}).get("pages", [])
        return pages[0] if pages and not pages[0].get("missing") and not pages[0].get("invalid") else None

    def _get(self, query: dict[str, str]) -> dict[str, Any]:
        key = hashlib.sha256(json.dumps([self.api, query], sort_keys=True).encode()).hexdigest()
        path = self.cache / f"{key}.json"
        if path.exists():
            return dict(json.loads(path.read_text(encoding="utf-8")))
        answer = self._fetch(query)
        self.cache.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{threading.get_ident()}.new")
        fresh.write_text(json.dumps(answer), encoding="utf-8")
        os.replace(fresh, path)
        return answer

    def _fetch(self, query: dict[str, str]) -> dict[str, Any]:
        problem = ""
        for attempt in range(ATTEMPTS):
            self._be_polite()
            try:
                response = self._session.get(self.api, params=query, timeout=(10, 30))
                if response.status_code == 429 or response.status_code >= 500:
                    problem = f"status {response.status_code}"
                    time.sleep(_retry_after(response) or self.wait * 2**attempt)
                    continue
                response.raise_for_status()
                answer = response.json()
                if isinstance(answer, dict):
                    return answer
                problem = "no JSON object"
            except requests.HTTPError as error:
                raise KnowledgeError(f"{self.api}: {error}. Check --encyclopedia") from error
            except (requests.RequestException, ValueError) as error:
                problem = str(error)
                time.sleep(self.wait * 2**attempt)
        raise KnowledgeError(
            f"{self.api}: {ATTEMPTS} attempts failed ({problem}). Run the same command again: it goes on from here"
        )

    def _be_polite(self) -> None:
        with self._lock:
            left = self._last + self.pause - time.monotonic()
            if left > 0:
                time.sleep(left)
            self._last = time.monotonic()


def looks(extract: str) -> str:
    """The section that describes looks with its subsections, else the introduction; bounded."""
    introduction, *sections = _sections(extract)
    for wanted in SECTIONS:
        for index, (depth, heading, text) in enumerate(sections):
            if heading.startswith(wanted) or heading.endswith(wanted):
                body = [text]
                for deeper, _, more in sections[index + 1 :]:
                    if deeper <= depth:
                        break
                    body.append(more)
                return "\n".join(part for part in body if part)[:MAX_CHARACTERS]
    return introduction[2][:MAX_CHARACTERS]


def _sections(extract: str) -> list[tuple[int, str, str]]:
    """(depth, heading in lower case, text) of each section, the introduction first; headings are "== Design ==" lines."""
    sections: list[tuple[int, str, list[str]]] = [(0, "", [])]
    for line in extract.split("\n"):
        bare = line.strip()
        title = bare.strip("=")
        depth = (len(bare) - len(title)) // 2
        if depth >= 2 and title.strip() and bare == "=" * depth + title + "=" * depth:
            sections.append((depth, title.strip().lower(), []))
        else:
            sections[-1][2].append(line)
    return [(depth, heading, "\n".join(lines).strip()) for depth, heading, lines in sections]


def _is_disambiguation(page: dict[str, Any]) -> bool:
    return "disambiguation" in page.get("pageprops", {}) or "may refer to:" in page.get("extract", "")[:300]


def _retry_after(response: requests.Response) -> float:
    try:
        return min(60.0, float(response.headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0
