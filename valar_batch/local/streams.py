"""Server-sent events: an answer that comes bit by bit, until its end or until the client has gone.

Source of the format: the HTML standard, Server-sent events.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valar_batch.errors import ApiError
from valar_batch.local.exchange import JSON, envelope
from valar_batch.local.leases import disconnected

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from valar_batch.local.exchange import Headers, Receive, Send

HEADERS = ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"))
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Stream:
    """What is sent back event by event; each event is a JSON value."""

    events: AsyncGenerator[Any, None]

    async def hold(self, receive: Receive, send: Send, request_id: tuple[bytes, bytes]) -> None:
        """Send the events, then `[DONE]`. A client that hangs up ends the stream quietly."""
        headers = [*HEADERS, request_id]
        sending = asyncio.ensure_future(self._send(send, headers))
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            gone.cancel()
            sending.cancel()

    async def _send(self, send: Send, headers: Headers) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async with contextlib.aclosing(self.events) as events:
                async for event in events:
                    await write(send, JSON.encode(event))
        except ApiError as error:
            # The status has been sent, so an error can only be an event, which the clients know.
            await write(send, envelope(error).body)
        else:
            await send({"type": "http.response.body", "body": DONE, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def write(send: Send, data: bytes) -> None:
    """Send one event."""
    await send({"type": "http.response.body", "body": b"data: %b\n\n" % data, "more_body": True})


async def paced(events: Iterable[Any], seconds: float) -> AsyncGenerator[Any, None]:
    """Give events one after the other, the last of them after `seconds`."""
    waiting = list(events)
    pause = seconds / len(waiting)
    for event in waiting:
        # At 0 it still lets other calls have their turn.
        await asyncio.sleep(pause)
        yield event
