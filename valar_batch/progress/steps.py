"""What events look like on a screen: one as a line, or as the bars that it moves."""

from __future__ import annotations

from dataclasses import dataclass

from valar_batch.flow.events import (
    Collecting,
    Event,
    Notice,
    Preparing,
    Sending,
    Waiting,
    Writing,
    duration,
)
from valar_batch.wording import amount, plural

WIDTH = 28
"""Characters of a bar."""
SHORT = 60.0
"""An outage of less seconds is not counted aloud."""


def failures(event: Collecting) -> str:
    """Say how many results are not completed, where there are any."""
    bad = {s: n for s, n in sorted(event.statuses.items()) if s != "completed" and n}
    return ", ".join(f"{count:,} {status}" for status, count in bad.items())


def describe(event: Event) -> str:
    """Write an event as one line."""
    match event:
        case Notice(text):
            return text
        case Waiting(what, seconds, error, lasted):
            so_far = f"; {duration(lasted)} so far" if lasted >= SHORT else ""
            soon = f" in {duration(seconds)}" if seconds >= 1 else ""
            return f"{what}: {error}{so_far}; trying again{soon}"
        case Preparing(rows, requests, problems):
            tail = f", {plural(problems, 'row')} with problems" if problems else ""
            return f"prepared {rows:,} rows, {requests:,} requests{tail}"
        case Sending(batches, sent, total, sent_bytes):
            return (
                f"sent {sent} of {batches} batches, {amount(min(sent_bytes, total))} "
                f"of {amount(total)}"
            )
        case Collecting():
            parts = [
                f"settled {event.settled:,} of {event.requests:,}",
                f"fetched {event.fetched:,}",
                failures(event),
                f"{event.tokens:,} tokens",
            ]
            return ", ".join(filter(None, parts))
        case Writing(rows, written):
            return f"written {written:,} of {rows:,} rows"


def is_finished(event: Event) -> bool:
    """Whether a step has come to its end with this event."""
    match event:
        case Sending(batches, sent, _, _):
            return sent == batches
        case Collecting():
            return event.fetched == event.requests
        case Writing(rows, written):
            return rows == written
        case _:
            return False


@dataclass(frozen=True, slots=True)
class Step:
    """How far a step is, as a bar shows it; without a `total` nobody knows yet how far it goes."""

    name: str
    done: int
    total: int | None
    detail: str = ""
    is_rated: bool = False


def steps_of(event: Event) -> list[Step]:
    """Say which steps an event moves."""
    match event:
        case Preparing(rows, _, problems):
            detail = f"{plural(problems, 'row')} with problems" if problems else ""
            return [Step("preparing", rows, None, detail, is_rated=True)]
        case Sending(batches, sent, total, sent_bytes):
            detail = f"{amount(min(sent_bytes, total))} of {amount(total)}"
            return [Step("sending", sent, batches, detail)]
        case Collecting():
            detail = ", ".join(filter(None, (failures(event), f"{event.tokens:,} tokens")))
            return [
                Step("settling", event.settled, event.requests),
                Step("fetching", event.fetched, event.requests, detail, is_rated=True),
            ]
        case Writing(rows, written):
            return [Step("writing", written, rows, is_rated=True)]
        case _:
            return []
