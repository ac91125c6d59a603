"""Encyclopedia articles through the MediaWiki API: politely, cached on disk, resumable."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

import finer_tasks
from finer_tasks.attributes.requesting import JsonCache, Passing, Refused, fetch_json
from finer_tasks.text import well_formed

USER_AGENT = f"finer-tasks/{finer_tasks.__version__} (research on fine-grained recognition)"
# Sections that describe looks, the most telling first.
SECTIONS = ("description", "design", "appearance", "identification", "characteristics", "exterior", "styling", "plumage")
MAX_CHARACTERS = 6000
# Error codes of a server that is busy or locked for a while.
_BUSY = {"maxlag", "ratelimited", "readonly"}


@dataclass(frozen=True)
class Article:
    """The part of an article that describes how the thing looks; empty text where there is none."""

    title: str
    url: str
    text: str


class Encyclopedia:
    """A MediaWiki API endpoint with a cache folder and a least pause between requests (seconds)."""

    def __init__(self, api: str, cache: Path, pause: float = 0.5, wait: float = 1.0) -> None:
        self.api, self.pause, self.wait = api, pause, wait
        self._cache = JsonCache(cache)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT
        self._lock, self._last = threading.Lock(), 0.0

    def article(self, *titles: str) -> Article | None:
        """The first of the titles that has an article of its own (redirects followed, disambiguations passed over)."""
        for title in titles:
            page = self._page(title)
            if page is not None and not _is_disambiguation(page):
                return Article(
                    well_formed(page["title"]),
                    f"{self.api}?curid={page['pageid']}",
                    looks(well_formed(page.get("extract", ""))),
                )
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
        answer = self._cache.get([self.api, query])
        if answer is None or not _is_answer(answer):
            answer = fetch_json(lambda: self._send(query), _checked, self.api, "Check --encyclopedia", self.wait)
            self._cache.put([self.api, query], answer)
        page = next(iter(answer["query"]["pages"]), None)
        return None if page is None or page.get("missing") or page.get("invalid") else page

    def _send(self, query: dict[str, str]) -> requests.Response:
        self._be_polite()
        return self._session.get(self.api, params=query, timeout=(10, 30))

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


def _checked(answer: Any) -> dict[str, Any]:
    """An answer in MediaWiki's form. Errors come with status 200; those of a busy server pass."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        text = f"{error.get('code')}, {error.get('info')}"
        raise Passing(text) if error.get("code") in _BUSY else Refused(text)
    if not _is_answer(answer):
        raise Passing("no answer in MediaWiki's form")
    return dict(answer)


def _is_answer(answer: Any) -> bool:
    found = answer.get("query") if isinstance(answer, dict) else None
    pages = found.get("pages") if isinstance(found, dict) else None
    return isinstance(pages, list) and all(isinstance(page, dict) and _is_page(page) for page in pages)


def _is_page(page: dict[str, Any]) -> bool:
    if page.get("missing") or page.get("invalid"):
        return True
    return isinstance(page.get("title"), str) and "pageid" in page and isinstance(page.get("extract", ""), str)


def _is_disambiguation(page: dict[str, Any]) -> bool:
    return "disambiguation" in (page.get("pageprops") or {}) or "may refer to:" in page.get("extract", "")[:300]
