"""The detached server: one for each home folder, elected by a lock, ended by its last lease.

    python -m valar_batch.local.detached HOME

The process holds the lock for its life. One that finds another elected goes away in peace; one
that finds the other ending waits for its turn.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock, Timeout

from valar_batch import __version__
from valar_batch.durable import replacing
from valar_batch.local.launch import (
    ANNOUNCEMENT,
    DEFAULT_LINGER,
    LINGER_VARIABLE,
    LOCK,
    TOKEN,
    Announcement,
    folder_of,
    read_number,
)

if TYPE_CHECKING:
    from filelock import BaseFileLock

HOST = "127.0.0.1"
PATIENCE = 20.0
"""Seconds to wait for a server that is ending."""


def main(home: Path) -> None:
    """Serve `home` until the last lease has been gone for a while, or return: another does."""
    folder = folder_of(home)
    lock = FileLock(folder / LOCK)
    if not elected(lock, folder / ANNOUNCEMENT):
        return
    # The server is imported only now, so that a loser of the election costs little.
    from valar_batch.local.server import Settings, serve

    announcement = folder / ANNOUNCEMENT
    announcement.unlink(missing_ok=True)
    try:
        serve(
            HOST,
            0,
            folder,
            Settings(api_keys=(token_of(folder),)),
            lambda port: write_private(
                announcement, msgspec.json.encode(Announcement(port, os.getpid(), __version__))
            ),
            linger=read_number(os.environ, LINGER_VARIABLE, DEFAULT_LINGER),
        )
    finally:
        announcement.unlink(missing_ok=True)
        lock.release()


def elected(lock: BaseFileLock, announcement: Path) -> bool:
    """Take the lock, or find that its holder serves already."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if announcement.exists():
                return False
            time.sleep(0.05)
        else:
            return True
    return False


def token_of(folder: Path) -> str:
    """Give the home's token, made once: reservations belong to a key and outlive the server."""
    path = folder / TOKEN
    if not path.exists():
        write_private(path, f"local-{secrets.token_urlsafe(32)}".encode())
    return path.read_text("ascii")


def write_private(path: Path, content: bytes) -> None:
    """Replace a file that only its owner may read."""
    with replacing(path) as aside:
        aside.touch(mode=0o600)
        aside.write_bytes(content)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(message)s")
    main(Path(sys.argv[1]))
