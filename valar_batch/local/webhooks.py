"""Calls the webhooks that are owed: one POST for each finished request, at least once.

Source: API reference, Webhooks. What is sent is byte by byte what GET gives. Whatever becomes of a
call, the record of its request stays as it is. No log names a URL or a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING

from valar_batch import __version__
from valar_batch.local.state.callbacks import (
    due_callbacks,
    next_due,
    put_off,
    strike_off,
    webhook_of,
)
from valar_batch.local.state.records import response_json
from valar_batch.local.state.store import CALLBACKS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from valar_batch.local.state.callbacks import Callback, Webhook
    from valar_batch.local.state.store import Store

logger = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a receiver has to answer."""
PAUSES = (2.0, 10.0, 60.0)
"""Seconds before each new try."""
MOST_AT_A_TIME = 64
MOST_READ = 65_536
"""Bytes of an answer that are read, so that its connection can be used again."""


class Webhooks:
    """Sleeps until something is due or added. `clock` gives Unix time in seconds."""

    def __init__(
        self,
        store: Store,
        *,
        patience: float = PATIENCE,
        pauses: Sequence[float] = PAUSES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._patience = patience
        self._pauses = pauses
        self._clock = clock
        self._under_way: set[str] = set()

    async def run(self) -> None:
        """Call until cancelled. What is then under way stays owed."""
        async with contextlib.AsyncExitStack() as opened, asyncio.TaskGroup() as calls:
            bell = opened.enter_context(self._store.bells.listen(CALLBACKS))
            client: httpx.AsyncClient | None = None
            while True:
                for callback in self._due():
                    if client is None:
                        client = await opened.enter_async_context(new_client())
                    self._under_way.add(callback.response_id)
                    calls.create_task(self._call(client, callback))
                # A call that ends rings, too.
                is_full = len(self._under_way) == MOST_AT_A_TIME
                await bell.wait(math.inf if is_full else self._seconds_to_next())

    def _due(self) -> list[Callback]:
        """Give what is due and not under way, as much as there is room for."""
        found = due_callbacks(self._store.reader, self._clock(), MOST_AT_A_TIME)
        new = [callback for callback in found if callback.response_id not in self._under_way]
        return new[: MOST_AT_A_TIME - len(self._under_way)]

    def _seconds_to_next(self) -> float:
        now = self._clock()
        return next_due(self._store.reader, now) - now

    async def _call(self, client: httpx.AsyncClient, callback: Callback) -> None:
        """Try once, and write down what came of it."""
        response_id = callback.response_id
        try:
            request = self._store.response(response_id, self._clock())
            webhook = webhook_of(request.params)
            fault = webhook and await self._post(client, webhook, response_json(request))
            if fault is not None:
                is_last = callback.tries == len(self._pauses)
                what_next = "given up" if is_last else "tried again"
                logger.warning("the webhook of %s is %s: %s", response_id, what_next, fault)
            await asyncio.to_thread(self._write_down, callback, is_done=fault is None)
        except Exception:
            logger.exception("the webhook of %s", response_id)
            await asyncio.sleep(self._patience)
        finally:
            self._under_way.discard(response_id)
            self._store.bells.ring(CALLBACKS)

    def _write_down(self, callback: Callback, *, is_done: bool) -> None:
        with self._store.writing() as connection:
            if is_done or callback.tries == len(self._pauses):
                strike_off(connection, callback.response_id)
            else:
                due = self._clock() + self._pauses[callback.tries]
                put_off(connection, callback.response_id, due)

    async def _post(
        self, client: httpx.AsyncClient, webhook: Webhook, content: bytes
    ) -> str | None:
        """Tell a receiver; give what went wrong, in words without its address."""
        import httpx

        url = httpx.URL(webhook.url)
        headers = {"Content-Type": "application/json"}
        auth = httpx.BasicAuth(url.username, url.password) if url.userinfo else None
        if webhook.token:
            auth = None
            headers["Authorization"] = f"Bearer {webhook.token}"
        # Without the name and password, which httpx would log.
        url = url.copy_with(userinfo=b"")
        try:
            async with (
                asyncio.timeout(self._patience),
                client.stream("POST", url, content=content, headers=headers, auth=auth) as answer,
            ):
                read = 0
                async for chunk in answer.aiter_raw():
                    read += len(chunk)
                    if read > MOST_READ:
                        break
        except TimeoutError:
            return f"no answer within {self._patience:g} s"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return None if answer.is_success else f"status {answer.status_code}"


def new_client() -> httpx.AsyncClient:
    """Open the client that calls: it follows no redirects, and no proxy to this machine."""
    import httpx

    return httpx.AsyncClient(
        timeout=None,  # noqa: S113 - one limit for the whole call is set around it
        limits=httpx.Limits(max_keepalive_connections=MOST_AT_A_TIME),
        mounts=dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]")),
        headers={"User-Agent": f"valar-batch/{__version__}"},
    )
