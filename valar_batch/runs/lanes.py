"""Threads that write what they are given, in order, so that packing and the disk hold nobody up."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_WAITING = 2
"""So many calls wait in a lane; whoever gives another waits himself, so memory is bounded."""


class Lane:
    """A thread that makes calls one after the other; after a failure it makes no more.

    It starts with the first call. What stopped it is raised where the next call is given.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue(MOST_WAITING)
        self._failure: BaseException | None = None
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def call(self, function: Callable[[], None]) -> None:
        """Give a call to make. Raises what stopped the lane."""
        self.check()
        if self._thread.ident is None:
            self._thread.start()
        self._calls.put(function)

    def check(self) -> None:
        """Raise what stopped the lane."""
        if self._failure is not None:
            raise self._failure

    def wait(self) -> None:
        """Wait until all calls are made. Raises what stopped the lane."""
        self._calls.join()
        self.check()

    def stop(self) -> None:
        """End the thread after the call that it is at; calls that wait are not made."""
        self._is_stopped = True
        if self._thread.ident is not None:
            self._calls.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                if not self._is_stopped and self._failure is None:
                    call()
            except BaseException as error:
                self._failure = error
            del call  # what it holds is not needed while this waits
            self._calls.task_done()


class Lanes:
    """The lanes of the two files of a batch, which are written side by side."""

    def __init__(self) -> None:
        self.rows, self.body = Lane("rows"), Lane("body")

    def wait(self) -> None:
        """Wait until all is written. Raises what stopped a lane."""
        self.rows.wait()
        self.body.wait()

    def stop(self) -> None:
        """End the threads; what waits is not written."""
        self.rows.stop()
        self.body.stop()
