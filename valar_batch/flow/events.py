"""What happens on the way, as frozen records for a reporter; flow itself prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know; nothing stops for it."""

    text: str


@dataclass(frozen=True, slots=True)
class Preparing:
    """Rows read and checked so far; `problems` counts rows that have some."""

    rows: int
    requests: int
    problems: int


@dataclass(frozen=True, slots=True)
class Sending:
    """Batches to send, sent and adopted so far, and bytes of bodies."""

    batches: int
    sent: int
    bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class Collecting:
    """Requests of the run by where they stand.

    `settled` are terminal at Valar, `fetched` are here; `statuses` counts those here by status.
    """

    requests: int
    settled: int
    fetched: int
    statuses: dict[str, int]
    tokens: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Writing:
    """Rows written to the output so far."""

    rows: int
    written: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call failed and is tried again after `seconds`; for `lasted` seconds none succeeded."""

    what: str
    seconds: float
    error: str
    lasted: float = 0.0


Event = Notice | Preparing | Sending | Collecting | Writing | Waiting
Reporter = Callable[[Event], None]


def in_use(title: str, report: Reporter) -> Callable[[str], None]:
    """Give what says that something is in use, and by whom, and is waited for."""
    return lambda holder: report(Notice(f"{title} is in use by {holder}: waiting for it"))


def back(what: str, lasted: float) -> Notice:
    """Say that an outage of so many seconds is over."""
    return Notice(f"{what} again, after {duration(lasted)}; going on")


def duration(seconds: float) -> str:
    """Write a time that was or is waited."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"


def silent(_: Event) -> None:
    """Report to nobody."""
