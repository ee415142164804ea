"""The tree of errors. Each says what happened, where, and what to do next.

ValarBatchError
├── UsageError                 the command or recipe asks for what cannot be
├── InputError                 the input has problems; nothing was sent
├── StateError                 a run folder is not what it should be, or must not be touched now
│   └── DoubtError             a batch may already be at Valar: sending it again could pay twice
└── RemoteError                Valar, or the way to it
    ├── ConnectionFailed       no answer at all                            transient
    ├── UnreadableAnswer       an answer that is not Valar's JSON          transient
    └── ApiError               Valar's error envelope
        ├── RequestRefused     400, 413: asking again changes nothing
        ├── KeyRefused         401, 403
        ├── BillingRefused     402
        ├── NotFound           404
        ├── RateLimited        429                                         transient
        └── ServerFault        408, 5xx                                    transient
"""

from __future__ import annotations


class ValarBatchError(Exception):
    """Base of every error that this package raises on purpose.

    `hint` is the next step for the user, or empty. `is_transient` says whether the same call may
    succeed later; retry code asks this and nothing else.
    """

    is_transient = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ValarBatchError):
    """The command line or the recipe asks for something that cannot be done."""


class InputError(ValarBatchError):
    """The input has problems; nothing was sent."""


class StateError(ValarBatchError):
    """A run folder is missing, damaged, in use, or from a newer version."""


class DoubtError(StateError):
    """A batch may have reached Valar; only the user can decide to send it again."""


class RemoteError(ValarBatchError):
    """Valar did not do what was asked, or could not be reached.

    `may_have_arrived` says whether Valar may have acted on the call all the same; `retry_after` is
    what it asked for in seconds, or None.
    """

    may_have_arrived = True
    retry_after: float | None = None


class ConnectionFailed(RemoteError):
    """The network failed or timed out: the call may have arrived, if there was a connection."""

    is_transient = True


class UnreadableAnswer(RemoteError):
    """Something answered, but not with Valar's JSON (a proxy's page, a cut-off body)."""

    is_transient = True


class ApiError(RemoteError):
    """Valar answered with an error.

    `status` is the HTTP status; `type`, `param` and `code` are the envelope's fields, `request_id`
    the `X-Request-ID` header to quote to support.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        type: str = "",  # noqa: A002 - the envelope's own word
        param: str | None = None,
        code: str | None = None,
        request_id: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.type = type
        self.param = param
        self.code = code
        self.request_id = request_id


class RequestRefused(ApiError):
    """400, 413 and other 4xx: malformed, unsupported, too large, or a reused idempotency key."""

    may_have_arrived = False


class KeyRefused(ApiError):
    """401 and 403: the key is missing, wrong or expired."""

    may_have_arrived = False


class BillingRefused(ApiError):
    """402: the key is disabled or the account has no credits."""

    may_have_arrived = False


class NotFound(ApiError):
    """404: no such batch, response or custom_id for this key.

    Transient where it is not in Valar's words: then a gateway has nobody behind it.
    """


class RateLimited(ApiError):
    """429: too many calls, and this one was not taken."""

    is_transient = True
    may_have_arrived = False


class ServerFault(ApiError):
    """408 and 5xx: a fault at Valar or on the way."""

    is_transient = True
