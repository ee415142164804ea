"""A small Valar that answers late and refuses beyond a rate; `origin.serving` starts it.

One thread around epoll, so that ten thousand answers a second leave most of a core to the client.
`GET /v1/counts` gives what was served and refused in each tenth of a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import socket
import ssl
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import origin

NAME = "the-custom-id"
BIN = 0.1
BURST = 0.1
"""The bucket of tokens holds the rate of so many seconds."""
REFUSAL = b'{"error":{"message":"too many requests","type":"rate_limit_error"}}'


@dataclass(slots=True)
class Peer:
    """A connection: what has come of a request's head, and how much of a body is to be skipped."""

    wire: socket.socket
    head: bytes = b""
    unread: int = 0


@dataclass(slots=True)
class Limit:
    """A bucket of tokens, filled at `rate` a second; a rate of 0 permits everything."""

    rate: float
    tokens: float = 0.0
    filled_at: float = field(default_factory=time.monotonic)

    def permits(self, now: float) -> bool:
        """Take a token, if there is one."""
        if not self.rate:
            return True
        full = max(1.0, self.rate * BURST)
        self.tokens = min(full, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Server:
    """Answers every call of the batch; results after `latency` seconds, all else at once."""

    def __init__(
        self,
        rows: int,
        *,
        latency: float,
        limit: Limit,
        retry_after: str,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._plain = {
            "/v1/batches": origin.created(rows),
            f"/v1/{origin.PATH}": origin.status(rows),
        }
        self._result = origin.result(NAME)
        self._latency = latency
        self._limit = limit
        self._wait = f"Retry-After: {retry_after}\r\n" if retry_after else ""
        self._tls = tls
        self._peers: dict[int, Peer] = {}
        self._due: deque[tuple[float, socket.socket, bytes]] = deque()
        self._served: Counter[int] = Counter()
        self._refused: Counter[int] = Counter()
        self._began: float | None = None

    def serve(self, listener: socket.socket) -> None:
        """Serve for good."""
        listener.setblocking(False)  # noqa: FBT003
        poller = select.epoll()
        poller.register(listener, select.EPOLLIN)
        while True:
            wait = self._due[0][0] - time.monotonic() if self._due else 1.0
            for descriptor, _ in poller.poll(max(0.0, wait)):
                if descriptor == listener.fileno():
                    self._accept(listener, poller)
                elif not self._read(self._peers[descriptor]):
                    self._peers.pop(descriptor).wire.close()
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, wire, answer = self._due.popleft()
                send(wire, answer)

    def _accept(self, listener: socket.socket, poller: select.epoll) -> None:
        try:
            while True:
                wire, _ = listener.accept()
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire.setblocking(False)  # noqa: FBT003
                if self._tls:
                    wire = self._tls.wrap_socket(
                        wire, server_side=True, do_handshake_on_connect=False
                    )
                self._peers[wire.fileno()] = Peer(wire)
                poller.register(wire, select.EPOLLIN)
        except BlockingIOError:
            return

    def _read(self, peer: Peer) -> bool:
        """Take what has come; whether the connection stays."""
        try:
            while data := peer.wire.recv(65_536):
                self._take(peer, data)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False

    def _take(self, peer: Peer, data: bytes) -> None:
        if peer.unread:
            peer.unread -= len(data)
            if peer.unread <= 0:
                self._answer(peer)
            return
        peer.head += data
        head, end, body = peer.head.partition(b"\r\n\r\n")
        if not end:
            return
        peer.head = head
        if head.startswith(b"POST"):
            length = head.lower().partition(b"content-length:")[2].partition(b"\r")[0]
            peer.unread = int(length) - len(body)
        if peer.unread <= 0:
            self._answer(peer)

    def _answer(self, peer: Peer) -> None:
        method, path, _ = peer.head.decode("latin-1").split(" ", 2)
        peer.head, peer.unread = b"", 0
        path = path.partition("?")[0]
        if path == "/v1/counts":
            send(peer.wire, answer(200, json.dumps(self._counts()).encode()))
        elif path in self._plain:
            text = "[]" if method == "GET" and path == "/v1/batches" else self._plain[path]
            send(peer.wire, answer(200, text.encode()))
        else:
            self._give(peer.wire, path.rpartition("/")[2])

    def _give(self, wire: socket.socket, custom_id: str) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = now
        permitted = self._limit.permits(now)
        (self._served if permitted else self._refused)[int((now - self._began) / BIN)] += 1
        if permitted:
            text = answer(200, self._result.replace(NAME, custom_id).encode())
        else:
            text = answer(429, REFUSAL, self._wait)
        if self._latency:
            self._due.append((now + self._latency, wire, text))
        else:
            send(wire, text)

    def _counts(self) -> list[list[int]]:
        bins = range(max([*self._served, *self._refused, -1]) + 1)
        return [[self._served[place], self._refused[place]] for place in bins]


def answer(status: int, body: bytes, more: str = "") -> bytes:
    """Write an answer as it goes out."""
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n{more}"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head.encode(), len(body), body)


def send(wire: socket.socket, data: bytes) -> None:
    """Send all of it; a peer that has gone is not missed."""
    with contextlib.suppress(OSError):
        wire.setblocking(True)  # noqa: FBT003
        wire.sendall(data)
        wire.setblocking(False)  # noqa: FBT003


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rows", type=int, default=1000, help="requests of the batch")
    parser.add_argument(
        "--latency", type=float, default=0.0, help="seconds until a result is given"
    )
    parser.add_argument("--rate", type=float, default=0.0, help="results permitted in a second")
    parser.add_argument("--retry-after", default="", help="what a refusal says in that header")
    parser.add_argument("--certificate", type=Path, help="a PEM file with its key; else plain http")
    asked = parser.parse_args()
    tls = None
    if asked.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(asked.certificate)
    with socket.create_server(("127.0.0.1", asked.port), backlog=4096) as listener:
        print(f"http{'s' if tls else ''}://localhost:{listener.getsockname()[1]}/v1", flush=True)
        Server(
            asked.rows,
            latency=asked.latency,
            limit=Limit(asked.rate),
            retry_after=asked.retry_after,
            tls=tls,
        ).serve(listener)


if __name__ == "__main__":
    main()
