"""Valar's JSON, both ways: the bytes we send and the objects we read.

Sources: API reference, Batches and Responses. Unlisted fields may appear anywhere and are ignored
here; the spool keeps every result's bytes whole.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from valar_batch.core.nesting import is_too_deep
from valar_batch.core.rules import BATCH_ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Iterable

BODY_HEAD = f'{{"endpoint":"{BATCH_ENDPOINT}","requests":[\n'.encode()
SEPARATOR = b",\n"
REQUEST = b'{"custom_id":"', b'","params":', b"}"
BODY_OVERHEAD = 1024
"""Bytes set aside for the head and the tail (the label is at most 128 characters)."""


def body_tail(label: str) -> bytes:
    """Close a batch body. The label comes last, so a body can be written before its label."""
    return b'\n],"label":' + msgspec.json.encode(label) + b"}"


def request_bytes(custom_id: str, params: bytes) -> bytes:
    """One element of `requests`: custom_ids fit Valar's pattern, so they need no escaping."""
    head, middle, tail = REQUEST
    return b"".join((head, custom_id.encode(), middle, params, tail))


def all_request_bytes(custom_ids: Iterable[str], params: Iterable[bytes]) -> list[bytes]:
    """Give `request_bytes` of each custom_id with its params."""
    head, middle, tail = REQUEST
    ids = map(str.encode, custom_ids)
    parts = zip(repeat(head), ids, repeat(middle), params, repeat(tail), strict=False)
    return list(map(b"".join, parts))


def params_of(request: bytes, custom_id: str) -> bytes:
    """Give the params of what `request_bytes` made."""
    return request[len(request_bytes(custom_id, b"")) - 1 : -1]


Whole = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A count or a time that can be one."""


class Batch(msgspec.Struct, frozen=True):
    """A batch as POST and the list give it; `created_at` is Unix time in seconds."""

    id: str
    request_counts: Whole
    created_at: Whole
    label: str | None = None


class RequestStatus(msgspec.Struct, frozen=True, gc=False):
    """Where one request of a batch stands, in Valar's word."""

    status: str


class BatchStatus(Batch, frozen=True):
    """A batch with the status of each of its requests by custom_id."""

    request_status: dict[str, RequestStatus] = {}


class Model(msgspec.Struct, frozen=True):
    """One entry of `GET /models`."""

    id: str
    created: int = 0
    owned_by: str = ""


class ModelList(msgspec.Struct, frozen=True):
    """The answer of `GET /models`."""

    data: list[Model]


class ErrorObject(msgspec.Struct, frozen=True):
    """The inside of Valar's error envelope."""

    message: str = ""
    type: str = ""
    param: str | None = None
    code: str | int | None = None


class ErrorEnvelope(msgspec.Struct, frozen=True):
    """`{"error": {…}}`, on every endpoint."""

    error: ErrorObject


MOST_TOKENS = 10**12
"""Beyond, a number in a result's usage is no count; sums of counts stay within 64 bits."""


def plausible(tokens: int | None) -> int | None:
    """Give a count of tokens, or None for what cannot be one."""
    return tokens if tokens is not None and 0 <= tokens <= MOST_TOKENS else None


class UsageDetails(msgspec.Struct, frozen=True, gc=False):
    """The parts of a token count."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Token counts of one response."""

    input_tokens: int | None = None
    input_tokens_details: UsageDetails | None = None
    output_tokens: int | None = None
    output_tokens_details: UsageDetails | None = None

    @property
    def total(self) -> int:
        """All tokens, in and out."""
        return (plausible(self.input_tokens) or 0) + (plausible(self.output_tokens) or 0)


class ResponseMetadata(msgspec.Struct, frozen=True, gc=False):
    """The metadata that Valar itself reads."""

    completion_window: str | None = None


class Response(msgspec.Struct, frozen=True):
    """The few fields of a response object that the output needs.

    `output` may be an array of items, a string, an object or null.
    """

    object: Literal["response"]
    id: str
    status: str
    model: str | None = None
    output: Any = None
    error: Any = None
    incomplete_details: Any = None
    usage: Usage | None = None
    metadata: ResponseMetadata | None = None


_decode_response = msgspec.json.Decoder(Response).decode


def decode_response(body: bytes) -> Response:
    """Read a result. Raises msgspec.MsgspecError, or UnicodeDecodeError for text that is none."""
    if is_too_deep(body):
        raise msgspec.DecodeError("the JSON is nested too deeply")
    if not body.isascii():
        body.decode()  # what is not decoded below is kept as it came, and written with the rest
    return _decode_response(body)


class Result(msgspec.Struct, frozen=True):
    """A line of the spool: the result of one custom_id as it arrived."""

    custom_id: str
    status: str
    response: Response


class RawResult(msgspec.Struct, frozen=True):
    """A line of the spool, for the bytes of its response."""

    response: msgspec.Raw


def result_line(custom_id: str, status: str, response: bytes) -> bytes:
    """Write a spool line around a response body, which stays as it came.

    A line break in JSON text can only stand between tokens, so it may become a space.
    """
    if b"\n" in response or b"\r" in response:
        response = response.replace(b"\n", b" ").replace(b"\r", b" ")
    return b'{"custom_id":"%b","status":"%b","response":%b}\n' % (
        custom_id.encode(),
        status.encode(),
        response,
    )
