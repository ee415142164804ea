"""An OpenAI-compatible server that answers as a test tells it, over real sockets."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO

MODEL = "tiny"
CHAT, RESPONSES, MODELS = "/v1/chat/completions", "/v1/responses", "/v1/models"


@dataclass
class Reply:
    """What to answer: JSON, or bytes as they are."""

    body: object
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Script = Callable[[dict], Reply]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Upstream:
    """Serves `scripts`, by path, and keeps what was asked; a path without a script is a 404.

    A POST without a model is refused before it comes to a script, as servers do.
    """

    def __init__(self, scripts: dict[str, Script] | None = None, port: int = 0) -> None:
        self.scripts: dict[str, Script] = {MODELS: lambda _: Reply({"data": [{"id": MODEL}]})}
        self.scripts |= scripts or {}
        self.asked: list[tuple[str, dict]] = []
        self.keys: set[str | None] = set()
        self.at_once = self.most_at_once = 0
        self.write: Callable[[BinaryIO, bytes], object] = lambda out, content: out.write(content)
        self._lock = threading.Lock()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer({})

            def do_POST(self) -> None:
                self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def answer(self, body: dict) -> None:
                reply = upstream.reply(self.command, self.path, body)
                upstream.keys.add(self.headers["Authorization"])
                content = reply.body
                if not isinstance(content, bytes):
                    content = json.dumps(content).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                upstream.write(self.wfile, content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count how many requests are answered at a time."""
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self._lock:
                self.at_once -= 1

    def reply(self, method: str, path: str, body: dict) -> Reply:
        script = self.scripts.get(path)
        if script is None:
            return Reply({"detail": "Not Found"}, 404)
        if method == "POST":
            if "model" not in body:
                return refusal(400, "model is required")
            self.asked.append((path, body))
        with self.counted():
            return script(body)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def refusal(status: int, message: str, **headers: str) -> Reply:
    """OpenAI's error envelope."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": {"message": message, "param": None, "code": None}}, status, named)


def completed(text: str, **message: object) -> Reply:
    """A chat completion."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": text, **message}}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return Reply({"object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage})


def responded(text: str) -> Reply:
    """A response object."""
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"id": "msg_up", "type": "message", "role": "assistant", "content": [part]}
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    return Reply(
        {
            "id": "resp_up", "object": "response", "created_at": 1, "status": "completed",
            "model": MODEL, "output": [message], "usage": usage,
        }
    )  # fmt: skip


def streamed(*events: object, end: bytes = b"data: [DONE]\n\n") -> Reply:
    """Server-sent events."""
    lines = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    return Reply(lines + end, headers={"Content-Type": "text/event-stream"})


def piece(delta: dict, finish_reason: str | None = None) -> dict:
    """A chunk of a chat."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {
        "id": "up", "object": "chat.completion.chunk", "model": MODEL,
        "system_fingerprint": "fp", "choices": [choice],
    }  # fmt: skip


def last_text(body: dict) -> str:
    """The text of the last message, over either endpoint."""
    source = body.get("messages") or body["input"]
    return source if isinstance(source, str) else source[-1]["content"]


def in_turn(*replies: Reply) -> Script:
    """Answer in this order; the last one for good."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]
