"""Asking a server for JSON, patiently where waiting may help, and keeping its answers on disk."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import requests
import urllib3

from finer_tasks.errors import KnowledgeError, in_one_line, os_error_text
from finer_tasks.parsing import parse_json
from finer_tasks.text import harmless
from finer_tasks.writing import write_text

ATTEMPTS = 5
MAX_PAUSE = 60.0
# How much of what a server said is shown.
MAX_WORDS = 300
# Answers that another attempt may better: a timeout, a conflict, too early, too many requests, and failures of the server.
_PASSING = {408, 409, 425, 429}
_LASTING = (
    requests.TooManyRedirects,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
)


_T = TypeVar("_T")


class Refused(Exception):
    """An answer that asking again cannot change."""


class Passing(Exception):
    """An answer that is of no use now; `pause` is how long the server asks to wait, in seconds."""

    def __init__(self, problem: str, pause: float = 0.0) -> None:
        super().__init__(problem)
        self.pause = pause


def fetch_json(send: Callable[[], requests.Response], read: Callable[[Any], _T], address: str, advice: str, wait: float) -> _T:
    """What `read` makes of the JSON that a request gives; it may raise Passing or Refused itself.

    Raises KnowledgeError for a refusal or a redirect loop at once, with the server's own words and the
    advice, and after ATTEMPTS for what may pass. The pause is `wait` seconds at first and doubles.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return read(_content(send()))
        except (Refused, *_LASTING) as error:
            raise KnowledgeError(f"{address}: {_told(error)}. {advice}") from error
        except (Passing, requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            if attempt == ATTEMPTS:
                raise KnowledgeError(
                    f"{address}: {ATTEMPTS} attempts failed ({_told(error)}). Run the same command again: it goes on from here"
                ) from error
            time.sleep(getattr(error, "pause", 0.0) or wait * 2 ** (attempt - 1))


def _content(response: requests.Response) -> Any:
    if response.status_code in _PASSING or response.status_code >= 500:
        raise Passing(f"status {response.status_code}{_words(response)}", _retry_after(response))
    if not response.ok:
        raise Refused(f"status {response.status_code}{_words(response)}")
    try:
        return response.json()
    except RecursionError:
        raise Passing("the answer is nested too deeply") from None


def _words(response: requests.Response) -> str:
    """What the server said about an error, in the usual JSON forms or as it is."""
    text = response.text[:MAX_WORDS]
    try:
        error = parse_json(response.content)["error"]
        text = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, LookupError, TypeError):
        pass
    return f", {text.strip()}" if text.strip() else ""


def _told(error: Exception) -> str:
    return harmless(in_one_line(error, MAX_WORDS)).rstrip(".")


def _retry_after(response: requests.Response) -> float:
    try:
        asked = float(response.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0
    return min(MAX_PAUSE, asked) if asked > 0 else 0.0


class JsonCache:
    """JSON objects in a folder, one file a key. What cannot be read is taken for absent and written anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def get(self, key: Any) -> dict[str, Any] | None:
        """What was kept under a key, None if there is nothing. Raises KnowledgeError where the disk refuses."""
        path = self._path(key)
        try:
            value = parse_json(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            raise KnowledgeError(f"{path} cannot be read: {os_error_text(error)}") from error
        return value if isinstance(value, dict) else None

    def put(self, key: Any, value: Mapping[str, Any]) -> None:
        """Keep an object under a key; raises OutputError where the disk refuses."""
        with self._lock:
            write_text(self._path(key), json.dumps(value))

    def _path(self, key: Any) -> Path:
        return self.folder / f"{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()}.json"
