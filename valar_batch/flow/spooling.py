"""The thread that puts results on the disk, so that compression and fsync hold nobody up."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from valar_batch.errors import StateError
from valar_batch.runs import spool

if TYPE_CHECKING:
    from pathlib import Path

FRAME_LINES = 1000
FRAME_BYTES = 4 << 20
FRAME_SECONDS = 2.0
QUEUED_LINES = 10_000
TICK = 0.2


class Spooler:
    """Takes spool lines from any thread. Leaving the context writes what was handed over."""

    def __init__(self) -> None:
        self._lines: queue.Queue[tuple[Path, bytes] | None] = queue.Queue(QUEUED_LINES)
        self._failure: BaseException | None = None
        self._handed: Counter[Path] = Counter()
        self._written: Counter[Path] = Counter()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._lines.put(None, timeout=TICK)
                self._thread.join()
        self.check()

    def put(self, path: Path, line: bytes) -> None:
        """Hand over a line; waits while the disk is behind. Raises what stopped the thread."""
        self._handed[path] += 1
        while True:
            self.check()
            with contextlib.suppress(queue.Full):
                self._lines.put((path, line), timeout=TICK)
                return

    def has_written(self, path: Path) -> bool:
        """Whether every line that was handed over for a spool is on the disk."""
        return self._written[path] == self._handed[path]

    def check(self) -> None:
        """Raise what stopped the thread."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while self._write_frame():
                pass
        except OSError as error:
            hint = "make room and repeat the command: what was fetched so far is kept"
            self._failure = StateError(f"results cannot be written: {error}", hint=hint)
        except BaseException as error:
            self._failure = error

    def _write_frame(self) -> bool:
        """Gather lines until there are enough of them or time is up, and write them."""
        held: dict[Path, list[bytes]] = {}
        item = self._lines.get()
        count, size, deadline = 0, 0, time.monotonic() + FRAME_SECONDS
        while item is not None:
            path, line = item
            held.setdefault(path, []).append(line)
            count, size = count + 1, size + len(line)
            left = deadline - time.monotonic()
            if count >= FRAME_LINES or size >= FRAME_BYTES or left <= 0:
                break
            try:
                item = self._lines.get(timeout=left)
            except queue.Empty:
                break
        for path, lines in held.items():
            spool.append(path, lines)
            self._written[path] += len(lines)
        return item is not None
