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

from finer_tasks.attributes import requesting
from finer_tasks.attributes.build import NO_ARTICLE, ChatEndpoint, build, merge_synonyms
from finer_tasks.attributes.encyclopedia import USER_AGENT, Encyclopedia, looks
from finer_tasks.datasets.record import Concept
from finer_tasks.errors import KnowledgeError
from tests.faults import FaultHandler

REPLY = "Required:\n- white head\n- head that is white\n- yellow bill\nLikely:\n- loud call\n- dark eye patch"
ARTICLE = "A bird.\n\n== Taxonomy ==\nNamed long ago.\n\n== Description ==\nWhite head.\n\n=== Juvenile ===\nBrown.\n\n== Voice ==\nLoud.\n"


class Server(http.server.ThreadingHTTPServer):
    """`answer(handler) -> (status, body)`; what is in `faults` is spent first: a status, 'cut', 'junk', 'deep', 'loop' or 'length'."""

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
        if fault in ("loop", "length"):
            self.send_response(302 if fault == "loop" else 200)
            self.send_header("Location", self.path)
            self.send_header("Content-Length", "0" if fault == "loop" else "1, 2")
            return self.end_headers()
        answer = {"error": {"message": "m is\x1b no model"}} if fault.isdigit() else self.server.answer(request)
        body = {"junk": b"{ not json", "deep": b"[" * 100_000}.get(fault, json.dumps(answer).encode())
        return self.send_body(int(fault) if fault.isdigit() else 200, body, cut=fault == "cut")


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
    return ChatEndpoint(f"http://127.0.0.1:{server.server_port}/v1", "m", tmp_path / "replies", wait=0)


PAGE = {"title": "Bird 0", "pageid": 7, "extract": ARTICLE}
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


@pytest.mark.parametrize("fault", ["429", "500", "junk", "cut", "deep"])
def test_passing_faults_are_retried(make_server: Callable[..., Server], tmp_path: Path, fault: str) -> None:
    server = make_server(chat_reply(), fault, fault)
    assert len(build(CONCEPTS[:1], endpoint(server, tmp_path), None).entries) == 1
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "message"), [("loop", "redirects"), ("length", "Content-Length"), ("400", r"400, m is\\x1b no")]
)
def test_lasting_faults_end_at_once_with_the_servers_words(
    make_server: Callable[..., Server], tmp_path: Path, fault: str, message: str
) -> None:
    for address in ("chat", "articles"):
        server = make_server(chat_reply(), *[fault] * 40)
        articles = Encyclopedia(f"http://127.0.0.1:{server.server_port}/api", tmp_path, pause=0, wait=0)
        encyclopedia = articles if address == "articles" else None
        with pytest.raises(KnowledgeError, match=rf"{message}.*\. Check --en"):
            build(CONCEPTS[:1], endpoint(server, tmp_path), encyclopedia)
        assert len(server.requests) == (1 if fault != "loop" else 31)  # the limit of requests


