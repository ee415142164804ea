"""A client's connection: what is no HTTP, has too large a head or sends it too slowly ends here.

Nothing of this needs a key, so nothing of it may cost much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from valar_batch.local.api.exchange import envelope, fresh_headers, has_body
from valar_batch.local.refusals import refused

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from valar_batch.local.api.exchange import Answer

MAX_HEAD_BYTES = 65_536
"""Bytes of a request's line and headers."""
TRANSPORT = "transport"
"""The extension of an ASGI scope, and its key, under which the connection's transport is."""
HEAD_PATIENCE = 30.0
"""Seconds for a request's line and headers to arrive."""


class Connection(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1 over httptools, with bounds for the head and errors in the envelope.

    An application that has an `at_once` is asked by it first: its answer, or None.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._at_once = getattr(self.app, "at_once", None)
        self._awaits_head = True
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._head_complete()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin a request; who makes faults on purpose gets hold of the connection itself."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {TRANSPORT: self.transport}}
        self._awaits_head = True

    def on_headers_complete(self) -> None:
        """Hand the request to the application, which minds the body."""
        self._head_complete()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin a call; what needs no waiting is answered right away, in one write.

        A task, and a write for the head alone, would double what a result costs. An uvicorn that
        calls this otherwise is merely slower.
        """
        is_plain = (
            cycle.keep_alive and not self.flow.write_paused and not has_body(cycle.scope["headers"])
        )
        answer = self._at_once(cycle.scope) if self._at_once and is_plain else None
        if answer is None:
            super()._start_asgi_task(cycle, app)
            return
        self.transport.write(in_one(answer))
        cycle.response_complete = True
        self.on_response_complete()

    def data_received(self, data: bytes) -> None:
        """Read on; a head that is still not complete must not grow or last without end."""
        super().data_received(data)
        if not self._awaits_head or self.transport.is_closing():
            return
        if self._deadline is None:
            self._expect_head()
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, f"a request's headers have at most {MAX_HEAD_BYTES:,} bytes")

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed."""
        self._refuse(400, "this is not HTTP/1.1")

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._deadline = self.loop.call_later(HEAD_PATIENCE, self._too_slow)

    def _head_complete(self) -> None:
        self._awaits_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self._refuse(408, f"a request's headers arrive within {HEAD_PATIENCE:g} seconds")

    def _refuse(self, status: int, message: str) -> None:
        self._head_complete()
        answer = envelope(refused(message, None, status=status))
        self.transport.write(in_one(answer._replace(headers=((b"connection", b"close"),))))
        self.transport.close()


def in_one(answer: Answer) -> bytes:
    """Give an answer with its head."""
    length = (b"content-length", str(len(answer.body)).encode())
    headers = [*fresh_headers(), length, *answer.headers]
    lines = b"".join([name + b": " + value + b"\r\n" for name, value in headers])
    return STATUS_LINE[answer.status] + lines + b"\r\n" + answer.body
