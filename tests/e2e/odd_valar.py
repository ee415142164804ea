"""A Valar that answers as a test tells it to, over real sockets."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.conftest import MODEL

IDS = [f"r-{n}" for n in range(1, 7)]


def response(custom_id: str, status: str = "completed", **more: object) -> dict:
    text = [{"type": "message", "content": [{"type": "output_text", "text": f"for {custom_id}"}]}]
    return {
        "id": f"resp_{custom_id}", "object": "response", "created_at": 1, "status": status,
        "model": MODEL, "metadata": {}, "output": text,
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}, **more,
    }  # fmt: skip


class OddValar:
    """Takes one batch; `statuses` and `results` say what it answers for each custom_id."""

    def __init__(self) -> None:
        self.statuses: dict[str, str] = dict.fromkeys(IDS, "COMPLETED")
        self.results: dict[str, tuple[int, bytes]] = {}
        self.batch: dict | None = None
        self.sent: dict = {}
        self.asked: list[str] = []
        odd = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                self.reply(*odd.get(path), **odd.headers(path))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.reply(*odd.post(body), **odd.headers(self.path))

            def reply(self, status: int, content: bytes, **headers: str) -> None:
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "2")
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def headers(self, path: str) -> dict[str, str]:
        """Give more headers for the answer at a path."""
        return {}

    def post(self, body: dict) -> tuple[int, bytes]:
        self.sent = body
        count = len(body["requests"])
        self.batch = {"id": "b/1", "request_counts": count, "created_at": 1, "label": body["label"]}
        return 200, json.dumps(self.batch).encode()

    def get(self, path: str) -> tuple[int, bytes]:
        if path == "/v1/batches":
            return 200, json.dumps([self.batch] if self.batch else []).encode()
        if path == "/v1/batches/b%2F1":
            words = {name: {"status": word} for name, word in self.statuses.items()}
            return 200, json.dumps({**self.batch, "request_status": words}).encode()
        custom_id = path.rpartition("/")[2]
        self.asked.append(custom_id)
        given = self.results.get(custom_id)
        return given or (200, json.dumps(response(custom_id)).encode())

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
