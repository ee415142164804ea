"""Reporters: bars on a terminal, plain lines every few seconds elsewhere; all on stderr."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from valar_batch.errors import UsageError
from valar_batch.flow.events import (
    Collecting,
    Event,
    Notice,
    Preparing,
    Sending,
    Waiting,
    Writing,
    silent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

    from valar_batch.flow.events import Reporter

PLAIN_SECONDS = 5.0


@contextlib.contextmanager
def reporting(progress: str, *, quiet: bool) -> Iterator[Reporter]:
    """Give the reporter for `--progress` and `--quiet`."""
    if progress not in ("auto", "bar", "plain"):
        raise UsageError(f"--progress is auto, bar or plain, not {progress!r}")
    if quiet:
        yield silent
    elif progress == "bar" or (progress == "auto" and sys.stderr.isatty()):
        with Bars() as bars:
            yield bars
    else:
        lines = PlainLines()
        yield lines
        lines.finish()


def amount(count: float) -> str:
    """Write a count of bytes."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def failures(event: Collecting) -> str:
    """Say how many results are not completed, where there are any."""
    bad = {s: n for s, n in sorted(event.statuses.items()) if s != "completed" and n}
    return ", ".join(f"{count:,} {status}" for status, count in bad.items())


def describe(event: Event) -> str:
    """Write an event as one line."""
    match event:
        case Notice(text):
            return text
        case Waiting(what, seconds, error):
            return f"{what}: {error}; trying again in {seconds:.0f} s"
        case Preparing(rows, requests, problems):
            tail = f", {problems:,} rows with problems" if problems else ""
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


class PlainLines:
    """A line at the end of a step, and every few seconds while it lasts."""

    def __init__(self) -> None:
        self._last: Event | None = None
        self._shown = ""
        self._at = 0.0
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Show the event, if it is time for it."""
        with self._lock:
            if isinstance(event, Notice | Waiting):
                self._show(event)
                return
            if type(self._last) is not type(event):
                self.finish()
                self._at = time.monotonic()
            self._last = event
            if is_finished(event) or time.monotonic() - self._at >= PLAIN_SECONDS:
                self._show(event)
                self._at = time.monotonic()

    def finish(self) -> None:
        """Show how the last step ended."""
        if self._last is not None:
            self._show(self._last)

    def _show(self, event: Event) -> None:
        line = describe(event)
        if line != self._shown:
            self._shown = line
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is the screen


class Bars:
    """A bar for each step, with counts, rate, failures, tokens and the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress: Progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", style="cyan"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", style="dim"),
            console=Console(stderr=True, markup=False),
        )
        self._tasks: dict[str, object] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end("preparing")
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Move the bar of the event's step."""
        match event:
            case Notice() | Waiting():
                self._progress.console.print(describe(event), style="yellow", highlight=False)
            case Preparing(rows, _, problems):
                detail = f"{problems:,} rows with problems" if problems else ""
                self._move("preparing", rows, None, detail)
            case Sending(batches, sent, total, sent_bytes):
                self._end("preparing")
                detail = f"{amount(min(sent_bytes, total))} of {amount(total)}"
                self._move("sending", sent, batches, detail, rated=False)
            case Collecting():
                detail = ", ".join(filter(None, (failures(event), f"{event.tokens:,} tokens")))
                self._move("settling", event.settled, event.requests, "", rated=False)
                self._move("fetching", event.fetched, event.requests, detail)
            case Writing(rows, written):
                self._move("writing", written, rows, "")

    def _move(
        self, name: str, done: int, total: int | None, detail: str, *, rated: bool = True
    ) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, rate="", detail="")
        task = next(t for t in self._progress.tasks if t.id == self._tasks[name])
        speed = task.finished_speed or task.speed
        rate = f"{speed:,.0f}/s" if rated and speed else ""
        self._progress.update(task.id, completed=done, total=total, rate=rate, detail=detail)

    def _end(self, name: str) -> None:
        for task in self._progress.tasks:
            if task.description == name and task.total is None:
                self._progress.update(task.id, total=task.completed)
