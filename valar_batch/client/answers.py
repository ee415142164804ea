"""What an answer of Valar that is not the wished-for one means: HTTP to the tree of errors.

The table is the Errors section of Valar's API reference. Both HTTP clients read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from valar_batch.client.outgoing import KEY_VARIABLE, URL_VARIABLE
from valar_batch.core.wire import ErrorEnvelope, ErrorObject
from valar_batch.errors import (
    ApiError,
    BillingRefused,
    ConnectionFailed,
    KeyRefused,
    NotFound,
    RateLimited,
    RemoteError,
    RequestRefused,
    ServerFault,
    UnreadableAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_MODIFIED = 304
UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON in question."""

AUTHORITY_HINT = (
    "nothing was sent. Behind a proxy that opens TLS, name its authority with --ca-bundle FILE or "
    "SSL_CERT_FILE"
)
OTHER_HOST_HINT = f"nothing was sent. It is the certificate of another host: check {URL_VARIABLE}"
CLOCK_HINT = (
    "nothing was sent. Check this machine's clock; if it is right, the server's is at fault"
)
DISTRUST_HINTS: Mapping[int | None, str] = MappingProxyType(
    {9: CLOCK_HINT, 10: CLOCK_HINT, 62: OTHER_HOST_HINT, 64: OTHER_HOST_HINT}
)
"""By OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, _HAS_EXPIRED, _HOSTNAME_ and _IP_ADDRESS_MISMATCH."""

EXCERPT = 200
SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, as far as it matters here. `retry_after` is in seconds from now."""

    status: int
    body: bytes
    request_id: str | None = None
    retry_after: float | None = None
    location: str | None = None
    etag: str | None = None


def error_of(answer: Answer, *, secret: str) -> RemoteError:
    """The error that an answer stands for, for every status that a call cannot use.

    `secret` is the API key: where an answer repeats it, it is struck out.
    """
    if answer.status < 400:
        return unreadable(answer, f"status {answer.status}", secret=secret)
    envelope = _envelope(answer.body)
    told = envelope or ErrorObject(message=excerpt(answer.body))
    kind, said, hint = _meaning(answer.status, told)
    error = kind(
        _conceal(f"{said}: {told.message or 'no reason given'}{_details(told, answer)}", secret),
        status=answer.status,
        type=_conceal(told.type, secret),
        param=told.param and _conceal(told.param, secret),
        code=None if told.code is None else _conceal(str(told.code), secret),
        request_id=answer.request_id and _conceal(answer.request_id, secret),
        hint=hint,
    )
    error.retry_after = answer.retry_after
    if isinstance(error, NotFound) and envelope is None:
        error.is_transient = True
    return error


def unreadable(answer: Answer, reason: str, *, secret: str) -> UnreadableAnswer:
    """The error for an answer that should have been Valar's JSON and is not."""
    towards = f" to {answer.location}" if answer.location else ""
    text = f"not an answer of Valar ({reason}{towards}): {excerpt(answer.body) or 'empty'}"
    return UnreadableAnswer(
        _conceal(text + _details(ErrorObject(), answer), secret),
        hint=f"check {URL_VARIABLE}, and whether a proxy or a sign-in page answers in its place",
    )


def distrust(host: str, reason: str, code: int | None = None) -> ConnectionFailed:
    """The error for a certificate that cannot be trusted: asking again changes nothing.

    `code` is OpenSSL's X509_V_ERR_…, where it is known.
    """
    error = ConnectionFailed(
        f"the certificate of {host} is not trusted: {reason}",
        hint=DISTRUST_HINTS.get(code, AUTHORITY_HINT),
    )
    error.is_transient = error.may_have_arrived = False
    return error


def proxy_failed(reason: str, *, wants_password: bool) -> ConnectionFailed:
    """The error for a proxy that does not lead to Valar."""
    error = ConnectionFailed(
        f"the proxy does not lead to Valar: {reason}",
        hint="check HTTPS_PROXY, or name Valar's host in NO_PROXY",
    )
    error.may_have_arrived = False
    if wants_password:
        error.is_transient = False
        error.hint = "the proxy wants a password: HTTPS_PROXY=http://user:password@host:port"
    return error


def excerpt(body: bytes) -> str:
    """The beginning of a body that is not ours to know, on one line."""
    text = " ".join(body[: EXCERPT * 4].decode("utf-8", "replace").split())
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= EXCERPT else text[:EXCERPT] + "…"


def _envelope(body: bytes) -> ErrorObject | None:
    try:
        return msgspec.json.decode(body, type=ErrorEnvelope).error
    except UNDECODABLE:
        return None


def _meaning(status: int, told: ErrorObject) -> tuple[type[ApiError], str, str]:
    """The class of error, what to say first, and the next step."""
    if status == 408 or status >= 500:
        return ServerFault, f"Valar answered {status}", ""
    match status:
        case 401 | 403:
            return (
                KeyRefused,
                f"Valar refused the key in {KEY_VARIABLE}",
                f"set {KEY_VARIABLE} to a valid key and repeat the command",
            )
        case 402:
            return (
                BillingRefused,
                "Valar refused to bill this key",
                "nothing is lost: add credits or enable the key, then repeat the command",
            )
        case 404:
            return (
                NotFound,
                "Valar has nothing there for this key",
                f"check the id, {KEY_VARIABLE} and {URL_VARIABLE}",
            )
        case 413:
            return RequestRefused, "the batch is too large for Valar", "lower --batch-bytes"
        case 429:
            return RateLimited, "Valar asks to slow down", ""
    hint = ""
    if told.type == "idempotency_error":
        hint = "the same batch was sent before with other bytes: the input changed, or it is a bug"
    return RequestRefused, f"Valar refused the request ({status})", hint


def _details(told: ErrorObject, answer: Answer) -> str:
    details = []
    if told.param:
        details.append(f"param {told.param}")
    if answer.request_id:
        details.append(f"request {answer.request_id}")
    return f" ({', '.join(details)})" if details else ""


def _conceal(text: str, secret: str) -> str:
    """Strike the key out. A shorter one guards nothing, and would be struck out of plain words."""
    return text.replace(secret, "[key]") if len(secret) >= SHORTEST_SECRET else text
