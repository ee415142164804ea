"""One request to the upstream, over whichever endpoint it has, until there is an answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING, Any

from valar_batch.core.backoff import CAP, backoff_delay
from valar_batch.errors import ApiError, RateLimited, RemoteError, RequestRefused
from valar_batch.local.upstream.answering import (
    answer_of_completion,
    answer_of_response,
    failure,
)
from valar_batch.local.upstream.asking import (
    NEW_LIMIT,
    OLD_LIMIT,
    chat_body,
    responses_body,
)
from valar_batch.local.upstream.outlook import (
    MOST_TRIES,
    Outlook,
    Unreached,
    outlook,
    reason,
)
from valar_batch.local.upstream.streaming import Assembly, call_deltas, deltas_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from valar_batch.local.upstream.answering import RealAnswer
    from valar_batch.local.upstream.link import Link
    from valar_batch.local.upstream.streaming import Delta

logger = logging.getLogger(__name__)

RESPONSES = "/responses"
CHAT = "/chat/completions"
MISSING = frozenset({404, 405, 501})
"""What a server answers where it has no such endpoint."""
SAID_AFTER = 3
"""Pauses of one request until the log says that requests wait: most faults are over by then."""


class Forwarder:
    """Forwards checked Responses params, at most `concurrency` at a time.

    With a `model` every request goes to that one, else to the one that it names.
    """

    def __init__(self, link: Link, *, concurrency: int, model: str | None = None) -> None:
        self._link = link
        self._model = model
        self._slots = asyncio.Semaphore(concurrency)
        self._probing = asyncio.Lock()
        self._has: dict[str, bool] = {}
        self._new_limit: set[str] = set()
        self._is_waiting = False

    async def answer(
        self, params: Mapping[str, Any], suffix: str, *, is_chat: bool = False
    ) -> RealAnswer:
        """Give what becomes of a request, however long it takes.

        Items that the upstream gives no ids get some that end in `suffix`; `is_chat` says that the
        request came in as a chat.
        """
        tries = pauses = 0
        while True:
            try:
                async with self._slots:
                    answer = await self._ask(params, suffix, is_chat=is_chat)
            except RemoteError as error:
                if self._learns_limit(params, error):
                    continue
                next_step = outlook(error)
                tries += next_step is Outlook.TRY_AGAIN
                if next_step is Outlook.GIVE_UP or tries == MOST_TRIES:
                    return self.failed(params, error)
                if isinstance(error, Unreached):
                    self._has.clear()  # another server may come up in its place
                pauses += 1
                await self._pause(error, pauses)
            else:
                self._came_back()
                return answer

    async def stream(
        self, params: Mapping[str, Any], suffix: str
    ) -> AsyncGenerator[Delta | RealAnswer, None]:
        """Give the deltas of a chat as they come, and at the end the whole answer.

        Somebody waits at the other end, so after a few tries without a beginning, or when the
        answer breaks off, this ends with the failure.
        """
        for attempt in range(1, MOST_TRIES + 1):
            has_begun = False
            try:
                async with self._slots, contextlib.aclosing(self._deltas(params, suffix)) as events:
                    async for event in events:
                        has_begun = True
                        yield event
            except RemoteError as error:
                if self._learns_limit(params, error):
                    continue
                asks_too_much = (asked_pause(error) or 0) > CAP
                is_last = attempt == MOST_TRIES or outlook(error) is Outlook.GIVE_UP
                if has_begun or is_last or asks_too_much:
                    yield self.failed(params, error)
                    return
                await self._pause(error, attempt)
            else:
                self._came_back()
                return

    def failed(self, params: Mapping[str, Any], error: RemoteError) -> RealAnswer:
        """Give what becomes of a request after an error that is its last."""
        code = error.status if isinstance(error, ApiError) else "upstream_error"
        return failure(self._model_for(params), error.message, code)

    def _model_for(self, params: Mapping[str, Any]) -> str:
        return self._model or str(params["model"])

    async def _ask(self, params: Mapping[str, Any], suffix: str, *, is_chat: bool) -> RealAnswer:
        path = await self._endpoint(is_chat=is_chat)
        try:
            return await self._call(path, params, suffix)
        except ApiError as error:
            if error.status not in MISSING:
                raise
            # It is about the model, or another server has come up in the place of the first.
            self._has.clear()
            other = await self._endpoint(is_chat=is_chat)
            if other == path:
                raise
            return await self._call(other, params, suffix)

    async def _call(self, path: str, params: Mapping[str, Any], suffix: str) -> RealAnswer:
        model = self._model_for(params)
        if path == RESPONSES:
            response = await self._link.post(path, responses_body(params, model))
            return answer_of_response(response, model)
        completion = await self._link.post(path, self._chat_body(params))
        return answer_of_completion(completion, model, suffix)

    async def _deltas(
        self, params: Mapping[str, Any], suffix: str
    ) -> AsyncGenerator[Delta | RealAnswer, None]:
        if await self._endpoint(is_chat=True) == RESPONSES:
            answer = await self._call(RESPONSES, params, suffix)
            for delta in deltas_of(answer.output):
                yield delta
            yield answer
            return
        assembly = Assembly(self._model_for(params))
        body = {
            **self._chat_body(params),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        async with contextlib.aclosing(self._link.stream(CHAT, body)) as chunks:
            async for chunk in chunks:
                for delta in assembly.take(chunk):
                    yield delta
        for delta in call_deltas(assembly.tool_calls()):
            yield delta
        yield answer_of_completion(assembly.completion(), assembly.model, suffix)

    def _chat_body(self, params: Mapping[str, Any]) -> dict[str, Any]:
        model = self._model_for(params)
        limit = NEW_LIMIT if model in self._new_limit else OLD_LIMIT
        return chat_body(params, model, limit=limit)

    def _learns_limit(self, params: Mapping[str, Any], error: RemoteError) -> bool:
        """Whether this refusal teaches that the model wants the new name of the most tokens."""
        model = self._model_for(params)
        if model in self._new_limit or not wants_new_limit(error):
            return False
        self._new_limit.add(model)
        return True

    async def _endpoint(self, *, is_chat: bool) -> str:
        """Choose the endpoint: what came in as a chat stays one where it can, and so a response."""
        first, second = (CHAT, RESPONSES) if is_chat else (RESPONSES, CHAT)
        async with self._probing:
            if first not in self._has:
                self._has[first] = await self._link.probe(first) not in MISSING
            return first if self._has[first] else second

    async def _pause(self, error: RemoteError, pauses: int) -> None:
        if pauses == SAID_AFTER and not self._is_waiting:
            self._is_waiting = True
            logger.warning("the upstream %s; requests wait for it", reason(error))
        jitter = random.random()  # noqa: S311 - spreads clients, guards nothing
        delay = backoff_delay(pauses, jitter=jitter, retry_after=asked_pause(error))
        await asyncio.sleep(delay)

    def _came_back(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            logger.warning("the upstream answers again")


def asked_pause(error: RemoteError) -> float | None:
    """Seconds that the upstream asks to wait, or None."""
    return error.retry_after if isinstance(error, RateLimited) else None


def wants_new_limit(error: RemoteError) -> bool:
    """Whether a refusal asks for the new name of the most tokens: by its field, or by that word."""
    return isinstance(error, RequestRefused) and (
        error.param == OLD_LIMIT or NEW_LIMIT in error.message
    )
