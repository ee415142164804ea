"""What the local Valar says no with: the errors that a client raises, in Valar's words.

Source: API reference, Errors.
"""

from __future__ import annotations

from typing import NoReturn

from valar_batch.errors import NotFound, RequestRefused

INVALID_REQUEST = "invalid_request_error"
IDEMPOTENCY = "idempotency_error"


def refused(
    message: str, param: str | None, *, status: int = 400, kind: str = INVALID_REQUEST
) -> RequestRefused:
    """Give the refusal of a request that is malformed or asks for what is not supported."""
    return RequestRefused(message, status=status, type=kind, param=param)


def refuse(message: str, param: str | None) -> NoReturn:
    """Raise such a refusal."""
    raise refused(message, param)


def not_found(message: str) -> NotFound:
    """Give the refusal of a question after what is not there."""
    return NotFound(message, status=404, type=INVALID_REQUEST)
