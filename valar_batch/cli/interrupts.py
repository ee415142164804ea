"""Ctrl-C, SIGTERM and --timeout: the first stops in good order, a second one at once.

Nothing heavy is imported here: a signal is heeded from the first moment on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from valar_batch.cli.exit_status import Exit
from valar_batch.core.quantities import parse_duration

if TYPE_CHECKING:
    from types import FrameType

LONGEST = 365 * 86_400.0
"""Seconds: no timer of the system takes much more."""
SHOW_CURSOR = b"\x1b[?25h"


class Stopped(KeyboardInterrupt):
    """The command is to stop: `status` is what it ends with, `why` says it in words.

    `is_told` is set once the screen says so.
    """

    is_told = False

    def __init__(self, status: Exit, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Heed:
    """What was heard so far, of one process."""

    def __init__(self) -> None:
        self.stopped: Stopped | None = None
        self._timeout = ""
        self._is_over = False

    def install(self) -> None:
        """Heed the signals from now on; what the caller has ignored stays ignored."""
        self._watch()
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        sys.unraisablehook = self._on_unraisable

    def stop_after(self, timeout: str | None) -> None:
        """Stop the command after so long, as in 90s or 8h. Raises UsageError."""
        if timeout is None:
            return
        self._timeout = timeout
        seconds = min(parse_duration(timeout), LONGEST)
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._on_signal)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            return
        import _thread

        timer = threading.Timer(seconds, _thread.interrupt_main)
        timer.daemon = True
        timer.start()

    def check(self) -> None:
        """Raise again what stops the command, where somebody has swallowed it on its way."""
        if self.stopped is not None and threading.current_thread() is threading.main_thread():
            raise self.stopped

    def end(self) -> None:
        """Heed nothing any more: the command is over, and its status is settled."""
        self._is_over = True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._is_over or (self.stopped is not None and number == ALARM):
            return
        if self.stopped is not None:
            leave_at_once(number)
        if number == ALARM:
            why = f"stopped: the time is up (--timeout {self._timeout})"
            self.stopped = Stopped(Exit.NOT_FINISHED, why)
        else:
            self.stopped = Stopped(status_of_signal(number), "stopped")
        raise self.stopped

    def _on_unraisable(self, unraisable: Any) -> None:
        """Keep still of an interrupt that came where nothing can be raised: `check` raises it."""
        if not isinstance(unraisable.exc_value, Stopped):
            sys.__unraisablehook__(unraisable)

    def _watch(self) -> None:
        """Let a thread hear signals too: this one may hang in the system and not hear the second.

        Windows takes only sockets for that, and is left with what Python can do.
        """
        if os.name == "nt":
            return
        heard, tell = os.pipe()
        os.set_blocking(tell, False)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        threading.Thread(target=self._listen, args=(heard,), daemon=True).start()

    def _listen(self, heard: int) -> None:
        is_stopping = False
        while number := os.read(heard, 1):
            if number[0] not in (signal.SIGINT, signal.SIGTERM, ALARM):
                continue
            if is_stopping and number[0] != ALARM and not self._is_over:
                leave_at_once(number[0])
            is_stopping = True


ALARM: int = getattr(signal, "SIGALRM", 0)
heed = Heed()


def leave_at_once(number: int) -> None:
    """End the process where it stands, with the cursor shown."""
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, SHOW_CURSOR)
    os._exit(status_of_signal(number))


def status_of_signal(number: int) -> Exit:
    """Give the exit status of a command that a signal ended."""
    return Exit.TERMINATED if number == signal.SIGTERM else Exit.INTERRUPTED
