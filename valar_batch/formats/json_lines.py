"""JSONL in: one JSON object per line, each kept as its raw line."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from valar_batch.core.problems import Problem
from valar_batch.core.template import decode_json
from valar_batch.formats.rows import CHUNK_BYTES, CHUNK_ROWS, Chunk
from valar_batch.formats.schema import Settling
from valar_batch.formats.source import BLANK, Source, no_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

PEEK_CHUNKS = 16
"""How far to look for a first valid row before giving up: a bound on what is held in memory."""

HINT = 'each line must be one JSON object, as in {"review": "…"}'


class JsonLinesReader:
    """Reads JSONL. A line that is not a JSON object is a Problem, and the reading goes on."""

    format = "jsonl"

    def __init__(self, source: Source) -> None:
        self._source = source
        self._settling = Settling()
        self._unread = read(source, self._settling)
        self._peeked: list[Chunk] = []
        self._columns: list[str] = []
        for chunk in islice(self._unread, PEEK_CHUNKS):
            self._peeked.append(chunk)
            first = next((row for row in chunk.rows if row and isinstance(row, dict)), None)
            if first is not None:
                self._columns = list(first)
                break

    def columns(self) -> list[str]:
        """Name the keys of the first object that has any."""
        return self._columns

    def chunks(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        """Give the rows with all their columns."""
        while self._peeked:
            yield self._peeked.pop(0)
        yield from self._unread

    def schema(self) -> pa.Schema:
        """Give a type for every key that any row has, in order of first appearance."""
        return self._settling.schema()

    def digest(self) -> str:
        """Give the SHA-256 of the bytes."""
        return self._source.hexdigest()


def read(source: Source, settling: Settling) -> Iterator[Chunk]:
    """Give the rows in chunks, and take their columns into `settling`."""
    first_row = 1
    for lines, numbers in grouped(source):
        chunk = chunk_of(first_row, lines, numbers)
        settling.add([row for row in chunk.rows if isinstance(row, dict)])
        first_row += len(lines)
        yield chunk
    if first_row == 1:
        raise no_rows(source.name)


def grouped(source: Source) -> Iterator[tuple[list[bytes], list[int]]]:
    """Give lines that are not blank, stripped, with their numbers: a chunk's worth each."""
    lines: list[bytes] = []
    numbers: list[int] = []
    size, begin = 0, 1
    for block in source.line_blocks():
        for number, raw in enumerate(block.split(b"\n"), begin):
            line = raw.strip(BLANK)
            if not line:
                continue
            lines.append(line)
            numbers.append(number)
            size += len(line)
            if len(lines) == CHUNK_ROWS or size >= CHUNK_BYTES:
                yield lines, numbers
                lines, numbers, size = [], [], 0
        begin += block.count(b"\n")
    if lines:
        yield lines, numbers


def chunk_of(first_row: int, lines: list[bytes], numbers: list[int]) -> Chunk:
    """Decode lines; one that is no object is a Problem, and nothing of it is kept."""
    kept: list[bytes | None] = [*lines]
    rows: list[Any]
    try:
        rows = list(map(decode_json, lines))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        rows = list(map(decoded, lines))
    if set(map(type, rows)) != {dict}:
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                kept[i] = None
                rows[i] = problem_of(row).at(first_row + i, numbers[i])
    return Chunk(first_row, pa.array(kept, pa.large_binary()), rows, numbers)


def decoded(line: bytes) -> Any:
    """Decode a line, or say why it cannot be decoded."""
    try:
        return decode_json(line)
    except UnicodeDecodeError:
        return Problem("bad JSON", "", "the line is not UTF-8", "save the file as UTF-8")
    except msgspec.DecodeError as error:
        return Problem("bad JSON", "", f"the line is not valid JSON: {error}", HINT)
    except RecursionError:
        return Problem("bad JSON", "", "the JSON is nested too deeply", HINT)


def problem_of(value: Any) -> Problem:
    """Say what a line is that is not an object."""
    if isinstance(value, Problem):
        return value
    if isinstance(value, list):
        hint = "jq -c '.[]' FILE writes an array's objects one per line"
        return Problem("bad JSON", "", "the line is an array, not a JSON object", hint)
    return Problem("bad JSON", "", "the line is a bare value, not a JSON object", HINT)
