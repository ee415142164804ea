"""A small HTTP server over real sockets that answers, stalls or hangs up as a test tells it."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

HANG_UP = "hang up without a word"
CUT_BODY = "half of the body, then hang up"
STALL = "silence"


@dataclass(frozen=True)
class Request:
    """A request as it came. `headers` by lower-case name."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What to do with a request.

    `unread` answers before the request's body has been read, and then hangs up. `fault` is one of
    this module's.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    unread: bool = False


def reply(value: object, status: int = 200, **headers: str) -> Reply:
    """A reply of JSON; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), named)


def refusal(status: int, message: str = "no", **more: object) -> Reply:
    """Valar's error envelope."""
    error = {"message": message, "type": "t", "param": None, "code": None, **more}
    return reply({"error": error}, status, X_Request_ID="req_1")


class Origin:
    """Serves `script(request)` on a loopback port until closed, and keeps what was asked."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.script: Callable[[Request], Reply] = lambda _: Reply(500)
        self.requests: list[Request] = []
        self.connections: list[socket.socket] = []
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._closed = threading.Event()
        self._acceptor = threading.Thread(target=self._listen)
        self._workers: list[threading.Thread] = []
        self._acceptor.start()

    @property
    def base_url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def replies(self, *replies: Reply) -> None:
        """Answer in this order; the last one for good."""
        left = list(replies)
        self.script = lambda _: left.pop(0) if len(left) > 1 else left[0]

    def close(self) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for worker in self._workers:
            worker.join()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            worker = threading.Thread(target=self._converse, args=(connection,))
            self._workers.append(worker)
            worker.start()

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while self._exchange(connection, stream):
                    pass

    def _exchange(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """Read one request and answer it; whether the connection stays."""
        line = stream.readline().decode("latin-1").split()
        if len(line) != 3:
            return False
        headers = {}
        while text := stream.readline().decode("latin-1").strip():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        request = Request(line[0], line[1], headers)
        answer = self.script(request)
        if not answer.unread:
            body = stream.read(int(headers.get("content-length", 0)))
            request = Request(line[0], line[1], headers, body)
        self.requests.append(request)
        if answer.fault == STALL:
            self._closed.wait()
        if answer.fault in (HANG_UP, STALL):
            return False
        head = f"HTTP/1.1 {answer.status} Scripted\r\nContent-Length: {len(answer.body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        body = answer.body[: len(answer.body) // 2] if answer.fault else answer.body
        connection.sendall(head.encode("latin-1") + b"\r\n" + body)
        return not answer.fault and not answer.unread
