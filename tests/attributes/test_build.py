"""Building attributes against servers on this machine, faults included."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.attributes import build as build_module
from finer_tasks.attributes.build import NO_ARTICLE, ChatEndpoint, build, merge_synonyms
from finer_tasks.attributes.encyclopedia import USER_AGENT, Encyclopedia, looks
from finer_tasks.datasets.taxonomy import Concept
from finer_tasks.errors import KnowledgeError
from tests.faults import FaultHandler

REPLY = "Required:\n- white head\n- head that is white\n- yellow bill\nLikely:\n- loud call\n- dark eye patch"
ARTICLE = "A bird.\n\n== Taxonomy ==\nNamed long ago.\n\n== Description ==\nWhite head.\n\n=== Juvenile ===\nBrown.\n\n== Voice ==\nLoud.\n"


class Server(http.server.ThreadingHTTPServer):
    """`answer(handler) -> (status, body)`; the statuses in `faults` are spent first: a number, 'cut' or 'junk'."""

    faults: list[str]
    requests: list[dict[str, Any]]
    answer: Callable[[dict[str, Any]], Any]


class Handler(FaultHandler):
    server: Server

    def do_GET(self) -> None:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(self.path).query))
        self._respond(query | {"agent": self.headers["User-Agent"]})

    def do_POST(self) -> None:
        self._respond(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _respond(self, request: dict[str, Any]) -> None:
        self.server.requests.append(request)
        fault = self.server.faults.pop(0) if self.server.faults else ""
        body = b"{ not json" if fault == "junk" else json.dumps(self.server.answer(request)).encode()
        self.send_body(int(fault) if fault.isdigit() else 200, body, cut=fault == "cut")


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def make(answer: Callable[[dict[str, Any]], Any], *faults: str) -> Server:
        server = Server(("127.0.0.1", 0), Handler)
        server.answer, server.faults, server.requests = answer, list(faults), []  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server

    yield make
    for server in running:
        server.shutdown()


def chat_reply(text: str = REPLY) -> Callable[[dict[str, Any]], Any]:
    return lambda request: {
        "choices": [{"message": {"content": text}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    }


def endpoint(server: Server, tmp_path: Path) -> ChatEndpoint:
    return ChatEndpoint(f"http://127.0.0.1:{server.server_port}/v1", "m", tmp_path / "replies", wait=0, timeout=5)


CONCEPTS = [Concept(f"bird_{n}", "Bird", ("Albatross",), (f"Bird {n}",)) for n in range(6)]


def test_lists_are_extracted_merged_and_accounted_for(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(chat_reply())
    built = build(CONCEPTS, endpoint(server, tmp_path), None, workers=3)
    assert [e.concept_id for e in built.entries] == [c.concept_id for c in CONCEPTS]
    assert built.entries[0].required == ("white head", "yellow bill")
    assert built.entries[0].likely == ("loud call", "dark eye patch")
    assert (built.usage.asked, built.usage.prompt_tokens, built.usage.completion_tokens) == (6, 600, 120)
    assert built.usage.cost(2.0, 10.0) == pytest.approx((600 * 2 + 120 * 10) / 1e6)
    assert built.entries[0].provenance.model == "m"
    assert all(NO_ARTICLE in request["messages"][0]["content"] for request in server.requests)
    again = build(CONCEPTS, endpoint(server, tmp_path), None)
    assert (len(server.requests), again.usage.asked, again.usage.cached) == (6, 0, 6)


@pytest.mark.parametrize("fault", ["429", "500", "junk", "cut"])
def test_passing_faults_are_retried(make_server: Callable[..., Server], tmp_path: Path, fault: str) -> None:
    server = make_server(chat_reply(), fault, fault)
    assert len(build(CONCEPTS[:1], endpoint(server, tmp_path), None).entries) == 1
    assert len(server.requests) == 3


def test_a_lasting_fault_keeps_what_was_answered(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(chat_reply(), *[""], *["500"] * build_module.ATTEMPTS)
    with pytest.raises(KnowledgeError, match=f"{build_module.ATTEMPTS} attempts failed.*goes on from here"):
        build(CONCEPTS[:2], endpoint(server, tmp_path), None, workers=1)
    server.faults = []
    before = len(server.requests)
    assert len(build(CONCEPTS[:2], endpoint(server, tmp_path), None, workers=1).entries) == 2
    assert len(server.requests) == before + 1


def test_a_refused_key_is_not_retried(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(chat_reply(), "401")
    with pytest.raises(KnowledgeError, match=r"status 401\. Check --endpoint"):
        build(CONCEPTS[:1], endpoint(server, tmp_path), None)
    assert len(server.requests) == 1


def test_replies_that_are_no_lists_are_kept_aside(make_server: Callable[..., Server], tmp_path: Path) -> None:
    built = build(CONCEPTS[:2], endpoint(make_server(chat_reply("I would rather not.")), tmp_path), None)
    assert built.entries == []
    assert built.failures == {"bird_0": "I would rather not.", "bird_1": "I would rather not."}


def wiki(pages: dict[str, dict[str, Any]]) -> Callable[[dict[str, Any]], Any]:
    def answer(request: dict[str, Any]) -> Any:
        page = pages.get(request["titles"])
        return {"query": {"pages": [page or {"title": request["titles"], "missing": True}]}}

    return answer


def test_articles_are_found_through_redirects_and_past_disambiguations(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    pages = {
        "Bird 0": {"title": "Bird (zero)", "pageid": 7, "extract": ARTICLE},
        "Bird 1": {"title": "Bird 1", "pageid": 8, "extract": "Bird 1 may refer to:", "pageprops": {"disambiguation": ""}},
        "Avis una": {"title": "Avis una", "pageid": 9, "extract": "Only an introduction."},
    }
    server = make_server(wiki(pages), "429", "cut")
    encyclopedia = Encyclopedia(f"http://127.0.0.1:{server.server_port}/api", tmp_path, pause=0, wait=0)
    found = encyclopedia.article("Bird 0")
    assert found is not None
    assert (found.title, found.text) == ("Bird (zero)", "White head.\nBrown.")
    other = encyclopedia.article("Bird 1", "Avis una")
    assert other is not None
    assert other.text == "Only an introduction."
    assert encyclopedia.article("Nothing") is None
    assert {request["agent"] for request in server.requests} == {USER_AGENT}
    count = len(server.requests)
    encyclopedia.article("Bird 0")
    assert len(server.requests) == count
    chat = make_server(chat_reply())
    built = build([CONCEPTS[0]], endpoint(chat, tmp_path), encyclopedia)
    assert "White head." in chat.requests[0]["messages"][0]["content"]
    assert built.entries[0].provenance.source.startswith("Bird (zero) <")


def test_the_section_that_describes_looks() -> None:
    assert looks(ARTICLE) == "White head.\nBrown."
    assert looks("Intro.\n\n== History ==\nOld.") == "Intro."
    assert looks("Intro.\n\n== Design and development ==\nTwin engines.\n\n== Variants ==\nMany.") == "Twin engines."


@pytest.mark.parametrize(
    ("phrases", "merged"),
    [
        (["white head", "head white", "a white head"], ["white head"]),
        (["white head", "white heads"], ["white head"]),
        (["yellow bill", "black bill"], ["yellow bill", "black bill"]),
        (["no crest", "crest"], ["no crest", "crest"]),
    ],
)
def test_synonyms(phrases: list[str], merged: list[str]) -> None:
    assert merge_synonyms(phrases) == merged
