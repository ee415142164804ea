"""Ways to a server that fail when a test says so: a relay, also with TLS, and a CONNECT proxy."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CERTIFICATES = Path(__file__).with_name("certificates")
AUTHORITY = CERTIFICATES / "authority.pem"

LIST = rb"GET /v1/batches\?"
UPLOAD = rb"POST /v1/batches "
POLL = rb"GET /v1/batches/[^/ ]+ HTTP"
RESULT = rb"GET /v1/batches/[^/ ]+/[^/ ]+ HTTP"
PHASES = {"list": LIST, "upload": UPLOAD, "poll": POLL, "result": RESULT}

REFUSE = "nobody listens"
DROP = "connections are taken and closed"
SILENCE = "connections are taken, and nothing is ever said"
PAGE = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\n<h1>502</h1"
)
"""A gateway's answer to everything."""


def tls(name: str) -> ssl.SSLContext:
    """Serve with a certificate of this folder, or of tests/client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    return context


class Way:
    """A port on loopback. What comes in is handled by a thread each; `down` and `up` as told."""

    def __init__(self) -> None:
        self.connections = 0
        self.fault: str | bytes | None = None
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def down(self, fault: str | bytes, seconds: float | None = None) -> None:
        """Cut what is open and fail what comes, for so many seconds or until `up`."""
        with self._lock:
            self.fault = fault
            if fault == REFUSE and self._listener is not None:
                self._shut(self._listener)
                self._listener.close()
                self._listener = None
            for connection in self._open:
                self._shut(connection)
        if seconds is not None:
            timer = threading.Timer(seconds, self.up)
            timer.daemon = True
            timer.start()

    def up(self) -> None:
        """Work again."""
        with self._lock:
            self.fault = None
            for connection in self._open:
                self._shut(connection)
            if self._listener is None and not self._closed.is_set():
                self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)

    def close(self) -> None:
        """End it, and every connection."""
        self._closed.set()
        self.down(REFUSE)
        for thread in self._threads:
            thread.join(10)

    @staticmethod
    def _shut(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        while not self._closed.is_set():
            listener = self._listener
            if listener is None:
                time.sleep(0.01)
                continue
            try:
                connection, _ = listener.accept()
            except OSError:
                time.sleep(0.01)
                continue
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):
                self.serve(connection)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def serve(self, connection: socket.socket) -> None:
        """Speak over a connection until it ends."""
        raise NotImplementedError

    def track(self, connection: socket.socket) -> socket.socket:
        """Have an outgoing connection cut with the others."""
        with self._lock:
            self._open.add(connection)
        return connection

    def forget(self, connection: socket.socket) -> None:
        """Close an outgoing connection."""
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def wait_closed(self, connection: socket.socket) -> None:
        """Say nothing until the other side, or `up`, ends it."""
        while connection.recv(65536):
            pass


class Relay(Way):
    """Forwards to a port of this machine, and keeps the request lines; in front of it TLS, or not.

    `at(words, act)` calls `act` when a request begins with `words`, once; `before` says whether
    that is before the server has it, or when its answer comes. A connection is dropped at request
    number `most`, if that is given; `drops` says which requests are dropped besides.
    """

    def __init__(self, target: int, context: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.asked: list[bytes] = []
        self.most: int | None = None
        self.drops: bytes | None = None
        self.context = context
        self._due: list[tuple[bytes, Callable[[], None], bool]] = []
        super().__init__()

    @property
    def base_url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}/v1"

    def at(self, words: bytes, act: Callable[[], None], *, before: bool = True) -> None:
        self._due.append((words, act, before))

    def serve(self, connection: socket.socket) -> None:
        if self.fault == DROP:
            return
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True)
        if self.fault == SILENCE:
            self.wait_closed(connection)
            return
        talk = Talk(connection)
        try:
            while self._answer_fault(talk) or self._pass_on(talk):
                pass
        finally:
            if talk.server is not None:
                self.forget(talk.server)
            connection.close()

    def _answer_fault(self, talk: Talk) -> bool:
        """Answer with the page of this moment, if there is one."""
        fault = self.fault
        if not isinstance(fault, bytes) or not talk.client.recv(65536):
            return False
        talk.client.sendall(fault)
        return True

    def _pass_on(self, talk: Talk) -> bool:
        """Move one piece in either direction; whether both are still there."""
        client = talk.client
        if talk.server is None:
            talk.server = self.track(socket.create_connection(("127.0.0.1", self.target)))
        pending = isinstance(client, ssl.SSLSocket) and client.pending()
        ready = [client] if pending else select.select([client, talk.server], [], [], 1)[0]
        for source in ready:
            data = source.recv(65536)
            if not data:
                return False
            if source is not client:
                while talk.owed:
                    talk.owed.pop()()
                client.sendall(data)
            elif self._lets_pass(data, talk):
                talk.server.sendall(data)
            else:
                return False
        return True

    def _lets_pass(self, data: bytes, talk: Talk) -> bool:
        """Do what is due at this request, or owe it to its answer; whether it goes on."""
        if re.match(rb"(GET|POST) /", data):
            self.asked.append(data.partition(b"\r\n")[0])
            talk.requests += 1
        for entry in [entry for entry in self._due if re.match(entry[0], data)]:
            self._due.remove(entry)
            _, act, before = entry
            if before:
                act()
            else:
                talk.owed.append(act)
        is_dropped = talk.requests == self.most or (self.drops and re.match(self.drops, data))
        return self.fault is None and not is_dropped


@dataclass
class Talk:
    """A connection through a relay; `owed` is to be done when the next answer comes."""

    client: socket.socket
    server: socket.socket | None = None
    requests: int = 0
    owed: list[Callable[[], None]] = field(default_factory=list)


class ConnectProxy(Way):
    """A proxy for TLS: leads CONNECT to where it asks for, or to `answer` with its refusal."""

    def __init__(self, answer: bytes = b"") -> None:
        self.heads: list[bytes] = []
        self.answer = answer
        super().__init__()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        self.heads.append(head)
        if self.answer or not head.startswith(b"CONNECT "):
            connection.sendall(self.answer or b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        server = self.track(socket.create_connection((host, int(port))))
        try:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while True:
                for source in select.select([connection, server], [], [], 1)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    (server if source is connection else connection).sendall(data)
        finally:
            self.forget(server)
