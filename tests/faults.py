"""Faults that tests make: bodies cut in half, and a disk that is full."""

from __future__ import annotations

import http.server
import resource
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def full_disk(largest: int = 1000) -> Iterator[None]:
    """No file can become larger than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


class FaultHandler(http.server.BaseHTTPRequestHandler):
    def send_body(self, status: int, body: bytes, cut: bool, headers: Mapping[str, str] | None = None) -> None:
        """The full length is announced also where only half of the body follows."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, *arguments: object) -> None:
        pass
