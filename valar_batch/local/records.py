"""Requests as they are kept, and the response objects that the API gives of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from valar_batch.local.answers import response_object
from valar_batch.local.exchange import JSON

ANY_OBJECT = msgspec.json.Decoder(dict[str, Any])


class StoredRequest(NamedTuple):
    """A request, with its `status` at the time of asking.

    The status is queued, in_progress, completed or failed. `id` is what its answer is known by,
    `endpoint` where it came in (that of items is `/v1/responses`). `created` and `due`, when it
    settles, are Unix time in seconds; `due` is infinite while nobody knows. `answer` is JSON that
    came from elsewhere; without it, the answer is a rehearsal.
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
        return self.status in ("completed", "failed")


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
    return JSON.encode(
        response_object(
            ANY_OBJECT.decode(request.params),
            request.params_hash,
            response_id=request.id,
            created_at=int(request.created),
            status=request.status,
        )
    )
