"""Server-sent events: an answer that comes bit by bit, until its end or until the client has gone.

Source of the format: the HTML standard, Server-sent events.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valar_batch.errors import ApiError
from valar_batch.local.api.exchange import JSON, envelope
from valar_batch.local.leases import disconnected

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from valar_batch.local.api.exchange import Headers, Receive, Send

    Events = AsyncGenerator[Any, None]
    """JSON values, as they come."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What is sent back event by event."""

    first: Any
    rest: Events

    async def send(self, headers: Headers, receive: Receive, send: Send) -> None:
        """Send the events and `[DONE]`. A client that hangs up ends the stream quietly."""
        sending = asyncio.ensure_future(self._send(headers, send))
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            gone.cancel()

    async def _send(self, headers: Headers, send: Send) -> None:
        kind = {b"content-type": b"text/event-stream", b"cache-control": b"no-cache"}
        headers = [*{**dict(headers), **kind}.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await write(send, JSON.encode(self.first))
        try:
            async with contextlib.aclosing(self.rest) as events:
                async for event in events:
                    await write(send, JSON.encode(event))
            await write(send, b"[DONE]")
        except ApiError as error:
            # The status has left already; clients know an error that is an event.
            await write(send, envelope(error).body)
        await send({"type": "http.response.body", "body": b""})


async def begun(events: Events) -> Stream:
    """Give a stream once its first event is there: until then, an error can have its status."""
    return Stream(await anext(events), events)


async def write(send: Send, data: bytes) -> None:
    """Send one event."""
    await send({"type": "http.response.body", "body": b"data: %b\n\n" % data, "more_body": True})


async def paced(events: Iterable[Any], seconds: float) -> Events:
    """Give the first event at once and the last after `seconds`, with even pauses."""
    waiting = list(events)
    pause = max(0.0, seconds) / max(1, len(waiting) - 1)
    for position, event in enumerate(waiting):
        if position:
            await asyncio.sleep(pause)
        yield event
