"""Bells that tasks wait for: rung from any thread when something new is in the store."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Listener:
    """One who waits for a bell.

    The state is asked for only after `listen`, so that no ring is missed.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake it; it may live in another thread."""
        self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, seconds: float) -> None:
        """Wait for a ring since the last wait, at most so long; infinity is without end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == float("inf") else seconds):
                await self._rung.wait()
        self._rung.clear()


class Bells:
    """Any number of bells, each by a name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, set[Listener]] = {}

    @contextlib.contextmanager
    def listen(self, name: str) -> Iterator[Listener]:
        """Listen for a bell."""
        listener = Listener()
        with self._lock:
            self._listeners.setdefault(name, set()).add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                listeners = self._listeners[name]
                listeners.remove(listener)
                if not listeners:
                    del self._listeners[name]

    def ring(self, name: str) -> None:
        """Wake all who listen for a bell."""
        with self._lock:
            for listener in self._listeners.get(name, ()):
                listener.ring()
