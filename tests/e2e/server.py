"""An OpenAI-compatible chat server on 127.0.0.1 that fails as it is told, which a real one does not.

Real answers come from `tests.e2e.serving`.
"""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults import FaultHandler

CUT = -1


class ChatServer(http.server.ThreadingHTTPServer):
    """`answer(text)` makes the reply: its content, a status such as 400, or CUT for a body that breaks off; every text is kept."""

    answer: Callable[[str], str | int | None]
    seen: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def model_args(self) -> str:
        """For lmms-eval's backends openai and async_openai."""
        return f"model_version=any,base_url={self.url},api_key=none"


class _Handler(FaultHandler):
    server: ChatServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = [part for message in request["messages"] for part in _parts(message["content"])]
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        self.server.seen.append(text)
        content = self.server.answer(text)
        if isinstance(content, int) and content != CUT:
            self.send_error(content)
            return
        said = "cut" if content == CUT else content
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        self.send_body(200, json.dumps(answer).encode(), cut=content == CUT, headers={"Content-Type": "application/json"})


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


@contextmanager
def chat_server(answer: Callable[[str], str | int | None]) -> Iterator[ChatServer]:
    """A running server; it ends with the block."""
    server = ChatServer(("127.0.0.1", 0), _Handler)
    server.answer, server.seen = answer, []  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()


def say(text: str) -> str:
    """A model that knows that things are Birds, all birds Finches, and all finches Alder Finch."""
    if "categories" in text:
        return "Answer: Bird"
    return "Answer: Finch" if "Which kind" in text else "It is red. Answer: Alder Finch"
