"""CSV and TSV in: rows of text under a header, kept as the text that they are."""

from __future__ import annotations

import csv
import io
from collections import Counter
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from valar_batch.core.problems import Problem
from valar_batch.core.reading import Dialect, Reading, sniff
from valar_batch.errors import InputError
from valar_batch.formats.rows import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    FIELD_BYTES,
    Piece,
    check_same_columns,
    no_rows,
)
from valar_batch.formats.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

LONGEST_FIELD = 256_000_000
"""Characters: more than a request may have. Beyond, a quote was opened that never closes, and
following it would read the rest of the file into memory."""


class Begun(NamedTuple):
    """A file that was begun: its header, its records with their lines, its dialect."""

    header: list[str]
    records: Iterator[tuple[int, list[str]]]
    dialect: Dialect


class CsvFiles:
    """Reads CSV as in RFC 4180, with any line ends and with blank lines skipped.

    Every value is text; an empty field is empty text. A row with too few or too many fields is a
    Problem. Each file has the dialect that it shows, unless `reading` says it. Raises InputError
    for a header that names no columns, or one column twice, or other columns than the file before,
    and where quoting or encoding is broken, since where the next row begins cannot be known then.
    """

    rows_may_differ = False
    nulls_are_absent = False

    def __init__(self, sources: Sequence[Source], reading: Reading, kind: str) -> None:
        csv.field_size_limit(LONGEST_FIELD)
        self.format = kind
        self._reading = reading
        self._begun: dict[Source, Begun] = {}
        for source in sources:
            self._first = source.name
            begun = self._begun[source] = self._begin(source)
            self._header = begun.header
            if begun.header:
                break
        else:
            raise no_rows(sources[0].name)
        self._schema = pa.schema([(name, pa.string()) for name in self._header])

    def columns(self) -> list[str]:
        """Name the header's columns."""
        return list(self._header)

    def schema(self) -> pa.Schema:
        """Give the header's columns, all text."""
        return self._schema

    def pieces(self, part: Source, wanted: Collection[str] | None) -> Iterator[Piece]:
        """Give the rows of a file, with all columns in the order of the first file's."""
        begun = self._begun.pop(part, None) or self._begin(part)
        if not begun.header:
            return
        check_same_columns(part.name, begun.header, self._first, self._header)
        pieced = Pieced(begun, self._schema, wanted)
        rows: list[list[str]] = []
        lines: list[int] = []
        size = 0
        for line, fields in begun.records:
            rows.append(fields)
            lines.append(line)
            size += sum(map(len, fields)) + FIELD_BYTES * len(fields)
            if len(rows) == CHUNK_ROWS or size >= CHUNK_BYTES:
                yield pieced.piece(rows, lines)
                rows, lines, size = [], [], 0
        if rows:
            yield pieced.piece(rows, lines)

    def _begin(self, source: Source) -> Begun:
        """Read the header of a file; without rows and header it has none."""
        sample = source.head().decode(errors="ignore")
        dialect = sniff(sample, self._reading, is_whole=source.is_whole())
        rows = records(source, dialect)
        line, header = next(rows, (0, []))
        if header and not self._reading.has_header:
            rows = chain([(line, header)], rows)
            header = [f"column_{place}" for place in range(1, len(header) + 1)]
        return Begun(checked(header, source.name), rows, dialect)


class Pieced:
    """Puts the records of a file into pieces; fields of unlike order are put in that of `schema`.

    Only the `wanted` columns become values by column.
    """

    def __init__(self, begun: Begun, schema: pa.Schema, wanted: Collection[str] | None) -> None:
        self._header = header = begun.header
        self._schema = schema
        self._hint = ragged_hint(begun.dialect)
        self._order = [header.index(name) for name in schema.names]
        self._names = [name for name in header if wanted is None or name in wanted]
        self._values = picking([header.index(name) for name in self._names])

    def piece(self, records: list[list[str]], lines: list[int]) -> Piece:
        """Give the rows of these records."""
        header, width = self._header, len(self._header)
        texts: list[Sequence[str | None]] = [*records]
        ragged: dict[int, Problem] = {}
        if set(map(len, records)) != {width}:
            for i, found in enumerate(records):
                if len(found) != width:
                    ragged[i] = ragged_row(found, header, self._hint)
                    texts[i] = [*found[:width], *[None] * (width - len(found))]
        columns = list(zip(*texts, strict=True))
        arrays = [pa.array(columns[place], pa.string()) for place in self._order]
        kept = pa.StructArray.from_arrays(arrays, fields=list(self._schema))
        names, values = self._names, self._values
        rows: list[dict[str, Any] | Problem] = [
            dict(zip(names, values(fields), strict=True)) for fields in texts
        ]
        for i, problem in ragged.items():
            rows[i] = problem
        return Piece(kept, rows, lines)


