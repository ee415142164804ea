"""The spool: results as they arrived, in checksummed zstd frames that a crash can only cut off."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec
import zstandard

from valar_batch.core.wire import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

READ_SIZE = 1 << 20
COMPRESSION_LEVEL = 3


class SpoolUsage(msgspec.Struct, frozen=True, gc=False):
    """The part of a response that counting needs."""

    usage: Usage | None = None


class SpoolEntry(msgspec.Struct, frozen=True, gc=False):
    """A spool line, read for what it is about and not for its answer."""

    custom_id: str
    status: str
    response: SpoolUsage


decode_entry = msgspec.json.Decoder(SpoolEntry).decode


def read_frames(path: Path) -> Iterator[tuple[bytes, int]]:
    """Give the content of each whole frame, and the offset in the file where it ends.

    Stops without an error at the first frame that is torn or damaged: what it held is fetched
    again.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        end, pending = 0, b""
        while True:
            frame = zstandard.ZstdDecompressor().decompressobj()
            content: list[bytes] = []
            while not frame.eof:
                piece = pending or file.read(READ_SIZE)
                pending = b""
                if not piece:
                    return
                try:
                    content.append(frame.decompress(piece))
                except zstandard.ZstdError:
                    return
                end += len(piece)
            pending = frame.unused_data
            end -= len(pending)
            yield b"".join(content), end


def read_ahead(path: Path) -> Iterator[tuple[bytes, int]]:
    """Give what `read_frames` gives; a thread decompresses the next frame meanwhile."""
    frames = read_frames(path)
    with ThreadPoolExecutor(1, "spool") as thread:
        following = thread.submit(next, frames, None)
        while (frame := following.result()) is not None:
            following = thread.submit(next, frames, None)
            yield frame


def read_lines(path: Path) -> Iterator[bytes]:
    """Give every spool line that is safely there, in the order of arrival."""
    for content, _ in read_frames(path):
        yield from content.splitlines()


def ends_at(path: Path, end: int) -> bool:
    """Whether a spool has nothing after its last whole frame, which ends at `end`."""
    return end == (path.stat().st_size if path.exists() else 0)


def has(path: Path, count: int) -> bool:
    """Whether a spool is undamaged to its end, and has results of so many requests."""
    ids: set[str] = set()
    end = 0
    for content, end in read_frames(path):  # noqa: B007
        ids.update(decode_entry(line).custom_id for line in content.splitlines())
    return len(ids) >= count and ends_at(path, end)


def recover(path: Path) -> Iterator[SpoolEntry]:
    """Cut off a torn end, so that the spool can be added to, and give what is before it."""
    end = 0
    for content, offset in read_frames(path):
        end = offset
        yield from map(decode_entry, content.splitlines())
    if path.exists() and path.stat().st_size != end:
        os.truncate(path, end)


def append(path: Path, lines: Sequence[bytes]) -> None:
    """Add one frame; when this returns, it is on the disk."""
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)
    with path.open("ab") as file:
        file.write(compressor.compress(b"".join(lines)))
        file.flush()
        os.fsync(file.fileno())
