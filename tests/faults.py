"""What the test servers share: a body sent whole or cut in half, and no log."""

from __future__ import annotations

import http.server


class FaultHandler(http.server.BaseHTTPRequestHandler):
    def send_body(self, status: int, body: bytes, cut: bool) -> None:
        """The full length is announced also where only half of the body follows."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, *arguments: object) -> None:
        pass