def picking(places: list[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Give a function that picks the items at these places."""
    if len(places) == 1:
        place = places[0]
        return lambda items: (items[place],)
    return itemgetter(*places) if places else lambda _: ()


def records(source: Source, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Give the fields of the header and of each row, with the line where they begin.

    A line of white space is skipped, unless it can be the value of a file's only column.
    """
    reader = csv.reader(text_lines(source), **dialect.options())
    line, width = 1, 0
    try:
        for fields in reader:
            if fields and not (len(fields) == 1 != width and fields[0].isspace()):
                width = width or len(fields)
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        where = f"the row that begins in line {line}: {error}"
        quote = dialect.quote or '"'
        hint = (
            f"check its quotes: a field with {shown(dialect.delimiter)} or a line break is quoted, "
            f"a {quote} in it is doubled; where quotes are plain text, say --csv-quote none"
        )
        message = f"{source.name}: the CSV cannot be followed in {where}"
        raise InputError(message, hint=hint) from error
    finally:
        source.close()


def record_end(block: bytes) -> int:
    """Say where the last line of a block ends, with any line ends.

    A carriage return at the very end may have its line feed in the next block.
    """
    return block.rfind(b"\n") + 1 or block.rfind(b"\r", 0, -1) + 1


def text_lines(source: Source) -> Iterator[str]:
    """Give the lines with their ends. Raises InputError for bytes that are not UTF-8."""
    before = 0
    for block in source.line_blocks(record_end):
        try:
            text = block.decode()
        except UnicodeDecodeError as error:
            line = before + block.count(b"\n", 0, error.start) + 1
            message = f"{source.name}: line {line} is not UTF-8"
            hint = "save the file as UTF-8, or name its encoding, as in --encoding cp1252"
            raise InputError(message, hint=hint) from error
        yield from io.StringIO(text, newline="")
        before += block.count(b"\n")


def checked(header: list[str], name: str) -> list[str]:
    """Give the header of the input `name`. Raises InputError where it does not name the columns.

    One name may be empty: so pandas and R write an index, and so a header ends in a comma.
    """
    empty = [str(place) for place, column in enumerate(header, 1) if not column.strip()]
    if len(empty) > 1:
        message = f"{name}: the header has no name for column {', '.join(empty)}"
        raise InputError(message, hint="the first line must name the columns, or say --no-header")
    if double := [column for column, count in Counter(header).items() if count > 1]:
        message = f"{name}: the header names {', '.join(map(repr, double))} more than once"
        raise InputError(message, hint="give every column its own name")
    return header


def ragged_row(fields: list[str], header: list[str], hint: str) -> Problem:
    """Say how a row differs from the header."""
    found, width = len(fields), len(header)
    message = f"the row has {found} fields, the header {width}"
    if found > width:
        surplus = ", ".join(map(repr, fields[width:]))
        message += f"; too many: {surplus if len(surplus) <= 200 else surplus[:199] + '…'}"
    else:
        missing = ", ".join(header[found:])
        message += f"; missing: {missing if len(missing) <= 200 else missing[:199] + '…'}"
    return Problem("ragged row", "", message, hint)


def ragged_hint(dialect: Dialect) -> str:
    """Say what a row of another width may lack."""
    if dialect.delimiter == ",":
        return "a field with a comma in it must be quoted"
    return f"a field with {shown(dialect.delimiter)} in it must be quoted; --csv-delimiter names it"


def shown(delimiter: str) -> str:
    """Write a delimiter so that it can be seen."""
    return "a tab" if delimiter == "\t" else delimiter
