"""The local Valar's endpoints: a plain ASGI application over the store.

Routed by pattern matching, because fetching results is the hot path: one call is one indexed read
and one encoding. Refusals are the very errors that a client raises, put into Valar's envelope in
one place.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
import os
import sqlite3
import time
import traceback
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from valar_batch import __version__
from valar_batch.core.identity import key_fingerprint
from valar_batch.core.rules import DEFAULT_LIST_LIMIT, MAX_LIST_LIMIT
from valar_batch.errors import ApiError, ServerFault, UsageError
from valar_batch.local.api.absent import absent
from valar_batch.local.api.chat import chunks, completion, wants_stream, wants_usage
from valar_batch.local.api.exchange import (
    Answer,
    Call,
    Incoming,
    authenticate,
    envelope,
    fresh_headers,
    ok,
    reply,
)
from valar_batch.local.api.intake import decode, read_batch, single_params
from valar_batch.local.api.messages import message
from valar_batch.local.api.streams import Stream, begun, paced
from valar_batch.local.ids import CHAT, MESSAGES, RESPONSES
from valar_batch.local.refusals import refuse
from valar_batch.local.state.idempotency import Arrival
from valar_batch.local.state.records import ANY_OBJECT, answered, response_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from valar_batch.core.wire import Batch
    from valar_batch.local.api.exchange import Message, Receive, Send
    from valar_batch.local.api.streams import Events
    from valar_batch.local.leases import Leases
    from valar_batch.local.server import Settings
    from valar_batch.local.source import Source
    from valar_batch.local.state.records import StoredRequest
    from valar_batch.local.state.store import Store

    Handler = Callable[[Call], Awaitable[Answer | Stream]]

logger = logging.getLogger(__name__)

HEALTH = "/local/health"
LEASE = "/local/lease"


class SettingsChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /local/settings`; what is not named stays as it is."""

    latency: float | None = None
    failure_share: float | None = None


SETTINGS_CHANGE = msgspec.json.Decoder(SettingsChange)
LIST_LIMITS = frozenset(map(str, range(1, MAX_LIST_LIMIT + 1)))


