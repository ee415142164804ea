"""What is done about a failed call to the upstream: wait, try again, or give the request up.

A request must not fail because the upstream, or what lies behind it, is away, busy, or started
with a wrong key: nothing is wrong with the request, and the same would become of all others. What
the upstream took and could not finish may lie in the request, so it is tried a few times only.
"""

from __future__ import annotations

from enum import Enum, auto

from valar_batch.errors import (
    BillingRefused,
    ConnectionFailed,
    KeyRefused,
    RateLimited,
    RemoteError,
    ServerFault,
)

MOST_TRIES = 6
"""How often a request is tried that the upstream takes and does not finish.

With the pauses in between, some 10 seconds: longer than a server needs to come back from a crash
that one request caused, and short beside the hours that a batch may take.
"""

AWAY = frozenset({502, 503})
"""Statuses of a server, or of the proxy before it, that takes nothing now."""


class Outlook(Enum):
    """What is done about a failed call."""

    WAIT = auto()
    """It was not taken: it waits for as long as that lasts."""
    TRY_AGAIN = auto()
    """It was taken and not finished: another try, up to `MOST_TRIES`."""
    GIVE_UP = auto()
    """Another try would say the same."""


class Unreached(ConnectionFailed):
    """There was no connection, so nothing has been taken."""


def outlook(error: RemoteError) -> Outlook:
    """Say what is done about a failed call."""
    match error:
        case Unreached() | RateLimited() | KeyRefused(status=401) | BillingRefused():
            return Outlook.WAIT
        case ServerFault(status=501):
            return Outlook.GIVE_UP
        case ServerFault():
            return Outlook.WAIT if error.status in AWAY else Outlook.TRY_AGAIN
        case ConnectionFailed():
            return Outlook.TRY_AGAIN
    return Outlook.GIVE_UP


def reason(error: RemoteError) -> str:
    """Say why requests wait, for the log: nothing of what the upstream wrote, which may repeat
    what it was asked.
    """
    match error:
        case KeyRefused():
            return "refuses the key: start again with the right --upstream-key"
        case BillingRefused():
            return "refuses to bill its key (402)"
        case RateLimited():
            return "asks to slow down (429)"
        case ServerFault():
            return f"takes nothing now ({error.status})"
    return "cannot be reached"
