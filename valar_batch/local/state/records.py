"""Requests as they are kept, and the response objects that the API gives of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from valar_batch.core.outcome import error_text
from valar_batch.core.statuses import TERMINAL, Status
from valar_batch.errors import ServerFault
from valar_batch.local.refusals import refused
from valar_batch.local.rehearsal.answers import response_object

ANY_OBJECT = msgspec.json.Decoder(dict[str, Any])

OF_THE_REQUEST = (400, 404, 413, 422)
"""The HTTP statuses from elsewhere, as the `code` of an error, that the request is to blame for."""


class Request(NamedTuple):
    """A request of a batch that has passed every check; `params` are the bytes as they came."""

    custom_id: str
    params: bytes


@dataclass(frozen=True, slots=True)
class NewBatch:
    """The body of `POST /v1/batches`."""

    requests: list[Request]
    label: str | None


class StoredRequest(NamedTuple):
    """A request, with its `status` at the time of asking.

    The status is queued, in_progress, completed, failed or cancelled. `id` is what its answer is
    known by, `endpoint` where it came in (that of items is `/v1/responses`). `created` and `due`,
    when it settles, are Unix time in seconds; `due` is infinite while nobody knows. `answer` is
    JSON that came from elsewhere; without it, the answer is a rehearsal.
    """

    id: str
    endpoint: str
    params: bytes
    params_hash: bytes
    created: float
    due: float
    status: str
    answer: bytes | None

    @property
    def is_settled(self) -> bool:
        """Whether it is finished, well or not."""
        return self.status in TERMINAL


class Unsettled(NamedTuple):
    """A request that waits for an answer from elsewhere; `created` is Unix time in seconds."""

    id: str
    endpoint: str
    params: bytes
    created: float


def response_json(request: StoredRequest) -> bytes:
    """Give the response object of a request of `/v1/responses` as JSON."""
    if request.answer is not None:
        return request.answer
    return msgspec.json.encode(
        response_object(
            ANY_OBJECT.decode(request.params),
            request.params_hash,
            response_id=request.id,
            created_at=int(request.created),
            status=request.status,
        )
    )


def answered(request: StoredRequest) -> dict[str, Any]:
    """Give the response object of a settled chat or message; raise what is told if it failed.

    These surfaces have no status, and an answer without one would pass for the model's. So a
    failed inference is a fault of the server, or the refusal that the answer from elsewhere was.
    """
    response: dict[str, Any] = ANY_OBJECT.decode(response_json(request))
    if request.status != "completed":
        error = response["error"]
        message = error_text(error, Status(request.status)) or ""
        if error.get("code") in OF_THE_REQUEST:
            raise refused(message, None)
        raise ServerFault(message, status=500, type="api_error")
    return response
