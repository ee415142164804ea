"""Bars on a terminal, and plain lines every few seconds: both on standard error."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from valar_batch.flow.events import Event, Notice, Sending, Waiting
from valar_batch.progress.steps import WIDTH, Step, describe, is_finished, steps_of
from valar_batch.wording import visible

if TYPE_CHECKING:
    from rich.progress import Progress

PLAIN_SECONDS = 5.0


class PlainLines:
    """A line at the end of a step, and every few seconds while it lasts."""

    def __init__(self) -> None:
        self._last: Event | None = None
        self._shown: dict[type[Event], str] = {}
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
        if line != self._shown.get(type(event)):
            self._shown[type(event)] = line
            print(visible(line), file=sys.stderr, flush=True)  # noqa: T201 - this is the screen


class Bars:
    """A bar for each step, with counts, rate, failures, tokens and the time left."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        from valar_batch.progress.screen import Screen

        self._progress: Progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=WIDTH),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", style="cyan"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", style="dim"),
            console=Screen(stderr=True),
        )
        self._tasks: dict[str, object] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end("preparing")
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Move the bars of the event's steps."""
        if isinstance(event, Notice | Waiting):
            self._progress.console.print(describe(event), style="yellow")
        if isinstance(event, Sending):
            self._end("preparing")
        for step in steps_of(event):
            self._move(step)

    def _move(self, step: Step) -> None:
        if step.name not in self._tasks:
            task_id = self._progress.add_task(step.name, total=step.total, rate="", detail="")
            self._tasks[step.name] = task_id
        task = next(t for t in self._progress.tasks if t.id == self._tasks[step.name])
        speed = task.finished_speed or task.speed
        rate = f"{speed:,.0f}/s" if step.is_rated and speed else ""
        self._progress.update(
            task.id, completed=step.done, total=step.total, rate=rate, detail=step.detail
        )

    def _end(self, name: str) -> None:
        for task in self._progress.tasks:
            if task.description == name and task.total is None:
                self._progress.update(task.id, total=task.completed)
