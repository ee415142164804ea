"""What faults make of answers: bytes in, bytes out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import TYPE_CHECKING

import msgspec

from valar_batch.core.statuses import TERMINAL, remote_status
from valar_batch.errors import ApiError
from valar_batch.local.api.exchange import JSON, envelope, fresh_headers
from valar_batch.local.faults.plan import Garbled, Html, Status, Truncated
from valar_batch.local.refusals import INVALID_REQUEST, not_found
from valar_batch.local.state.records import ANY_OBJECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from valar_batch.local.faults.plan import AnyFault, Map

PAGE = b"""<!doctype html>
<html><head><title>Please wait</title></head>
<body><h1>Please wait</h1><p>The gateway is checking your connection.</p></body></html>
"""
ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "authentication_error",
    429: "rate_limit_error",
}
"""The types of errors in the envelope, as far as the status alone tells them."""
RAW_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way out; its length is not among the headers."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    def with_body(self, body: bytes) -> Reply:
        """Give the same with another body."""
        return replace(self, body=body)


NOTHING = Reply(500, b"", ())
"""The answer to a call that was not worked at."""


def error_reply(fault: Status) -> Reply:
    """Answer with an error."""
    status = fault.status
    kind = ERROR_TYPES.get(status, "api_error" if status >= 500 else INVALID_REQUEST)
    error = ApiError(f"a fault of the plan: {status}", status=status, type=kind)
    headers = fresh_headers()
    if fault.retry_after is not None:
        headers.append((b"retry-after", retry_after(fault).encode()))
    return Reply(status, envelope(error).body, tuple(headers))


def retry_after(fault: Status) -> str:
    """Say when to ask again, in seconds or as a date (RFC 9110, 10.2.3)."""
    seconds = fault.retry_after or 0.0
    if fault.as_date:
        return formatdate(math.ceil(time.time() + seconds), usegmt=True)
    return f"{seconds:g}"


def answer_under(fault: AnyFault | None, answer: Reply) -> Reply:
    """Give what a fault that has the call for itself makes of an answer."""
    match fault:
        case Status():
            return error_reply(fault)
        case Html():
            return html_reply(fault)
        case Garbled():
            return answer.with_body(answer.body[::-1])  # a closing bracket first is no JSON
        case Truncated(under="its own length"):
            return answer.with_body(part_of(answer.body, fault.part))
    return answer


def late_reply() -> Reply:
    """Answer that a result is not there."""
    return Reply(404, envelope(not_found("there is no such result")).body, tuple(fresh_headers()))


def html_reply(fault: Html) -> Reply:
    """Answer with a proxy's page."""
    return Reply(fault.status, PAGE, ((b"content-type", b"text/html; charset=utf-8"),))


def part_of(body: bytes, share: float) -> bytes:
    """Give the beginning of a body: always less than all of it, where it has any."""
    return body[: min(int(len(body) * share), len(body) - 1)]


def still_running(body: bytes) -> bytes | None:
    """Say in_progress of a response that is finished; None where this is none."""
    response = ANY_OBJECT.decode(body)
    if remote_status(str(response.get("status"))) not in TERMINAL:
        return None
    return JSON.encode({**response, "status": "in_progress", "output": None, "error": None})


def wrong_map(
    body: bytes, fault: Map, is_wrong: Callable[[str], bool], said_settled: set[str]
) -> bytes | None:
    """Make a batch's status map wrong about some of its requests; None where nothing changed.

    `said_settled` are those that an earlier answer said to be settled; this one's are added.
    """
    batch = RAW_OBJECT.decode(body)
    if "request_status" not in batch:
        return None
    told: dict[str, dict[str, str]] = msgspec.json.decode(batch["request_status"])
    wrong = dict(told)
    for custom_id, entry in told.items():
        if not is_wrong(custom_id):
            continue
        match fault.what:
            case "lacks":
                del wrong[custom_id]
            case "unknown ids":
                wrong[f"{custom_id}-stranger"] = entry
            case "word":
                wrong[custom_id] = {"status": fault.word}
            case "back" if custom_id in said_settled:
                wrong[custom_id] = {"status": "RUNNING"}
            case "back" if remote_status(entry["status"]) in TERMINAL:
                said_settled.add(custom_id)
    if wrong == told:
        return None
    return JSON.encode({**batch, "request_status": wrong})
