"""A gate before a served Valar: it holds the calls that a test names, or answers them itself."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from dataclasses import dataclass, field, replace

from tests.conftest import Served

LISTING = r"GET /v1/batches\?"
UPLOAD = r"POST /v1/batches "
POLL = r"GET /v1/batches/[^/ ]+ "
RESULT = r"GET /v1/batches/[^/ ]+/"
COME_LATER = (
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 600\r\nContent-Type: application/json\r\n"
    b'Content-Length: 49\r\n\r\n{"error": {"message": "later", "type": "limited"}}'
)


@dataclass
class Gate:
    """Passes everything on until it is closed for calls whose first line begins with a pattern."""

    port: int
    pattern: str = ""
    let_through: int = 0
    answer: bytes = b""
    held: int = 0
    opened: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def close_for(self, pattern: str, *, let_through: int = 0, answer: bytes = b"") -> None:
        """Hold such calls from now on, after the first few; or give them the answer."""
        self.opened.clear()
        self.pattern, self.let_through, self.answer, self.held = pattern, let_through, answer, 0

    def open(self) -> None:
        """Let everything through."""
        self.pattern = ""
        self.opened.set()

    def wait_for(self, count: int = 1) -> None:
        """Wait until so many calls are held, or were answered."""
        until = time.monotonic() + 60
        while self.held < count:
            assert time.monotonic() < until, f"only {self.held} calls came to the gate"
            time.sleep(0.01)

    def before(self, served: Served) -> Served:
        """Give the same Valar as it is reached through the gate."""
        return replace(served, port=self.listener.getsockname()[1])

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
                threading.Thread(target=self._forth, args=(near, far), daemon=True).start()
                threading.Thread(target=self._back, args=(far, near), daemon=True).start()

    def _forth(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError), near, far:
            while content := near.recv(1 << 16):
                if self.pattern and re.match(self.pattern.encode(), content):
                    if self.let_through:
                        self.let_through -= 1
                    else:
                        self.held += 1
                        if self.answer:
                            near.sendall(self.answer)
                            return
                        self.opened.wait()
                far.sendall(content)

    def _back(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := far.recv(1 << 16):
                near.sendall(content)
