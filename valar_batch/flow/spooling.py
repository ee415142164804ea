"""The thread that puts results on the disk, so that compression and fsync hold nobody up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from valar_batch.errors import StateError
from valar_batch.runs import spool

if TYPE_CHECKING:
    from pathlib import Path

FRAME_LINES = 1000
FRAME_BYTES = 4 << 20
FRAME_SECONDS = 2.0
MOST_BYTES = 32 << 20
"""As much is held while the disk is behind; then whoever hands over a line waits."""


class Spooler:
    """Takes spool lines from any thread. Leaving the context writes what was handed over.

    A line is only laid down. The thread comes for a frame's worth of them or when time is up: to
    wake it for each would cost more than all else that is done with a line.
    """

    def __init__(self) -> None:
        self._held: dict[Path, list[bytes]] = {}
        self._lines = self._bytes = 0
        self._writing: dict[Path, list[bytes]] = {}
        self._is_ending = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition(threading.Lock())
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        self._thread.join()
        self.check()

    def put(self, path: Path, line: bytes) -> None:
        """Hand over a line; waits while the disk is behind. Raises what stopped the thread."""
        with self._changed:
            while self._bytes >= MOST_BYTES and self._failure is None:
                self._changed.wait()
            self.check()
            self._held.setdefault(path, []).append(line)
            self._lines += 1
            self._bytes += len(line)
            if self._is_enough():
                self._changed.notify_all()

    def has_written(self, path: Path) -> bool:
        """Whether every line that was handed over for a spool is on the disk."""
        with self._changed:
            return path not in self._held and path not in self._writing

    def check(self) -> None:
        """Raise what stopped the thread."""
        if self._failure is not None:
            raise self._failure

    def _is_enough(self) -> bool:
        return self._lines >= FRAME_LINES or self._bytes >= FRAME_BYTES

    def _run(self) -> None:
        try:
            while self._take():
                for path, lines in self._writing.items():
                    for start in range(0, len(lines), FRAME_LINES):
                        spool.append(path, lines[start : start + FRAME_LINES])
        except OSError as error:
            hint = "make room and repeat the command: what was fetched so far is kept"
            self._failure = StateError(f"results cannot be written: {error}", hint=hint)
        except BaseException as error:
            self._failure = error
        with self._changed:
            self._changed.notify_all()

    def _take(self) -> bool:
        """Wait for what to write; False when the end has come and nothing is left."""
        with self._changed:
            self._writing = {}
            self._changed.wait_for(lambda: self._is_ending or self._is_enough(), FRAME_SECONDS)
            self._writing, self._held = self._held, {}
            self._lines = self._bytes = 0
            self._changed.notify_all()
            return bool(self._writing) or not self._is_ending
