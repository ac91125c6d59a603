"""An OpenAI-compatible chat server on 127.0.0.1 that answers from the question's text."""

from __future__ import annotations

import base64
import http.server
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image


class ChatServer(http.server.ThreadingHTTPServer):
    """`answer(text)` makes the reply: its content, or a status such as 400; every request's text and image size are kept."""

    answer: Callable[[str], str | int | None]
    seen: list[tuple[str, tuple[int, int] | None]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def model_args(self) -> str:
        """For lmms-eval's backends openai and async_openai."""
        return f"model_version=any,base_url={self.url},api_key=none"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = [part for message in request["messages"] for part in _parts(message["content"])]
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        sizes = [_image_size(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"]
        self.server.seen.append((text, sizes[0] if sizes else None))
        content = self.server.answer(text)
        if isinstance(content, int):
            self.send_error(content)
            return
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _image_size(url: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))).size


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


def say_more(text: str) -> str:
    """As `say`, and it lists attributes when asked for them."""
    if "two lists" in text:
        return "Required:\n- red body\n- no crest\nLikely:\n- none"
    if "Given these attributes" not in text and "list its visible" in text.replace("\n", " ") and "Answer:" not in text:
        return "- red body\n- no crest"
    return say(text)
