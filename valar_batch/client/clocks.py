"""Two clocks that nobody can set: one stands still while the machine sleeps, one goes on.

The time of day is not among them: it may jump, so nothing is waited for by it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

PIECE = 5.0
"""A wait is looked after in pieces of so many seconds: the waits of threads stand still in a sleep
of the machine."""

_GOES_ON = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def awake() -> float:
    """Seconds for which the machine was awake: how long something was tried."""
    return time.monotonic()


def passed() -> float:
    """Seconds that passed for everybody, asleep or not: when something is due."""
    return time.monotonic() if _GOES_ON is None else time.clock_gettime(_GOES_ON)


def rest(seconds: float, ended: threading.Event) -> None:
    """Wait until so many seconds passed, or until the event."""
    until = passed() + seconds
    while (left := until - passed()) > 0 and not ended.wait(min(left, PIECE)):
        pass
