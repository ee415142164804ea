"""The bytes of a file or pipe: read once, in blocks, hashed, unpacked and turned into UTF-8."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import zlib
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import pyarrow as pa

from valar_batch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK_BYTES = 1 << 18
HEAD_BYTES = 1 << 16
LONGEST_HEAD = 1 << 24
"""Bytes that are looked at for text where a file begins with white space."""

LONGEST_LINE = 256_000_000
"""Bytes: what a batch may have. Beyond, a file is no text of lines, and is not held."""

BOM = codecs.BOM_UTF8
BLANK = b" \t\r\n"
"""What JSON calls white space."""

BOMS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
COMPRESSIONS = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
"""By suffix: the bytes that such a file begins with (RFC 1952, RFC 8878)."""

CHECKS = {".gz": "gzip -t FILE", ".zst": "zstd -t FILE"}


class Readable(Protocol):
    """Whatever gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Give up to `size` bytes; empty at the end."""


class Source:
    """A file, opened when it is first read, or an open pipe; what was opened here is closed.

    `name` is what errors call it, `label` what the problems of its rows call it. The text is what
    is in it, unpacked where it is compressed, as UTF-8: turned into that from `encoding` or from
    UTF-16 with a byte order mark. Raises InputError where the bytes cannot be read.
    """

    def __init__(
        self,
        name: str,
        label: str = "",
        *,
        pipe: BinaryIO | None = None,
        encoding: str | None = None,
    ) -> None:
        self.name = name
        self.label = label or name
        self.path = None if pipe is not None else Path(name)
        self._pipe = pipe
        self._encoding = encoding
        self._open: io.BufferedReader | None = None
        self._hashing: Hashing | None = None
        self._blocks: Iterator[bytes] | None = None
        self._ahead: deque[bytes] = deque()
        self._digest: str | None = None

    def stream(self) -> io.BufferedReader:
        """Give the bytes as they are; `peek` shows how they begin."""
        if self._open is None:
            if self._pipe is None:
                try:
                    raw: BinaryIO = Path(self.name).open("rb")  # noqa: SIM115 - closed by close
                except OSError as error:
                    raise unreadable(self.name, error) from error
            else:
                raw = self._pipe
            self._hashing = Hashing(self.name, raw, owns=self._pipe is None)
            self._open = io.BufferedReader(self._hashing, BLOCK_BYTES)
        return self._open

    def begins_with(self, magic: bytes) -> bool:
        """Whether the bytes begin so."""
        return self.stream().peek(len(magic)).startswith(magic)

    def compression(self) -> str | None:
        """Give the suffix of its compression, told by the bytes; None where it is not compressed.

        Raises InputError for a name that says it is and bytes that are not.
        """
        for suffix, magic in COMPRESSIONS.items():
            if self.begins_with(magic):
                return suffix
        suffix = Path(self.name).suffix.lower()
        if self.path is not None and suffix in COMPRESSIONS:
            message = f"{self.name}: what is in it is not what its name says, {suffix} data"
            raise InputError(message, hint=f"rename it, or write it again; {CHECKS[suffix]} checks")
        return None

    def head(self) -> bytes:
        """Give how the text begins, enough to tell what it is; empty where there is none.

        It is given again by `line_blocks`.
        """
        if not self._ahead:
            size = looked_at = 0
            while (
                size < HEAD_BYTES
                and looked_at < LONGEST_HEAD
                and (block := next(self._text(), b""))
            ):
                self._ahead.append(block)
                looked_at += len(block)
                size += len(block) if size else len(block.lstrip(BLANK))
        return b"".join(self._ahead)

    def is_whole(self) -> bool:
        """Whether there is no text beyond the head, which is looked at for it."""
        block = next(self._text(), b"")
        if block:
            self._ahead.append(block)
        return not block

    def line_blocks(self, last_end: Callable[[bytes], int]) -> Iterator[bytes]:
        """Give the text in blocks that end where a line ends; `last_end` finds the last such place.

        It gives the number of bytes before which a block can be cut, 0 for nowhere.
        """
        pending: list[bytes] = []
        size = lines = 0
        try:
            while block := self._ahead.popleft() if self._ahead else next(self._text(), b""):
                cut = last_end(block)
                if cut:
                    whole = b"".join((*pending, block[:cut]))
                    lines += whole.count(b"\n")
                    yield whole
                    pending, size = [], 0
                pending.append(block[cut:])
                size += len(block) - cut
                if size > LONGEST_LINE:
                    message = f"{self.name}: line {lines + 1} is longer than {LONGEST_LINE:,} bytes"
                    raise InputError(message, hint="check that this is a file of rows")
            if rest := b"".join(pending):
                yield rest
        finally:
            self.close()

    def hexdigest(self) -> str:
        """Give the SHA-256 of the bytes: of those that were read, or of the file on the disk."""
        if self._digest is None and self.path is not None and self._hashing is None:
            try:
                with self.path.open("rb") as file:
                    self._digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise unreadable(self.name, error) from error
        return self._digest or (self._hashing.digest.hexdigest() if self._hashing else "")

    def close(self) -> None:
        """Close it after its end; what a pipe gives stays open for others."""
        if self._hashing is not None:
            self._digest = self._hashing.digest.hexdigest()
        self._end()

    def rewind(self) -> None:
        """Close a file that was only looked at, to read it later from its beginning."""
        self._end()
        self._hashing = None

    def _end(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open, self._blocks = None, None
        self._ahead.clear()

    def _text(self) -> Iterator[bytes]:
        if self._blocks is None:
            self._blocks = utf8_blocks(self._unpacked(), self._encoding, self.name)
        return self._blocks

    def _unpacked(self) -> Iterator[bytes]:
        suffix, stream = self.compression(), self.stream()
        if suffix is None:
            return blocks_of(stream)
        if suffix == ".gz":
            return self._checked(gzip.GzipFile(fileobj=stream), suffix)
        return self._checked(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"), suffix)

    def _checked(self, unpacking: Readable, suffix: str) -> Iterator[bytes]:
        try:
            yield from blocks_of(unpacking)
        except (OSError, EOFError, zlib.error) as error:
            message = f"{self.name}: its {suffix} data is cut off or damaged: {error}"
            hint = f"fetch or write it again; {CHECKS[suffix]} checks it"
            raise InputError(message, hint=hint) from error


class Hashing(io.RawIOBase):
    """The bytes of a stream, hashed as they are read."""

    def __init__(self, name: str, stream: BinaryIO, *, owns: bool) -> None:
        self._name = name
        self._stream = stream
        self._owns = owns
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        """Reading is all that it does."""
        return True

    def readinto(self, into: memoryview) -> int:  # type: ignore[override]
        """Read what fits."""
        try:
            piece = self._stream.read(len(into))
        except OSError as error:
            raise unreadable(self._name, error) from error
        into[: len(piece)] = piece
        self.digest.update(piece)
        return len(piece)

    def close(self) -> None:
        """Close what it reads, where that is its own."""
        if self._owns:
            self._stream.close()
        super().close()


def blocks_of(stream: Readable) -> Iterator[bytes]:
    """Give what a stream has."""
    while block := stream.read(BLOCK_BYTES):
        yield block


def utf8_blocks(blocks: Iterator[bytes], encoding: str | None, name: str) -> Iterator[bytes]:
    """Give text as UTF-8 without a byte order mark.

    What is taken for UTF-8 is not checked here. Raises InputError, with the line, for bytes that
    are not in the encoding that was given or that the byte order mark told.
    """
    first = next(blocks, b"")
    marked = next((codec for mark, codec in BOMS.items() if first.startswith(mark)), None)
    wanted = codecs.lookup(encoding or marked or "utf-8").name
    if wanted in ("utf-8", "utf-8-sig"):
        if text_of_first := first.removeprefix(BOM):
            yield text_of_first
        yield from blocks
        return
    if wanted == "utf-16":
        wanted = marked or "utf-16-le"
    decoder = codecs.getincrementaldecoder(wanted)()
    lines, block, is_first = 1, first, True
    while True:
        try:
            text = decoder.decode(block, not block)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(wanted, "replace")
            message = f"{name}: line {lines + before.count(chr(10))} is not {encoding or wanted}"
            raise InputError(message, hint="name its encoding, as in --encoding cp1252") from error
        lines += text.count("\n")
        if is_first and text:
            text, is_first = text.removeprefix("\ufeff"), False
        if text:
            yield text.encode()
        if not block:
            return
        block = next(blocks, b"")


def unreadable(name: str, error: Exception) -> InputError:
    """Say that an input cannot be read, and what to look at."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{name}: there is no such file", hint="check the path")
    if isinstance(error, PermissionError):
        hint = "check who may read the file"
        return InputError(f"{name}: the file may not be read", hint=hint)
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{name}: cannot be read: {reason}", hint="check the file and its disk")