def test_no_pause_follows_the_last_attempt(
    make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(requesting.time, "sleep", pauses.append)
    server = make_server(chat_reply(), *["500"] * requesting.ATTEMPTS)
    patient = ChatEndpoint(f"http://127.0.0.1:{server.server_port}/v1", "m", tmp_path, wait=1)
    with pytest.raises(KnowledgeError, match="5 attempts failed"):
        patient.ask("Which?")
    assert pauses == [1, 2, 4, 8]


def test_a_lasting_fault_keeps_what_was_answered(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(chat_reply(), *[""], *["500"] * requesting.ATTEMPTS)
    with pytest.raises(KnowledgeError, match=f"{requesting.ATTEMPTS} attempts failed.*goes on from here"):
        build(CONCEPTS[:2], endpoint(server, tmp_path), None, workers=1)
    server.faults = []
    before = len(server.requests)
    assert len(build(CONCEPTS[:2], endpoint(server, tmp_path), None, workers=1).entries) == 2
    assert len(server.requests) == before + 1


def test_a_refused_key_is_not_retried(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(chat_reply(), "401")
    with pytest.raises(KnowledgeError, match=r"status 401, .*\. Check --endpoint"):
        build(CONCEPTS[:1], endpoint(server, tmp_path), None)
    assert len(server.requests) == 1
    with pytest.raises(KnowledgeError, match="Check --key_variable"):
        ChatEndpoint("http://127.0.0.1/v1", "m", tmp_path, key="a\nb")


@pytest.mark.parametrize("reply", ["I would rather not.", "", "Required:\nnone\nLikely:\nnone"])
def test_replies_without_attributes_are_kept_aside_and_asked_for_again(
    make_server: Callable[..., Server], tmp_path: Path, reply: str
) -> None:
    server = make_server(chat_reply(reply))
    built = build(CONCEPTS[:2], endpoint(server, tmp_path), None)
    assert built.entries == []
    assert built.failures == dict.fromkeys(("bird_0", "bird_1"), f"[no attributes found] {reply}")
    server.answer = chat_reply()  # type: ignore[method-assign]
    assert len(build(CONCEPTS[:2], endpoint(server, tmp_path), None).entries) == 2


@pytest.mark.parametrize(
    ("message", "finish", "required"),
    [
        (
            {"content": [{"type": "text", "text": "Required:\n- white"}, {"type": "text", "text": " head"}]},
            "stop",
            "white head",
        ),
        ({"content": "Required:\n- white\ud800 head"}, "stop", "white\ufffd head"),
        ({"content": "<think>\nRequired:\n- draft\n</think>\nRequired:\n- white head"}, "stop", "white head"),
        ({"content": "<think>\nRequired:\n- draft"}, "stop", None),
        ({"content": "Required:\n- white head\n- yel"}, "length", None),
        ({"content": None}, "stop", None),
    ],
)
def test_forms_of_a_reply(
    make_server: Callable[..., Server], tmp_path: Path, message: Any, finish: str, required: str | None
) -> None:
    choice = {"message": message, "finish_reason": finish}
    server = make_server(
        lambda request: {"choices": [choice], "usage": {"prompt_tokens": "12 tokens", "completion_tokens": None}}
    )
    for _ in range(2):
        built = build(CONCEPTS[:1], endpoint(server, tmp_path), None)
        assert [entry.required for entry in built.entries] == ([(required,)] if required else [])
    assert len(server.requests) == (1 if required else 2)
    assert (built.usage.prompt_tokens, built.usage.completion_tokens) == (0, 0)


@pytest.mark.parametrize(
    "broken", [b"", b"{", b"[1]", b'{"reply": 3}', b'{"reply": "<think>\\n- draft"}', b"[" * 100_000, b"\xff"]
)
def test_a_broken_cache_is_written_anew(make_server: Callable[..., Server], tmp_path: Path, broken: bytes) -> None:
    chat, articles = make_server(chat_reply()), make_server(wiki({"Bird 0": PAGE}))
    for _ in range(2):
        encyclopedia = Encyclopedia(f"http://127.0.0.1:{articles.server_port}/api", tmp_path / "articles", pause=0)
        assert len(build(CONCEPTS[:1], endpoint(chat, tmp_path), encyclopedia).entries) == 1
        cached = [*(tmp_path / "replies").iterdir(), *(tmp_path / "articles").iterdir()]
        for path in cached:
            path.write_bytes(broken)
    assert (len(cached), len(chat.requests), len(articles.requests)) == (2, 2, 2)


def test_a_cache_that_is_a_file_is_named_before_anything_is_paid(make_server: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "replies").write_text("a file")
    server = make_server(chat_reply())
    with pytest.raises(KnowledgeError, match=r"replies.*a file stands where a folder should be"):
        build(CONCEPTS[:1], endpoint(server, tmp_path), None)
    assert server.requests == []


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


def test_errors_of_a_busy_encyclopedia_are_no_missing_articles(make_server: Callable[..., Server], tmp_path: Path) -> None:
    answers = [{"error": {"code": "maxlag", "info": "wait"}}, [], {"query": {"pages": [PAGE]}}]
    server = make_server(lambda request: answers.pop(0))
    found = Encyclopedia(f"http://127.0.0.1:{server.server_port}/api", tmp_path, pause=0, wait=0).article("Bird 0")
    assert found is not None
    assert found.text == "White head.\nBrown."
    server.answer = lambda request: {"error": {"code": "badvalue", "info": "no such module"}}  # type: ignore[method-assign]
    with pytest.raises(KnowledgeError, match=r"badvalue, no such module\. Check --encyclopedia"):
        Encyclopedia(f"http://127.0.0.1:{server.server_port}/api", tmp_path, pause=0, wait=0).article("Bird 1")


def test_the_section_that_describes_looks() -> None:
    assert looks(ARTICLE) == "White head.\nBrown."
    assert looks("Intro.\n\n== History ==\nOld.") == "Intro."
    assert looks("Intro.\n=== odd ==\n== ==\n== Plumage ==\r\nRed.") == "Red."
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
