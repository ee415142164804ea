"""The bytes of an input: read once, in blocks, hashed on the way."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING, BinaryIO

from valar_batch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES = 1 << 18
BOM = b"\xef\xbb\xbf"
BLANK = b" \t\r\n"
"""What JSON calls white space."""


class Source:
    """An open file or pipe, called `name` in messages. What it `owns` is closed after its end.

    Raises InputError where the bytes cannot be read.
    """

    def __init__(self, name: str, stream: BinaryIO, *, owns: bool) -> None:
        self.name = name
        self._stream = stream
        self._owns = owns
        self._hash = hashlib.sha256()
        self._ahead: deque[bytes] = deque()

    def head(self) -> bytes:
        """Give the blocks up to the first that is not blank, to be read again; empty at the end."""
        while block := self._read():
            self._ahead.append(block)
            if block.strip(BLANK).removeprefix(BOM).strip(BLANK):
                break
        return b"".join(self._ahead)

    def line_blocks(self) -> Iterator[bytes]:
        """Give the text without its byte order mark, in blocks that end where a line ends."""
        pending: list[bytes] = []
        first = True
        try:
            while block := self._ahead.popleft() if self._ahead else self._read():
                if first:
                    block, first = block.removeprefix(BOM), False
                cut = block.rfind(b"\n") + 1
                if not cut:
                    pending.append(block)
                    continue
                yield b"".join((*pending, block[:cut]))
                pending = [block[cut:]]
            if rest := b"".join(pending):
                yield rest
        finally:
            self.close()

    def hexdigest(self) -> str:
        """Give the SHA-256 of the bytes read so far."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """Close the file; a stream that others own stays open."""
        if self._owns:
            self._stream.close()

    def _read(self) -> bytes:
        try:
            block = self._stream.read(BLOCK_BYTES)
        except OSError as error:
            raise unreadable(self.name, error) from error
        self._hash.update(block)
        return block


def unreadable(name: str, error: Exception) -> InputError:
    """Say that an input cannot be read, and what to look at."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{name}: there is no such file", hint="check the path")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{name}: this is a folder", hint="name one file of rows")
    if isinstance(error, PermissionError):
        hint = "check who may read the file"
        return InputError(f"{name}: the file may not be read", hint=hint)
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{name}: cannot be read: {reason}", hint="check the file and its disk")


def no_rows(name: str) -> InputError:
    """Say that an input has nothing to send."""
    return InputError(f"{name}: there are no rows", hint="check that this is the right input")
