"""Locks between processes, and who holds them.

The lock alone decides. A file beside it names the holder to those who wait, and is believed only
while that process lives.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLL = 0.2
"""Seconds between two looks at a lock that another has; who waits no longer than that is silent."""
SOMEBODY = "another process"


class InUse(Exception):
    """A lock is held by another: `holder` says by whom."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class Abandoned(Exception):
    """The wait for a lock was ended from outside."""


@contextlib.contextmanager
def taken(path: Path) -> Iterator[None]:
    """Hold a lock, or raise InUse at once."""
    lock = filelock.FileLock(path, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise InUse(holder_of(path)) from None
    name = _name_file(path)
    try:
        with contextlib.suppress(OSError):
            name.touch(mode=0o600)
            name.write_bytes(_own_name())
        yield
    finally:
        with contextlib.suppress(OSError):
            name.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def held(
    path: Path,
    on_wait: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[None]:
    """Hold a lock, waiting for another who has it: `on_wait` is told by whom.

    Raises Abandoned once `stop` is set, so that a thread can be called back from waiting.
    """
    stop, told = stop or threading.Event(), on_wait is None
    while True:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(taken(path))
            except InUse:
                if stop.wait(POLL):
                    raise Abandoned from None
                holder = holder_of(path)
            else:
                yield
                return
        if not told and on_wait is not None:
            on_wait(holder)
            told = True


@contextlib.contextmanager
def using(folder: Path) -> Iterator[None]:
    """Be one of the users of a folder, until the end or until the process dies."""
    mark = folder / f"user-{secrets.token_hex(6)}.lock"
    with taken(mark):
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                mark.unlink(missing_ok=True)


def users(folder: Path) -> list[str]:
    """Name the users of a folder who live; what the dead left is removed."""
    living = []
    for mark in folder.glob("user-*.lock"):
        try:
            with taken(mark), contextlib.suppress(OSError):
                mark.unlink(missing_ok=True)
        except InUse as error:
            living.append(error.holder)
    return living


def holder_of(path: Path) -> str:
    """Say who holds a lock, as in `valar-batch fetch (process 4242)`."""
    try:
        told = json.loads(_name_file(path).read_bytes())
        command, pid, host = str(told["command"]), int(told["pid"]), str(told["host"])
    except (OSError, ValueError, LookupError, TypeError):
        return SOMEBODY
    if host != _host():
        return f"{command} (process {pid} on {host})"
    if pid == os.getpid():
        return "another call in this process"
    return f"{command} (process {pid})" if _is_alive(pid) else SOMEBODY


def _name_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.holder")


@functools.cache
def _own_name() -> bytes:
    own = {"command": _command(), "pid": os.getpid(), "host": _host()}
    return json.dumps(own).encode()


def _command() -> str:
    """Name this program; of its arguments only our own command's name, for others may be secret."""
    path = Path(sys.argv[0] if sys.argv else "")
    if path.stem == "valar-batch" or path.parts[-2:] == ("valar_batch", "__main__.py"):
        return f"valar-batch {sys.argv[1] if len(sys.argv) > 1 else ''}".strip()
    return path.name if path.name not in ("", "-c", "-m") else "python"


@functools.cache
def _host() -> str:
    import platform

    return platform.node()


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # where signal 0 would be Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