class App:
    """The ASGI application. `clock` gives Unix time in seconds."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        leases: Leases,
        source: Source,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._settings = settings
        self._leases = leases
        self._source = source
        self._clock = clock
        self._batches_at_a_time = asyncio.Semaphore(2)
        self._keys = {key.encode(): key_fingerprint(key, store.salt) for key in settings.api_keys}
        self._at_fixed_paths: dict[str, dict[str, Handler]] = {
            "/v1/batches": {"GET": self._list, "POST": self._create_batch},
            RESPONSES: {"POST": self._create_response},
            CHAT: {"POST": self._create_completion},
            MESSAGES: {"POST": self._create_message},
            "/v1/models": {"GET": self._models},
            "/local/executions": {"GET": self._executions},
            "/local/settings": {"POST": self._change_settings},
        }

    def offer(self, path: str, handlers: dict[str, Handler]) -> None:
        """Answer at another path, by method, those who have a key."""
        self._at_fixed_paths[path] = handlers

    def change(self, **settings: Any) -> Settings:
        """Behave in another way from now on; what cannot be is refused."""
        try:
            self._settings = replace(self._settings, **settings)
        except UsageError as error:
            refuse(error.message, None)
        return self._settings

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        headers = fresh_headers()
        incoming = Incoming(scope, receive)
        try:
            if scope["path"] == LEASE:
                authenticate(scope, self._keys)
                await self._leases.hold(incoming, send, headers)
                return
            answer = await self._answer(scope, incoming)
        except ApiError as error:
            answer = envelope(error)
        except Exception as error:
            log_fault(scope, error)
            message = f"the local Valar failed{said_by(error)}: its log says more"
            answer = envelope(ServerFault(message, status=500, type="api_error"))
        if not isinstance(answer, Stream):
            await reply(answer, headers, incoming, send)
            return
        try:
            await answer.send(headers, incoming, send)
        except Exception as error:
            # Its status has left: that the stream breaks off is all that the client can be told.
            log_fault(scope, error)

    def at_once(self, scope: Message) -> Answer | None:
        """Answer what is asked for a hundred thousand times, a result, without a task of its own.

        Any other call, and whatever is wrong with this one, is left to `__call__`.
        """
        match scope["path"].split("/"):
            case ["", "v1", "batches", batch_id, custom_id] if scope["method"] == "GET":
                with contextlib.suppress(Exception):
                    authenticate(scope, self._keys)
                    return self._result(batch_id, custom_id)
        return None

    async def _answer(self, scope: Message, receive: Receive) -> Answer | Stream:
        path = scope["path"]
        if path == HEALTH:
            return ok({"status": "ok", "version": __version__, "pid": os.getpid()})
        call = Call(scope, receive, authenticate(scope, self._keys))
        method = scope["method"]
        segments = path.split("/")
        handlers = self._handlers(segments)
        # A HEAD is a GET whose body the server keeps to itself (RFC 9110, 9.3.2).
        handler = handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise absent(method, path, segments, handlers)
        return await handler(call)

    def _handlers(self, segments: list[str]) -> dict[str, Handler]:
        """Give what is offered at a path, by method."""
        match segments:
            case ["", "v1", "batches", batch_id, custom_id]:
                return {"GET": partial(self._item, batch_id, custom_id)}
            case ["", "v1", "batches", batch_id]:
                return {"GET": partial(self._batch, batch_id)}
            case ["", "v1", "responses", response_id]:
                return {"GET": partial(self._response, response_id)}
        return self._at_fixed_paths.get("/".join(segments), {})

    async def _item(self, batch_id: str, custom_id: str, _call: Call) -> Answer:
        return self._result(batch_id, custom_id)

    def _result(self, batch_id: str, custom_id: str) -> Answer:
        request = self._store.item(batch_id, custom_id, self._clock())
        return Answer(200, response_json(request))

    async def _batch(self, batch_id: str, _call: Call) -> Answer:
        return await asyncio.to_thread(self._batch_status, batch_id)

    def _batch_status(self, batch_id: str) -> Answer:
        batch = self._store.batch(batch_id)
        status = self._store.request_status(batch_id, self._clock())
        return ok({**batch_object(batch), "request_status": msgspec.Raw(status.encode())})

    async def _list(self, call: Call) -> Answer:
        query = call.query
        limit = query.get("limit", str(DEFAULT_LIST_LIMIT))
        if limit not in LIST_LIMITS:
            refuse(f"{limit!r} is not a number from 1 to {MAX_LIST_LIMIT}", "limit")
        page = self._store.batches(
            int(limit), after_id=query.get("after_id"), before_id=query.get("before_id")
        )
        return ok([batch_object(batch) for batch in page])

    async def _create_batch(self, call: Call) -> Answer:
        body = await call.body()
        served = await self._source.served()
        # A full batch takes seconds, and results are fetched meanwhile. Two at a time, so that the
        # threads they wait in leave some for other calls.
        async with self._batches_at_a_time:
            return await asyncio.to_thread(self._accept_batch, call, body, served)

    def _accept_batch(self, call: Call, body: bytearray, served: Collection[str] | None) -> Answer:
        arrival = self._arrival(call, body)
        batch_id = self._store.reserved(arrival)
        if batch_id is None:
            settings = self._settings
            batch_id = self._store.add_batch(
                read_batch(body, served),
                arrival,
                now=self._clock(),
                latency=self._source.latency(settings.latency),
                odds=settings.odds,
            )
        return ok(batch_object(self._store.batch(batch_id)))

    def _arrival(self, call: Call, body: bytearray) -> Arrival:
        """Give what idempotency goes by."""
        digest = hashlib.sha256(body).digest()
        since = self._clock() - self._settings.reservation_seconds
        return Arrival(call.api_key, call.scope["path"], digest, call.idempotency_key, since)

    async def _create_response(self, call: Call) -> Answer:
        request = await self._accepted(call, await call.body())
        if ANY_OBJECT.decode(request.params).get("background"):
            return Answer(202, response_json(request))
        return Answer(200, response_json(await self._settled(request)))

    async def _create_completion(self, call: Call) -> Answer | Stream:
        body = await call.body()
        request = await self._accepted(call, body)
        asked = ANY_OBJECT.decode(body)
        if wants_stream(asked):
            return await begun(self._chunks(request, with_usage=wants_usage(asked)))
        return ok(completion(answered(await self._settled(request)), request.id))

    async def _create_message(self, call: Call) -> Answer:
        request = await self._accepted(call, await call.body())
        return ok(message(answered(await self._settled(request)), request.id))

    async def _chunks(self, request: StoredRequest, *, with_usage: bool) -> Events:
        """Stream a chat. What is known already is spread over the time until it is due."""
        live = self._source.live(request, with_usage=with_usage)
        if live is not None:
            async for chunk in live:
                yield chunk
            return
        if math.isfinite(request.due):
            settled = self._store.single(request.id, request.due)
        if not math.isfinite(request.due) or settled.status != "completed":
            settled = await self._settled(request)
        whole = chunks(answered(settled), request.id, with_usage=with_usage)
        async for chunk in paced(whole, settled.due - self._clock()):
            yield chunk

    async def _accepted(self, call: Call, body: bytearray) -> StoredRequest:
        served = await self._source.served()
        record_id = await asyncio.to_thread(self._accept_single, call, body, served)
        return self._store.single(record_id, self._clock())

    def _accept_single(self, call: Call, body: bytearray, served: Collection[str] | None) -> str:
        """Write a single request down, if nothing is wrong with it, and give its id."""
        arrival = self._arrival(call, body)
        record_id = self._store.reserved(arrival)
        if record_id is not None:
            return record_id
        params = single_params(arrival.endpoint, body, served)
        settings = self._settings
        return self._store.add_single(
            params,
            arrival,
            now=self._clock(),
            latency=self._source.latency(settings.latency),
            odds=settings.odds,
            begun=arrival.endpoint == CHAT and wants_stream(ANY_OBJECT.decode(body)),
        )

    async def _settled(self, request: StoredRequest) -> StoredRequest:
        """Give a single request once it is finished; after a while the caller has to ask again."""
        give_up = self._clock() + self._source.patience
        with self._store.bells.listen(request.id) as bell:
            while not (request := self._store.single(request.id, self._clock())).is_settled:
                now = self._clock()
                if now >= give_up:
                    raise late(self._source.patience)
                await bell.wait(max(0.001, min(request.due, give_up) - now))
        return request

    async def _response(self, response_id: str, _call: Call) -> Answer:
        return Answer(200, response_json(self._store.response(response_id, self._clock())))

    async def _models(self, _call: Call) -> Answer:
        return ok({"object": "list", "data": await self._source.models()})

    async def _executions(self, _call: Call) -> Answer:
        return ok(await asyncio.to_thread(self._store.executions))

    async def _change_settings(self, call: Call) -> Answer:
        change = decode(SETTINGS_CHANGE, await call.body(), None)
        named = {k: v for k, v in msgspec.structs.asdict(change).items() if v is not None}
        settings = self.change(**named)
        return ok({"latency": settings.latency, "failure_share": settings.failure_share})


def batch_object(batch: Batch) -> dict[str, Any]:
    """Give a batch as the API shows it: without a label where none was set."""
    return {name: v for name, v in msgspec.structs.asdict(batch).items() if v is not None}


def late(seconds: float) -> ServerFault:
    """Give the error for an answer that takes too long to be waited for."""
    message = (
        f"no answer within {seconds:g} s; it is still worked on, and comes under the same "
        "Idempotency-Key, or later with background: true"
    )
    return ServerFault(message, status=408, type="api_error")


def log_fault(scope: Message, error: Exception) -> None:
    """Log a fault of our own."""
    logger.error("%s %r: %s", scope["method"], scope["path"], trace_of(error))


def trace_of(error: Exception) -> str:
    """Say where an error came from."""
    places = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}{said_by(error)}\n{places}"


def said_by(error: Exception) -> str:
    """Give what the disk or the database says; what else an error says may quote a request."""
    return f": {error}" if isinstance(error, OSError | sqlite3.Error) else ""
