"""The work that goes on by itself: unsettled requests go to the upstream, its answers to the store.

The store holds the queue. Here are only the requests that are under way, so memory does not grow
with a batch, and after a restart the work goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING

import msgspec

from valar_batch.core.statuses import Status
from valar_batch.local.answers import response_object
from valar_batch.local.ids import PREFIXES
from valar_batch.local.records import ANY_OBJECT
from valar_batch.local.store import NEW_WORK
from valar_batch.local.upstream.answering import failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from valar_batch.local.records import StoredRequest, Unsettled
    from valar_batch.local.store import Store
    from valar_batch.local.upstream.answering import RealAnswer
    from valar_batch.local.upstream.forwarder import Forwarder

logger = logging.getLogger(__name__)


class Workers:
    """Forwards the store's unsettled requests, at most `most` at a time."""

    def __init__(
        self,
        store: Store,
        forwarder: Forwarder,
        *,
        most: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._forwarder = forwarder
        self._free = asyncio.Semaphore(most)
        self._clock = clock
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Take one request after the other, until cancelled; what is under way goes on."""
        while True:
            await self._free.acquire()
            task = asyncio.create_task(self._answer(await self._take()))
            self._under_way.add(task)
            task.add_done_callback(self._end)

    async def finish(self, patience: float) -> None:
        """Give what is under way so many seconds, since it may cost; then let go of it."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=patience)
            for task in late:
                task.cancel()

    async def _take(self) -> Unsettled:
        """Wait for a request, and mark it as begun."""
        with self._store.bells.listen(NEW_WORK) as bell:
            while True:
                waiting = self._store.unsettled(1)
                if not waiting:
                    await bell.wait(math.inf)
                elif await asyncio.to_thread(self._store.begin, waiting[0].id, self._clock()):
                    return waiting[0]

    async def _answer(self, request: Unsettled) -> None:
        params = ANY_OBJECT.decode(request.params)
        try:
            answer = await self._forwarder.answer(params, suffix_of(request))
        except Exception:
            logger.exception("%s", request.id)
            message = "the local Valar failed: its log says more"
            answer = failure(params["model"], message, "server_error")
        await settle(self._store, request, params, answer, self._clock())

    def _end(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._free.release()


async def settle(
    store: Store,
    request: Unsettled | StoredRequest,
    params: Mapping[str, Any],
    answer: RealAnswer,
    now: float,
) -> dict[str, Any]:
    """Write down what becomes of a request, and give its response object."""
    unanswered = response_object(
        params,
        b"",
        response_id=request.id,
        created_at=int(request.created),
        status="in_progress",
    )
    response = {
        **unanswered,
        "status": answer.status,
        "model": answer.model,
        "output": answer.output,
        "usage": answer.usage,
        "error": answer.error,
        "incomplete_details": answer.incomplete_details,
    }
    await asyncio.to_thread(
        store.settle,
        request.id,
        failed=answer.status is Status.FAILED,
        answer=msgspec.json.encode(response),
        now=now,
    )
    return response


def suffix_of(request: Unsettled | StoredRequest) -> str:
    """Give what the ids of a request's output items end in."""
    return request.id.removeprefix(PREFIXES[request.endpoint])
