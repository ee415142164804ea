"""HTTP as the local Valar speaks it: calls in, answers out, every error in Valar's envelope.

Source: API reference, Errors and Authentication.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from valar_batch.core.rules import MAX_BATCH_BYTES, MAX_IDEMPOTENCY_KEY_LENGTH, MESSAGES
from valar_batch.core.wire import ErrorEnvelope, ErrorObject
from valar_batch.errors import ApiError, KeyRefused
from valar_batch.local.refusals import refuse, refused

Headers = list[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

JSON = msgspec.json.Encoder()

MAX_DRAINED = MAX_BATCH_BYTES
"""Bytes of an unwanted body that are read and dropped, so that its sender sees the answer."""
DRAINING = 30.0
"""Seconds in which the sender has to be done with it."""

REQUEST_ID = f"req_{secrets.token_hex(8)}%08x"
"""What this server's request ids look like; they are counted, which costs less than to draw."""
ANSWERS = itertools.count()


class Incoming:
    """What a client still sends (ASGI's receive), and whether there is more of it."""

    def __init__(self, scope: Message, receive: Receive) -> None:
        self._receive = receive
        self.more = has_body(scope["headers"])

    async def __call__(self) -> Message:
        """Give the next event."""
        event = await self._receive()
        self.more = event.get("more_body", False)
        return event

    async def drain(self) -> None:
        """Drop what still comes, within bounds.

        Many clients look for an answer only when they have sent everything, and a connection that
        is closed on them takes the answer with it.
        """
        left = MAX_DRAINED
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAINING):
                while self.more and left > 0:
                    left -= len((await self()).get("body", b""))


class Answer(NamedTuple):
    """What is sent back: a status and JSON."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a client whose key was good; `api_key` is the key's fingerprint."""

    scope: Message
    receive: Receive
    api_key: str

    def header(self, name: bytes) -> str | None:
        """Give a header by its lower-case name."""
        return find_header(self.scope, name)

    @property
    def query(self) -> dict[str, str]:
        """Give the query parameters; of one given twice, the last."""
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True))

    @property
    def idempotency_key(self) -> str | None:
        """Give the Idempotency-Key, if there is one; Messages have another name for it, too."""
        key = self.header(b"idempotency-key")
        if key is None and self.scope["path"] == MESSAGES.path:
            key = self.header(b"anthropic-idempotency-key")
        if key is not None and not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_LENGTH:
            message = f"an Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} characters"
            refuse(message, "Idempotency-Key")
        return key

    async def body(self) -> bytearray:
        """Read the body; one that is too large is refused as soon as that is known."""
        declared = int(self.header(b"content-length") or 0)
        if declared >= MAX_BATCH_BYTES:
            raise too_large(f"{declared:,}")
        body = bytearray()
        more = True
        while more:
            event = await self.receive()
            if event["type"] == "http.disconnect":
                refuse("the body was cut off", None)
            body += event["body"]
            more = event["more_body"]
            if len(body) >= MAX_BATCH_BYTES:
                raise too_large(f"at least {len(body):,}")
        return body


def too_large(size: str) -> ApiError:
    """Give the refusal of a body over the limit."""
    return refused(
        f"the body has {size} bytes; it must stay under {MAX_BATCH_BYTES:,}", None, status=413
    )


def fresh_headers() -> Headers:
    """Give the headers that every answer has."""
    return [
        (b"content-type", b"application/json"),
        (b"x-request-id", (REQUEST_ID % next(ANSWERS)).encode()),
    ]


async def reply(answer: Answer, headers: Headers, incoming: Incoming, send: Send) -> None:
    """Send an answer. Where the body was not read to its end, the connection ends with it."""
    headers.append((b"content-length", str(len(answer.body)).encode()))
    headers += answer.headers
    unread = incoming.more
    if unread:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": unread})
    if unread:
        await incoming.drain()
        await send({"type": "http.response.body", "body": b""})


def ok(value: Any, status: int = 200) -> Answer:
    """Answer with a value as JSON."""
    return Answer(status, JSON.encode(value))


def envelope(error: ApiError, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """Answer with an error."""
    inside = ErrorObject(error.message, error.type, error.param, error.code)
    return Answer(error.status, JSON.encode(ErrorEnvelope(inside)), headers)


def has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the headers of a request say that a body comes with it."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )


def find_header(scope: Message, name: bytes) -> str | None:
    """Give a header by its lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def authenticate(scope: Message, fingerprints: dict[bytes, str]) -> str:
    """Give the fingerprint of the key that a request carries; KeyRefused if it is none of these.

    Every known key is compared, in constant time, so that an answer's time tells nothing.
    """
    scheme, _, key = (find_header(scope, b"authorization") or "").partition(" ")
    given = key.strip().encode("latin-1")
    found = None
    for known, fingerprint in fingerprints.items():
        if hmac.compare_digest(known, given):
            found = fingerprint
    if found is None or scheme.lower() != "bearer":
        message = "the API key is missing or wrong: send it as Authorization: Bearer <key>"
        if find_header(scope, b"x-api-key") is not None:
            message += ", not as x-api-key: Anthropic's client does so with auth_token"
        raise KeyRefused(message, status=401, type="authentication_error")
    return found
