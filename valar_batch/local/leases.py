"""Leases: commands hold the server open, each by a connection, and it ends after the last."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

from valar_batch.errors import ServerFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from valar_batch.local.api.exchange import Receive, Send


FIRST_LEASE = 30.0
"""Seconds that a new server waits for its first lease, however short its linger."""


class Leases:
    """Counts open leases. Lives in one event loop, so nothing can come between its decisions.

    `linger` is how many seconds the server outlives its last lease.
    """

    def __init__(
        self, linger: float = math.inf, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._linger = linger
        self._clock = clock
        self._held = 0
        self._end_at = clock() + max(linger, FIRST_LEASE)
        self._ended = asyncio.Event()

    def take(self) -> None:
        """Count a lease in; a server that is ending grants none."""
        if self._ended.is_set():
            raise ServerFault("this server is ending; start another", status=503, type="api_error")
        self._held += 1

    def give_back(self) -> None:
        """Count a lease out."""
        self._held -= 1
        self._end_at = self._clock() + self._linger

    def end_if_unused(self) -> bool:
        """Whether the server is to end; from then on no lease is granted."""
        if not self._held and self._clock() >= self._end_at:
            self.end()
        return self._ended.is_set()

    def end(self) -> None:
        """Let go of every lease and grant no more."""
        self._ended.set()

    async def over(self) -> None:
        """Wait until the server is ending."""
        await self._ended.wait()

    async def hold(self, receive: Receive, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        """Answer a request for a lease: a first line at once, the end with the connection's."""
        self.take()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"leased\n", "more_body": True})
            gone = asyncio.ensure_future(disconnected(receive))
            ended = asyncio.ensure_future(self.over())
            await asyncio.wait({gone, ended}, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            ended.cancel()
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.give_back()


async def disconnected(receive: Callable[[], Any]) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
