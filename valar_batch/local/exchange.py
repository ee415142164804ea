"""HTTP as the local Valar speaks it: calls in, answers out, every error in Valar's envelope.

Source: API reference, Errors and Authentication.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from valar_batch.core.rules import MAX_BATCH_BYTES, MAX_IDEMPOTENCY_KEY_LENGTH
from valar_batch.core.wire import ErrorEnvelope, ErrorObject
from valar_batch.errors import ApiError, KeyRefused
from valar_batch.local.refusals import refuse, refused

Headers = list[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Answer:
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
        """Give the Idempotency-Key, if there is one."""
        key = self.header(b"idempotency-key")
        if key is not None and not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_LENGTH:
            message = f"an Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} characters"
            refuse(message, "Idempotency-Key")
        return key

    async def body(self) -> bytearray:
        """Read the body. One that is too large is refused, but read to its end all the same.

        Many clients look for an answer only when they have sent everything.
        """
        body = bytearray()
        size = 0
        more = True
        while more:
            event = await self.receive()
            if event["type"] == "http.disconnect":
                refuse("the body was cut off", None)
            size += len(event["body"])
            if size < MAX_BATCH_BYTES:
                body += event["body"]
            more = event["more_body"]
        if size >= MAX_BATCH_BYTES:
            message = f"the body has {size:,} bytes; it must stay under {MAX_BATCH_BYTES:,}"
            raise refused(message, None, status=413)
        return body


def ok(value: Any, status: int = 200) -> Answer:
    """Answer with a value as JSON."""
    return Answer(status, JSON.encode(value))


def envelope(error: ApiError, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """Answer with an error."""
    inside = ErrorObject(error.message, error.type, error.param, error.code)
    return Answer(error.status, JSON.encode(ErrorEnvelope(inside)), headers)


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
        raise KeyRefused(message, status=401, type="authentication_error")
    return found
