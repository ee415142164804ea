"""Rows in memory: tables and frames by way of Arrow, iterables of dicts by way of JSON lines."""

from __future__ import annotations

import datetime
import hashlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pyarrow as pa

from valar_batch.core.problems import Problem
from valar_batch.errors import InputError
from valar_batch.formats.arrow_files import Pieced, held_schema, sliced
from valar_batch.formats.json_lines import JsonObjects, Lines
from valar_batch.formats.rows import CHUNK_BYTES, CHUNK_ROWS, Piece

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

TABLE, ROWS = "table", "rows"
"""What tables and iterables of rows are called in messages and records: never an absolute path."""


class TableRows:
    """A table, frame or stream that Arrow understands: the only part of its input."""

    name = label = format = TABLE
    path: Path | None = None
    rows_may_differ = False
    nulls_are_absent = True

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader
        self._schema = held_schema(reader.schema, TABLE)
        self._digest = hashlib.sha256()

    @classmethod
    def of(cls, given: Any) -> TableRows | None:
        """Take an object for a table; None where it is none. A pandas frame's index is left out."""
        pandas = sys.modules.get("pandas")
        try:
            if pandas is not None and isinstance(given, pandas.DataFrame):
                given = pa.Table.from_pandas(given, preserve_index=False)
            if hasattr(given, "__arrow_c_stream__"):
                return cls(pa.RecordBatchReader.from_stream(given))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise unfit(error) from error
        return None

    def columns(self) -> list[str]:
        """Name the columns."""
        return list(self._schema.names)

    def schema(self) -> pa.Schema:
        """Give the columns and types."""
        return self._schema

    def pieces(self, part: object, wanted: Collection[str] | None) -> Iterator[Piece]:
        """Give the rows with the `wanted` columns."""
        try:
            for piece in map(Pieced(self._schema, wanted).piece, sliced(self._reader)):
                kept = pa.RecordBatch.from_struct_array(piece.kept)
                self._digest.update(kept.serialize())
                yield piece
        except (OSError, pa.ArrowException) as error:
            raise unfit(error) from error

    def hexdigest(self) -> str:
        """Give the SHA-256 of the rows as they are kept."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Nothing is open."""


def unfit(error: Exception) -> InputError:
    """Say that a table cannot be read."""
    hint = "give its columns one type each"
    return InputError(f"{TABLE}: Arrow cannot take its columns: {error}", hint=hint)


class DictRows:
    """Rows given one by one, in any number: the only part of its input."""

    name = label = ROWS
    path: Path | None = None

    def __init__(self, rows: Iterable[object]) -> None:
        self._rows = rows
        self._digest = hashlib.sha256()

    def chunks(self) -> Iterator[Lines]:
        """Give the rows, each as the line of JSON that it would be."""
        lines: list[bytes | Problem] = []
        size = 0
        for row in self._rows:
            line = json_line(row)
            lines.append(line)
            if isinstance(line, bytes):
                self._digest.update(line)
                size += len(line)
            self._digest.update(b"\n")
            if len(lines) == CHUNK_ROWS or size >= CHUNK_BYTES:
                yield Lines(lines, None)
                lines, size = [], 0
        if lines:
            yield Lines(lines, None)

    def hexdigest(self) -> str:
        """Give the SHA-256 of the lines."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Nothing is open."""


def dict_rows(rows: Iterable[object]) -> tuple[DictRows, JsonObjects]:
    """Take an iterable for rows, with what reads it."""
    part = DictRows(rows)
    return part, JsonObjects([part], DictRows.chunks, ROWS)


def builtin(value: Any) -> Any:
    """Give what JSON has a form for; the times of pandas say themselves what they are."""
    if isinstance(value, datetime.date):
        return value.isoformat() if value == value else None  # noqa: PLR0124 - not a time
    return msgspec.to_builtins(value)


def json_line(row: object) -> bytes | Problem:
    """Write a row as a line of JSON, or say why it cannot be one.

    Dates and times are ISO text, UUIDs and decimals text, bytes base64, NaN is null, numpy's
    scalars and arrays are what they hold.
    """
    if not isinstance(row, Mapping):
        kind = type(row).__name__
        hint = "give dicts, as in {'review': '…'}"
        return Problem("not a row", "", f"the row is a {kind}, not a dict", hint)
    try:
        return orjson.dumps(dict(row), default=builtin, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        try:
            return msgspec.json.encode(dict(row))
        except (TypeError, ValueError, RecursionError):
            hint = "give text, numbers, lists and dicts"
            message = f"the row cannot be JSON: {error.__cause__ or error}"
            return Problem("not JSON", "", message, hint)
