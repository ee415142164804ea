"""JSON objects in: one per line, or those of one array, each kept as its raw line."""

from __future__ import annotations

import re
from collections import deque
from itertools import chain, compress, islice
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

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

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError)
decode_plain = msgspec.json.Decoder().decode

PLAIN = frozenset({str, int, float, bool, NoneType})

NOT_JSON = re.compile(rb"NaN|-?Infinity")
HALF_PAIR = re.compile(
    rb"(?<!\\)\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB]..\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)


class Lines(NamedTuple):
    """The lines of consecutive rows, or the Problems that rows are; their numbers as in a Chunk."""

    lines: Sequence[bytes | Problem]
    numbers: Sequence[int] | None


class JsonObjects:
    """Rows that are JSON objects, each with columns of its own; `read` gives a part's lines."""

    rows_may_differ = True
    nulls_are_absent = False

    def __init__(
        self, parts: Sequence[Any], read: Callable[[Any], Iterator[Lines]], kind: str
    ) -> None:
        self.format = kind
        self._read = read
        self._settling = Settling()
        self._columns: list[str] = []
        self._are_plain = True
        self._begun: dict[Any, tuple[deque[Lines], Iterator[Lines]]] = {}
        left = PEEK_CHUNKS
        for part in parts:
            chunks = read(part)
            peeked: deque[Lines] = deque()
            self._begun[part] = peeked, chunks
            for chunk in islice(chunks, left):
                peeked.append(chunk)
                rows = map(decoded, chunk.lines)
                first = next((row for row in rows if row and isinstance(row, dict)), None)
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
        """Give the rows with all their columns. A row that is no JSON object is a Problem.

        Numbers of the `wanted` columns are exact, as `decode_json` gives them.
        """
        begun = self._begun.pop(part) if part in self._begun else (deque[Lines](), self._read(part))
        peeked, chunks = begun
        while peeked:
            yield self._piece(peeked.popleft(), wanted)
        for chunk in chunks:
            yield self._piece(chunk, wanted)

    def schema(self) -> pa.Schema:
        """Give a type for every key that any row has, in order of first appearance."""
        return self._settling.schema()

    def _piece(self, chunk: Lines, wanted: Collection[str] | None) -> Piece:
        kept: list[Any] = [*chunk.lines]
        plain = self._plain_rows(kept, wanted) if self._are_plain else None
        rows = exact_rows(kept) if plain is None else plain
        if plain is None:
            for i, row in enumerate(rows):
                if not isinstance(row, dict):
                    kept[i] = None
                    rows[i] = problem_of(row)
            plain = [row for row in rows if isinstance(row, dict)]
        self._settling.add(plain)
        return Piece(pa.array(kept, pa.large_binary()), rows, chunk.numbers)

    def _plain_rows(self, lines: list[Any], wanted: Collection[str] | None) -> list[Any] | None:
        """Decode lines of flat objects whose wanted values are no fractions; None for others.

        Only fractions have to be decoded exactly, and only what is nested may be nested too deeply.
        """
        try:
            rows = list(map(decode_plain, lines))
        except UNDECODABLE:
            return None
        if set(map(type, rows)) != {dict}:
            return None
        kinds = set(map(type, chain.from_iterable(map(dict.values, rows))))
        self._are_plain = kinds <= PLAIN and not (
            float in kinds and any(has_fractions(rows, name) for name in wanted or chain(*rows))
        )
        return rows if self._are_plain else None


def has_fractions(rows: Sequence[dict[str, Any]], name: str) -> bool:
    """Whether a column has values that are no whole numbers."""
    return float in {type(row.get(name)) for row in rows}


def JsonLinesFiles(sources: Sequence[Source]) -> JsonObjects:  # noqa: N802
    """Read files of JSONL."""
    return JsonObjects(sources, read_lines, "jsonl")


def read_lines(source: Source) -> Iterator[Lines]:
    """Give the rows of a file of JSONL, or of one array; the reading goes on after a bad line."""
    if is_array(source.head()):
        return grouped(([line], [number]) for line, number in items_of(source))
    return grouped(lines_of(source))


def line_end(block: bytes) -> int:
    """Say where the last line of a block ends."""
    return block.rfind(b"\n") + 1


def lines_of(source: Source) -> Iterator[tuple[list[bytes], Sequence[int]]]:
    """Give lines that are not blank, stripped, with their numbers."""
    begin = 1
    for block in source.line_blocks(line_end):
        end = begin + block.count(b"\n")
        if block.strip(BLANK):
            lines = [line.strip(BLANK) for line in block.removesuffix(b"\n").split(b"\n")]
            numbers: Sequence[int] = range(begin, begin + len(lines))
            if not all(lines):
                numbers = list(compress(numbers, lines))
                lines = list(filter(None, lines))
            yield lines, numbers
        begin = end


def grouped(found: Iterable[tuple[list[bytes], Sequence[int]]]) -> Iterator[Lines]:
    """Give lines with their numbers, a chunk's worth each."""
    lines: list[bytes] = []
    numbers: list[int] = []
    size = 0
    for more, places in found:
        lines += more
        numbers += places
        size += sum(map(len, more))
        while len(lines) >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield Lines(lines[:CHUNK_ROWS], numbers[:CHUNK_ROWS])
            del lines[:CHUNK_ROWS], numbers[:CHUNK_ROWS]
            size = sum(map(len, lines))
    if lines:
        yield Lines(lines, numbers)


def exact_rows(lines: Sequence[bytes | Problem]) -> list[Any]:
    """Decode lines with every number exact; a Problem for one that cannot be decoded."""
    given: Sequence[Any] = lines
    try:
        rows = list(map(decode_json, given))
        is_doubtful = any(map(is_too_deep, given))
    except UNDECODABLE:
        is_doubtful = True
    return list(map(decoded, lines)) if is_doubtful else rows


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
