"""JSON objects in: one per line, or those of one array, each kept as its raw line."""

from __future__ import annotations

import re
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from valar_batch.core.nesting import DEEPEST, is_too_deep, without_strings
from valar_batch.core.problems import Problem
from valar_batch.core.template import decode_json
from valar_batch.formats.json_arrays import is_array, items_of
from valar_batch.formats.rows import CHUNK_BYTES, CHUNK_ROWS, Piece, no_rows
from valar_batch.formats.schema import Settling
from valar_batch.formats.source import BLANK, BOM, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

PEEK_CHUNKS = 16
"""How far to look for a first valid row before giving up: a bound on what is held in memory."""

HINT = 'each line must be one JSON object, as in {"review": "…"}'

NOT_JSON = re.compile(rb"NaN|-?Infinity")
HALF_PAIR = re.compile(
    rb"(?<!\\)\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB]..\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)


class JsonObjects:
    """Rows that are JSON objects, each with columns of its own; `read` gives those of a part."""

    rows_may_differ = True
    nulls_are_absent = False

    def __init__(
        self, parts: Sequence[Any], read: Callable[[Any], Iterator[Piece]], kind: str
    ) -> None:
        self.format = kind
        self._read = read
        self._settling = Settling()
        self._columns: list[str] = []
        self._begun: dict[Any, tuple[deque[Piece], Iterator[Piece]]] = {}
        left = PEEK_CHUNKS
        for part in parts:
            rows = read(part)
            peeked: deque[Piece] = deque()
            self._begun[part] = peeked, rows
            for piece in islice(rows, left):
                peeked.append(piece)
                first = next((row for row in piece.rows if row and isinstance(row, dict)), None)
                if first is not None:
                    self._columns = list(first)
                    return
            left -= len(peeked)
            if not left:
                return
        if left == PEEK_CHUNKS:
            raise no_rows(parts[0].name)

    def columns(self) -> list[str]:
        """Name the keys of the first object that has any."""
        return self._columns

    def pieces(self, part: Any, wanted: Collection[str] | None) -> Iterator[Piece]:
        """Give the rows with all their columns. A row that is no JSON object is a Problem."""
        begun = self._begun.pop(part) if part in self._begun else (deque[Piece](), self._read(part))
        peeked, rows = begun
        while peeked:
            yield self._settled(peeked.popleft())
        yield from map(self._settled, rows)

    def schema(self) -> pa.Schema:
        """Give a type for every key that any row has, in order of first appearance."""
        return self._settling.schema()

    def _settled(self, piece: Piece) -> Piece:
        self._settling.add([row for row in piece.rows if isinstance(row, dict)])
        return piece


def JsonLinesFiles(sources: Sequence[Source]) -> JsonObjects:  # noqa: N802
    """Read files of JSONL."""
    return JsonObjects(sources, read_lines, "jsonl")


def read_lines(source: Source) -> Iterator[Piece]:
    """Give the rows of a file of JSONL, or of one array; the reading goes on after a bad line."""
    items = items_of(source) if is_array(source.head()) else lines_of(source)
    for lines, numbers in grouped(items):
        yield piece_of(lines, numbers)


def line_end(block: bytes) -> int:
    """Say where the last line of a block ends."""
    return block.rfind(b"\n") + 1


def lines_of(source: Source) -> Iterator[tuple[bytes, int]]:
    """Give lines that are not blank, stripped, with their numbers."""
    begin = 1
    for block in source.line_blocks(line_end):
        for number, raw in enumerate(block.split(b"\n") if block.strip(BLANK) else (), begin):
            line = raw.strip(BLANK)
            if line:
                yield line, number
        begin += block.count(b"\n")


def grouped(items: Iterable[tuple[bytes, int]]) -> Iterator[tuple[list[bytes], list[int]]]:
    """Give lines with their numbers, a chunk's worth each."""
    lines: list[bytes] = []
    numbers: list[int] = []
    size = 0
    for line, number in items:
        lines.append(line)
        numbers.append(number)
        size += len(line)
        if len(lines) == CHUNK_ROWS or size >= CHUNK_BYTES:
            yield lines, numbers
            lines, numbers, size = [], [], 0
    if lines:
        yield lines, numbers


def piece_of(lines: Sequence[bytes | Problem], numbers: Sequence[int] | None) -> Piece:
    """Decode lines; one that is no object is a Problem, and nothing of it is kept."""
    kept: list[Any] = [*lines]
    rows: list[Any]
    try:
        rows = list(map(decode_json, kept))
        is_doubtful = any(map(is_too_deep, kept))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
        is_doubtful = True
    if is_doubtful:
        rows = list(map(decoded, lines))
    if set(map(type, rows)) != {dict}:
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                kept[i] = None
                rows[i] = problem_of(row)
    return Piece(pa.array(kept, pa.large_binary()), rows, numbers)


def decoded(line: bytes | Problem) -> Any:
    """Decode a line, or say why it cannot be decoded."""
    if isinstance(line, Problem):
        return line
    if is_too_deep(line):
        message = f"the JSON is nested too deeply: {DEEPEST} levels are the most"
        return Problem("bad JSON", "", message, HINT)
    try:
        return decode_json(line)
    except UnicodeDecodeError:
        hint = "save the file as UTF-8, or name its encoding, as in --encoding cp1252"
        return Problem("bad JSON", "", "the line is not UTF-8", hint)
    except msgspec.ValidationError:
        hint = "give a number of so many digits as text"
        return Problem("bad JSON", "", "a whole number has more than 4,300 digits", hint)
    except msgspec.DecodeError as error:
        reason, hint = what_is_wrong(line, error)
        return Problem("bad JSON", "", f"the line is not valid JSON: {reason}", hint)


def what_is_wrong(line: bytes, error: Exception) -> tuple[str, str]:
    """Say why a line is no JSON, and what to do: what other programs write, by its name."""
    if line.startswith(BOM):
        return "a byte order mark stands before it", "write the file without byte order marks"
    if found := NOT_JSON.search(without_strings(line)):
        return f"there is no {found[0].decode()} in JSON", "write null for what is no number"
    if found := HALF_PAIR.search(line):
        return f"{found[0].decode()} is half of a surrogate pair", "write the whole character"
    if b"\r" in line:
        return str(error), "a line ends in a line feed, not in a carriage return alone"
    return str(error), HINT


def problem_of(value: Any) -> Problem:
    """Say what a line is that is not an object."""
    if isinstance(value, Problem):
        return value
    if isinstance(value, list):
        hint = "jq -c '.[]' FILE writes an array's objects one per line"
        return Problem("bad JSON", "", "the line is an array, not a JSON object", hint)
    return Problem("bad JSON", "", "the line is a bare value, not a JSON object", HINT)
