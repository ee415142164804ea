"""CSV in: rows of text under a header, kept as the text that they are."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from valar_batch.core.problems import Problem
from valar_batch.errors import InputError
from valar_batch.formats.rows import CHUNK_BYTES, CHUNK_ROWS, Chunk
from valar_batch.formats.source import Source, no_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

LONGEST_FIELD = 256_000_000
"""Characters: more than a request may have. Beyond, a quote was opened that never closes, and
following it would read the rest of the file into memory."""


class CsvReader:
    """Reads CSV as in RFC 4180, with any line ends and with blank lines skipped.

    Every value is text; an empty field is empty text. A row with too few or too many fields is a
    Problem. Raises InputError for a header that names no columns, or one column twice, and where
    quoting or encoding is broken, since where the next row begins cannot be known then.
    """

    format = "csv"

    def __init__(self, source: Source) -> None:
        csv.field_size_limit(LONGEST_FIELD)
        self._source = source
        self._rows = records(source)
        self._row = 0
        self._header = checked(next(self._rows, (0, []))[1], source.name)
        self._schema = pa.schema([(name, pa.string()) for name in self._header])

    def columns(self) -> list[str]:
        """Name the header's columns."""
        return list(self._header)

    def chunks(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        """Give the rows with all their columns."""
        rows: list[list[str]] = []
        lines: list[int] = []
        size = 0
        for line, fields in self._rows:
            rows.append(fields)
            lines.append(line)
            size += sum(map(len, fields))
            if len(rows) == CHUNK_ROWS or size >= CHUNK_BYTES:
                yield self._chunk(rows, lines)
                rows, lines, size = [], [], 0
        if rows:
            yield self._chunk(rows, lines)
        if self._row == 0:
            raise no_rows(self._source.name)

    def schema(self) -> pa.Schema:
        """Give the header's columns, all text."""
        return self._schema

    def digest(self) -> str:
        """Give the SHA-256 of the bytes."""
        return self._source.hexdigest()

    def _chunk(self, fields: list[list[str]], lines: list[int]) -> Chunk:
        first_row = self._row + 1
        self._row += len(fields)
        header, width = self._header, len(self._header)
        rows: list[dict[str, Any] | Problem] = [dict(zip(header, f, strict=False)) for f in fields]
        texts: list[Sequence[str | None]] = [*fields]
        if set(map(len, fields)) != {width}:
            for i, found in enumerate(fields):
                if len(found) != width:
                    rows[i] = ragged(found, header).at(first_row + i, lines[i])
                    texts[i] = [*found[:width], *[None] * (width - len(found))]
        arrays = [pa.array(column, pa.string()) for column in zip(*texts, strict=True)]
        kept = pa.StructArray.from_arrays(arrays, fields=list(self._schema))
        return Chunk(first_row, kept, rows, lines)


def records(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Give the fields of the header and of each row, with the line where they begin.

    A line of white space is skipped, unless it can be the value of a file's only column.
    """
    reader = csv.reader(text_lines(source), strict=True)
    line, width = 1, 0
    try:
        for fields in reader:
            if fields and not (len(fields) == 1 != width and fields[0].isspace()):
                width = width or len(fields)
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        where = f"the row that begins in line {line}: {error}"
        hint = 'check its quotes: a field with , or a line break is quoted, a " in it is doubled'
        message = f"{source.name}: the CSV cannot be followed in {where}"
        raise InputError(message, hint=hint) from error
    finally:
        source.close()


def text_lines(source: Source) -> Iterator[str]:
    """Give the lines with their ends. Raises InputError for bytes that are not UTF-8."""
    before = 0
    for block in source.line_blocks():
        try:
            text = block.decode()
        except UnicodeDecodeError as error:
            line = before + block.count(b"\n", 0, error.start) + 1
            message = f"{source.name}: line {line} is not UTF-8"
            raise InputError(message, hint="save the file as UTF-8") from error
        yield from io.StringIO(text, newline="")
        before += block.count(b"\n")


def checked(header: list[str], name: str) -> list[str]:
    """Give the header of the input `name`. Raises InputError where it does not name the columns."""
    if not header:
        raise no_rows(name)
    if empty := [str(place) for place, column in enumerate(header, 1) if not column.strip()]:
        message = f"{name}: the header has no name for column {', '.join(empty)}"
        raise InputError(message, hint="the first line must name every column")
    if double := [column for column, count in Counter(header).items() if count > 1]:
        message = f"{name}: the header names {', '.join(map(repr, double))} more than once"
        raise InputError(message, hint="give every column its own name")
    return header


def ragged(fields: list[str], header: list[str]) -> Problem:
    """Say how a row differs from the header."""
    found, width = len(fields), len(header)
    message = f"the row has {found} fields, the header {width}"
    if found > width:
        surplus = ", ".join(map(repr, fields[width:]))
        message += f"; too many: {surplus if len(surplus) <= 200 else surplus[:199] + '…'}"
    else:
        message += f"; missing: {', '.join(header[found:])}"
    return Problem("ragged row", "", message, "a field with a comma in it must be quoted")
