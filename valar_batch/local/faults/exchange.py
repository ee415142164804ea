"""One call that faults have hit: worked at or not, its answer changed, held up or lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING

from valar_batch.local.api.connection import TRANSPORT
from valar_batch.local.api.exchange import Answer, Incoming, reply
from valar_batch.local.faults.answers import (
    NOTHING,
    Reply,
    answer_under,
    late_reply,
    part_of,
    still_running,
    wrong_map,
)
from valar_batch.local.faults.plan import (
    Drop,
    Late,
    Map,
    Never,
    Running,
    Slow,
    Truncated,
    is_worked_at,
)
from valar_batch.local.leases import disconnected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from valar_batch.local.api.exchange import Application, Message, Receive, Send
    from valar_batch.local.faults.draws import Armed
    from valar_batch.local.leases import Leases


class Exchange:
    """One call, the `nth` of its path, and what becomes of it."""

    def __init__(
        self, app: Application, leases: Leases, scope: Message, receive: Receive, send: Send
    ) -> None:
        self._app = app
        self._leases = leases
        self._scope = scope
        self._incoming = Incoming(scope, receive)
        self._send = send
        self._transport: asyncio.Transport = scope["extensions"][TRANSPORT][TRANSPORT]

    async def suffer(self, hit: list[Armed], nth: int) -> None:
        """Answer, or do not, as the faults that hit it will have it."""
        taking = next(
            (armed.fault for armed in hit if not armed.draws_within and armed.strikes()), None
        )
        if is_worked_at(taking):
            answer = await self._worked_at()
            for armed in hit:
                if armed.draws_within and answer.status == 200:
                    answer = await self._from_within(armed, answer, nth)
        else:
            answer = NOTHING
        answer = answer_under(taking, answer)
        match taking:
            case Never():
                async with self._pauses() as pause:
                    await pause(None)
                await self._hang_up(self._transport.abort)
            case Drop(when="inside"):
                await self._begin(answer, part_of(answer.body, 0.5))
                await self._hang_up(self._transport.abort)
            case Drop():
                await self._hang_up(self._transport.abort)
            case Truncated(under="the whole length"):
                await self._begin(answer, part_of(answer.body, taking.part))
                await self._hang_up(self._transport.close)
            case Slow():
                await self._reply_slowly(answer, taking)
            case _:
                await self._reply(answer)

    async def _worked_at(self) -> Reply:
        """Let the call be worked at, and keep the answer back."""
        start: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await self._app(self._scope, self._incoming, keep)
        headers = tuple(header for header in start["headers"] if header[0] != b"content-length")
        return Reply(start["status"], bytes(body), headers)

    async def _from_within(self, armed: Armed, answer: Reply, nth: int) -> Reply:
        """Change the answer from within, if this fault has a say in it."""
        path = self._scope["path"]
        changed: Reply | None = None
        match armed.fault:
            case Map() as fault if nth <= fault.polls:
                is_wrong, said_settled = partial(armed.draws, path), armed.said_settled(path)
                body = await asyncio.to_thread(
                    wrong_map, answer.body, fault, is_wrong, said_settled
                )
                changed = answer.with_body(body) if body else None
            case Running(asks=asks) if nth <= asks and armed.draws(path):
                body = still_running(answer.body)
                changed = answer.with_body(body) if body else None
            case Late(asks=int(asks)) if nth <= asks and armed.draws(path):
                changed = late_reply()
            case Late(seconds=float(seconds)) if armed.draws(path):
                now = time.monotonic()
                changed = late_reply() if now - armed.first_asked(path, now) < seconds else None
        return changed if changed and armed.strikes() else answer

    async def _reply(self, answer: Reply) -> None:
        whole = Answer(answer.status, answer.body, answer.headers)
        await reply(whole, [], self._incoming, self._send)

    async def _begin(self, answer: Reply, body: bytes) -> None:
        """Send the head of the whole answer, and some of its body."""
        headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _reply_slowly(self, answer: Reply, fault: Slow) -> None:
        async with self._pauses() as pause:
            await pause(fault.seconds)
            if not fault.pause:
                return await self._reply(answer)
            await self._begin(answer, b"")
            for at in range(0, len(answer.body), fault.bytes):
                if not await pause(fault.pause):
                    return await self._hang_up(self._transport.abort)
                piece = answer.body[at : at + fault.bytes]
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        return await self._send({"type": "http.response.body", "body": b""})

    async def _hang_up(self, end: Callable[[], None]) -> None:
        """End the connection, and see it ended: else an answer would be missed."""
        end()
        await disconnected(self._incoming)

    @contextlib.asynccontextmanager
    async def _pauses(self) -> AsyncIterator[Callable[[float | None], Awaitable[bool]]]:
        """Give a pause of so many seconds; False: the client has gone, or the server ends."""
        gone = asyncio.ensure_future(disconnected(self._incoming))
        over = asyncio.ensure_future(self._leases.over())

        async def pause(seconds: float | None) -> bool:
            ended, _ = await asyncio.wait(
                {gone, over}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            return not ended

        try:
            yield pause
        finally:
            gone.cancel()
            over.cancel()
