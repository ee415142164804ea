"""Which reader an input needs: told by its name, else by its content."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from valar_batch.errors import InputError, UsageError
from valar_batch.formats.columnar import ParquetReader
from valar_batch.formats.delimited import CsvReader
from valar_batch.formats.json_lines import JsonLinesReader
from valar_batch.formats.rows import Chunk, Reader
from valar_batch.formats.source import BLANK, BOM, Source, no_rows, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INPUT_FORMATS", "Chunk", "Reader", "open_input"]

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
TEXT_READERS: dict[str, Callable[[Source], Reader]] = {"jsonl": JsonLinesReader, "csv": CsvReader}
INPUT_FORMATS = (*TEXT_READERS, "parquet")
PARQUET_MAGIC = b"PAR1"
CHOICES = f"say what it is with --input-format {'|'.join(INPUT_FORMATS)}"


def open_input(
    path: str, *, input_format: str | None = None, stdin: BinaryIO | None = None
) -> Reader:
    """Open an input for reading: a file's path, or `-` for standard input.

    The format is `input_format`, else told by the name's suffix, else by the content. Raises
    InputError for what cannot be read as that, UsageError for an unknown `input_format`.
    """
    if input_format is not None and input_format not in INPUT_FORMATS:
        message = f"--input-format {input_format}: there is no such format"
        raise UsageError(message, hint=f"one of {', '.join(INPUT_FORMATS)}")
    if path == "-":
        source = Source("standard input", stdin or sys.stdin.buffer, owns=False)
    else:
        input_format = input_format or SUFFIXES.get(Path(path).suffix.lower())
        source = Source(path, opened(path), owns=True)
    try:
        return reader_of(source, path, input_format)
    except InputError:
        source.close()
        raise


def reader_of(source: Source, path: str, input_format: str | None) -> Reader:
    """Give the reader of an open input."""
    head = source.head()
    if not head:
        raise no_rows(source.name)
    found = input_format or told_by_content(head, fallback="csv" if path == "-" else None)
    if found is None:
        raise InputError(f"{source.name}: neither name nor content says what it is", hint=CHOICES)
    if found != "parquet":
        return TEXT_READERS[found](source)
    source.close()
    if not Path(path).is_file():
        hint = "write it to a file and name that: Parquet is read from its end"
        raise InputError(f"{source.name}: Parquet cannot be read from a pipe", hint=hint)
    return ParquetReader(path)


def opened(path: str) -> BinaryIO:
    """Open a file. Raises InputError."""
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise unreadable(path, error) from error


def told_by_content(head: bytes, *, fallback: str | None) -> str | None:
    """Tell a format by how the content begins; a first line with a comma in it is CSV's header."""
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    text = head.removeprefix(BOM).lstrip(BLANK)
    if text.startswith(b"{"):
        return "jsonl"
    first_line = text.partition(b"\n")[0]
    return "csv" if b"," in first_line and b"\0" not in first_line else fallback
