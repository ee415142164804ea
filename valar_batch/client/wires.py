"""The sockets of httpx, to be cut from another thread: closing one there would wake nobody."""

from __future__ import annotations

import contextlib
import socket
import weakref
from typing import Any


class Wires:
    """Knows the sockets that its `trace`, an extension of httpx's requests, heard of."""

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_cut = False

    def trace(self, _: str, facts: dict[str, Any]) -> None:
        """Hear of a connection, or of TLS on one."""
        stream = facts.get("return_value")
        ask = getattr(stream, "get_extra_info", lambda _: None)
        wire = ask("socket")
        if isinstance(wire, socket.socket):
            self._sockets.add(wire)
            if self._is_cut:
                cut(wire)

    def cut(self) -> None:
        """Let whatever waits for a byte on them fail, now and from now on."""
        self._is_cut = True
        for wire in list(self._sockets):
            cut(wire)


def cut(wire: socket.socket) -> None:
    """Shut a connection down, under TLS too, without a word to the other end."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(wire, socket.SHUT_RDWR)
