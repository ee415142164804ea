"""Files that are whole or absent: write aside, fsync, rename, fsync the folder; and seals."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ_SIZE = 1 << 20
SEAL_MARK = b"\ncrc32:"
SEAL_SIZE = len(SEAL_MARK) + 4

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where a disk, a quota or a file is full."""

NAME_BYTES = 200
"""So much of a file's name is in that of the file beside it, which has to fit in 255 bytes."""


def sync_file(path: Path) -> None:
    """Force a file's content to the disk."""
    _sync(path, os.O_RDWR)


def sync_folder(path: Path) -> None:
    """Force a folder's entries to the disk (where the platform can: not on Windows)."""
    if os.name != "nt":
        _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Force every file and folder below `path` to the disk."""
    for folder, _, names in os.walk(path):
        for name in names:
            sync_file(Path(folder, name))
        sync_folder(Path(folder))


def write_file(path: Path, content: bytes, *, mark: str | None = None) -> None:
    """Replace `path` with `content` in one step that survives a power cut."""
    with replacing(path, mark=mark) as aside:
        aside.write_bytes(content)


@contextlib.contextmanager
def replacing(
    path: Path,
    *,
    mark: str | None = None,
    beside: Path | None = None,
    on_whole: Callable[[Path], None] = lambda _: None,
) -> Iterator[Path]:
    """Give a temporary path beside `path`; on a clean exit it becomes `path`, else it is removed.

    Its name is random, so that two processes never share it; a caller that holds a lock gives a
    `mark` of its own instead, and so overwrites what a killed predecessor left. `beside` is another
    path of the same file system to put it beside. `on_whole` is told the temporary path once all of
    it is on the disk, before it becomes `path`.
    """
    name = path.name if beside is None else f"{beside.name}.{path.name}"
    name = os.fsencode(name)[:NAME_BYTES].decode(errors="ignore")
    aside = (beside or path).with_name(f".{name}.{mark or secrets.token_hex(6)}.partial")
    try:
        yield aside
        sync_file(aside)
        on_whole(aside)
        aside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.filename in (None, str(aside)):
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # why it cannot be removed is known by now
            aside.unlink(missing_ok=True)


def place_fault(error: BaseException | None, path: Path) -> None:
    """Say where a disk is full, where the error itself does not: writing knows no path."""
    if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
        error.filename = str(path)


def seal(path: Path) -> None:
    """Add the checksum of a file's content to its end: against a bad disk, not against an enemy."""
    checksum, _ = _read_sealed(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(SEAL_MARK + checksum)


def is_sealed(path: Path) -> bool:
    """Whether a file is as it was when it was sealed."""
    size = path.stat().st_size - SEAL_SIZE
    if size < 0:
        return False
    checksum, end = _read_sealed(path, size)
    return end == SEAL_MARK + checksum


def _read_sealed(path: Path, size: int) -> tuple[bytes, bytes]:
    """Give the checksum of the first `size` bytes of a file, and what comes after them."""
    checksum = 0
    with path.open("rb") as file:
        while size and (piece := file.read(min(READ_SIZE, size))):
            checksum = zlib.crc32(piece, checksum)
            size -= len(piece)
        return checksum.to_bytes(4, "big"), file.read(SEAL_SIZE)
