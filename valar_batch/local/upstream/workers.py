"""The work that goes on: unsettled requests go to the upstream, and its answers to the store.

The store holds the queue. Here are only the requests that are under way, so memory does not grow
with a batch, and after a restart the work goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import traceback
from typing import TYPE_CHECKING, Any

import msgspec

from valar_batch.core.statuses import Status
from valar_batch.local.api.chat import chat_calls, chunk, finish_reason, head, usage_chunk
from valar_batch.local.ids import CHAT, PREFIXES
from valar_batch.local.rehearsal.answers import response_object
from valar_batch.local.state.records import ANY_OBJECT, answered
from valar_batch.local.state.store import NEW_WORK
from valar_batch.local.upstream.answering import RealAnswer, failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping

    from valar_batch.local.state.records import StoredRequest, Unsettled
    from valar_batch.local.state.store import Store
    from valar_batch.local.upstream.forwarder import Forwarder

    Chunk = dict[str, Any]
    Params = Mapping[str, Any]

logger = logging.getLogger(__name__)

AFTER_A_FAULT = 5.0
"""Seconds until the queue is asked again when it could not be read."""


GRACE = 5.0
"""Seconds that what is under way is given when the server stops."""


class Workers:
    """Forwards the store's unsettled requests, at most `most` at a time, and chats that stream."""

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
        self._taken: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Take one request after the other, until cancelled."""
        try:
            while True:
                await self._free.acquire()
                try:
                    request = await self._take()
                except Exception as error:
                    report(error)
                    self._free.release()
                    await asyncio.sleep(AFTER_A_FAULT)
                else:
                    task = self._start(request.id, self._answer(request))
                    task.add_done_callback(lambda _: self._free.release())
        finally:
            await self._finish()

    def stream(
        self, request: StoredRequest, *, with_usage: bool
    ) -> AsyncGenerator[Chunk, None] | None:
        """Stream a chat that is in progress from its birth, while nobody else has taken it.

        The answer is fetched to its end and kept even if the client hangs up, as any other.
        """
        if request.status != "in_progress" or request.id in self._taken:
            return None
        queue: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue()
        self._start(request.id, self._feed(queue, request, with_usage=with_usage))
        return drained(queue)

    async def _finish(self) -> None:
        """Give what is under way a little time, since it may cost; then let go of it."""
        if self._taken:
            _, late = await asyncio.wait(self._taken.values(), timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _take(self) -> Unsettled:
        """Wait for a request, and mark it as begun."""
        with self._store.bells.listen(NEW_WORK) as bell:
            while True:
                waiting = self._store.unsettled(1)
                if not waiting:
                    await bell.wait(math.inf)
                elif await asyncio.to_thread(self._store.begin, waiting[0].id, self._clock()):
                    return waiting[0]

    def _start(self, record_id: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._taken[record_id] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._taken.pop(record_id))
        return task

    async def _answer(self, request: Unsettled) -> None:
        params = ANY_OBJECT.decode(request.params)
        try:
            answer = await self._forwarder.answer(
                params, suffix_of(request), is_chat=request.endpoint == CHAT
            )
        except Exception as error:
            answer = our_failure(params, error)
        await self._settle(request, params, answer)

    async def _feed(
        self,
        queue: asyncio.Queue[Chunk | Exception | None],
        request: StoredRequest,
        *,
        with_usage: bool,
    ) -> None:
        """Put a chat into the queue chunk by chunk; at the end, None or what went wrong."""
        params = ANY_OBJECT.decode(request.params)
        told = {"created_at": int(request.created), "model": params["model"]}
        start = head(told, request.id, "chat.completion.chunk")
        answer = failure(params["model"], "the upstream answered with nothing", "upstream_error")
        has_begun = False
        try:
            async for event in self._forwarder.stream(params, suffix_of(request)):
                if isinstance(event, RealAnswer):
                    answer = event
                    continue
                if not has_begun:
                    queue.put_nowait(chunk(start, {"role": "assistant"}))
                has_begun = True
                queue.put_nowait(chunk(start, event))
        except Exception as error:
            answer = our_failure(params, error)
        await self._settle(request, params, answer)
        try:
            response = answered(self._store.single(request.id, self._clock()))
        except Exception as error:
            queue.put_nowait(error)
            return
        if not has_begun:
            queue.put_nowait(chunk(start, {"role": "assistant"}))
        queue.put_nowait(chunk(start, {}, finish_reason(chat_calls(response["output"]))))
        if with_usage:
            queue.put_nowait(usage_chunk(start, response["usage"]))
        queue.put_nowait(None)

    async def _settle(
        self, request: Unsettled | StoredRequest, params: Params, answer: RealAnswer
    ) -> None:
        """Write down what becomes of a request: its response object, with the real answer in it."""
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
            self._store.settle,
            request.id,
            failed=answer.status is Status.FAILED,
            answer=msgspec.json.encode(response),
            now=self._clock(),
        )


async def drained(queue: asyncio.Queue[Chunk | Exception | None]) -> AsyncGenerator[Chunk, None]:
    """Give what comes out of a queue, until None; an error in it is raised."""
    while (event := await queue.get()) is not None:
        if isinstance(event, Exception):
            raise event
        yield event


def suffix_of(request: Unsettled | StoredRequest) -> str:
    """Give what the ids of a request's output items end in."""
    return request.id.removeprefix(PREFIXES[request.endpoint])


def our_failure(params: Params, error: Exception) -> RealAnswer:
    """Give what becomes of a request that ran into a fault of ours, which the log tells."""
    report(error)
    message = "the local Valar failed: its log says more"
    return failure(params["model"], message, "server_error")


def report(error: Exception) -> None:
    """Say where an error came from, and not what it says: that may quote a request."""
    places = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s\n%s", type(error).__name__, places)
