"""Rows beside their outcomes, out: a file appears whole or not at all."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from valar_batch.core.outcome import Outcome, output_names
from valar_batch.durable import replacing
from valar_batch.errors import UsageError
from valar_batch.formats.kept import text_column, to_columns, to_json_objects, to_text_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

OutputFormat: TypeAlias = Literal["parquet", "jsonl", "csv"]

SUFFIXES: dict[str, OutputFormat] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
}
FORMATS: dict[str, OutputFormat] = {name: name for name in SUFFIXES.values()}

PIECE_ROWS = 1_024
PIECE_BYTES = 8_000_000
"""Rows are turned into an output's form by pieces of this size, whatever a caller hands over."""

GROUP_ROWS = 65_536
GROUP_BYTES = 64_000_000
"""A row group of Parquet ends before the one or after the other."""

TYPES = {name: pa.string() for name in Outcome._fields} | {
    "input_tokens": pa.int64(),
    "cached_tokens": pa.int64(),
    "output_tokens": pa.int64(),
    "reasoning_tokens": pa.int64(),
    "cost_usd": pa.float64(),
    "attempts": pa.int32(),
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where an output goes and in which format; no path is the standard output."""

    path: Path | None
    format: OutputFormat


class Writer(Protocol):
    """Takes the rows of an output, in order."""

    def write(self, kept: pa.Array[Any], outcomes: Sequence[Outcome]) -> None:
        """Write rows beside their outcomes: both of one length."""


def output_target(text: str, output_format: str | None) -> Target:
    """Read `--to` and `--format`; `-` is the standard output. Raises UsageError."""
    chosen = FORMATS.get(output_format) if output_format else None
    if output_format and not chosen:
        message = f"--format {output_format}: there is no such output format"
        raise UsageError(message, hint=f"one of {', '.join(FORMATS)}")
    if text == "-":
        if chosen == "parquet":
            hint = "name a file, as in --to answers.parquet"
            raise UsageError("Parquet cannot be written to the standard output", hint=hint)
        return Target(None, chosen or "jsonl")
    path = Path(text)
    chosen = chosen or SUFFIXES.get(path.suffix.lower())
    if chosen is None:
        hint = f"end its name in {', '.join(SUFFIXES)}, or give --format {'|'.join(FORMATS)}"
        raise UsageError(f"{text}: the name does not say which format to write", hint=hint)
    if path.is_dir():
        raise UsageError(
            f"{text}: this is a folder",
            hint=f"name a file in it, as in {path / 'answers'}.{chosen}",
        )
    if not path.parent.is_dir():
        message = f"{text}: the folder {path.parent} does not exist"
        raise UsageError(message, hint=f"mkdir -p {path.parent}")
    return Target(path, chosen)


@contextlib.contextmanager
def open_output(
    target: Target,
    schema: pa.Schema,
    *,
    provenance: Mapping[str, str],
    custom_id_is_input: bool,
    mark: str | None = None,
) -> Iterator[Writer]:
    """Open an output for rows of `schema`: the input's columns, then the outcome's.

    `custom_id_is_input`: the input's own column custom_id is the outcome's, and is not repeated.
    `provenance` goes into Parquet's metadata, under `valar_batch.`. A file takes its place once it
    is complete and on the disk; after an error, whatever was there before is untouched. `mark`
    names the temporary file, as in `durable.replacing`.
    """
    names = added_names(schema, custom_id_is_input=custom_id_is_input)
    if target.path is None:
        stdout = sys.stdout.buffer
        yield text_writer(target.format, stdout, schema, names)
        stdout.flush()
        return
    with replacing(target.path, mark=mark) as aside:
        if target.format == "parquet":
            whole = parquet_schema(schema, names, provenance)
            with pq.ParquetWriter(aside, whole, compression="zstd") as file:
                writer = ParquetWriter(file, schema, names)
                yield writer
                writer.flush()
        else:
            with aside.open("wb") as stream:
                yield text_writer(target.format, stream, schema, names)


def added_names(schema: pa.Schema, *, custom_id_is_input: bool) -> dict[str, str]:
    """Name the columns that stand beside the input's: outcome field to output column."""
    names = output_names(schema.names)
    if custom_id_is_input and "custom_id" in schema.names:
        del names["custom_id"]
    return names


def text_writer(
    output_format: OutputFormat, stream: BinaryIO, schema: pa.Schema, names: dict[str, str]
) -> Writer:
    """Give the writer of a text format."""
    kind = CsvWriter if output_format == "csv" else JsonLinesWriter
    return kind(stream, schema, names)


def pieces(
    kept: pa.Array[Any], outcomes: Sequence[Outcome]
) -> Iterator[tuple[pa.Array[Any], Sequence[Outcome]]]:
    """Cut rows into pieces that are small whatever their number and length."""
    if len(kept) != len(outcomes):
        raise ValueError(f"{len(kept)} rows beside {len(outcomes)} outcomes")
    step = max(1, min(PIECE_ROWS, PIECE_BYTES * len(kept) // max(kept.nbytes, 1)))
    for start in range(0, len(kept), step):
        yield kept.slice(start, step), outcomes[start : start + step]


def outcome_columns(outcomes: Sequence[Outcome], names: dict[str, str]) -> list[pa.Array[Any]]:
    """Give the outcome's columns that are written."""
    columns = dict(zip(Outcome._fields, zip(*outcomes, strict=True), strict=True))
    return [pa.array(columns[name], TYPES[name]) for name in names]


def parquet_schema(
    schema: pa.Schema, names: dict[str, str], provenance: Mapping[str, str]
) -> pa.Schema:
    """Give the schema of a Parquet output, with its metadata."""
    added = [pa.field(column, TYPES[name]) for name, column in names.items()]
    metadata = {f"valar_batch.{key}": value for key, value in provenance.items()}
    return pa.schema([*schema, *added], metadata=metadata)


class ParquetWriter:
    """Writes Parquet in row groups of bounded size. `names`: outcome field to output column."""

    def __init__(
        self, file: pq.ParquetWriter | RowGroups, schema: pa.Schema, names: dict[str, str]
    ) -> None:
        self._file = file
        self._schema = schema
        self._names = names
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def write(self, kept: pa.Array[Any], outcomes: Sequence[Outcome]) -> None:
        """Take rows; they reach the file a row group at a time."""
        for rows, answers in pieces(kept, outcomes):
            if self._rows + len(rows) > GROUP_ROWS:
                self.flush()
            columns = to_columns(rows, self._schema) + outcome_columns(answers, self._names)
            batch = pa.RecordBatch.from_arrays(columns, schema=self._file.schema)
            self._batches.append(batch)
            self._rows += len(batch)
            self._bytes += batch.nbytes
            if self._bytes >= GROUP_BYTES:
                self.flush()

    def flush(self) -> None:
        """Write the rows at hand as a row group."""
        if self._batches:
            table = pa.Table.from_batches(self._batches)
            self._file.write_table(table, row_group_size=GROUP_ROWS)
        self._batches = []
        self._rows = self._bytes = 0


class RowGroups:
    """Takes row groups as a Parquet file does, and keeps them in memory."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.groups: list[pa.Table] = []

    def write_table(self, table: pa.Table, row_group_size: int) -> None:
        """Keep a row group, in one piece."""
        self.groups.append(table.combine_chunks())


class TableWriter(ParquetWriter):
    """Gives the rows that would be in a Parquet file as a table in memory."""

    def __init__(
        self, schema: pa.Schema, *, provenance: Mapping[str, str], custom_id_is_input: bool
    ) -> None:
        names = added_names(schema, custom_id_is_input=custom_id_is_input)
        self._kept = RowGroups(parquet_schema(schema, names, provenance))
        super().__init__(self._kept, schema, names)

    def table(self) -> pa.Table:
        """Give all that was written."""
        self.flush()
        return pa.concat_tables([self._kept.schema.empty_table(), *self._kept.groups])


class JsonLinesWriter:
    """Writes JSONL: the input's object as it is, the outcome's fields before its closing brace."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema, names: dict[str, str]) -> None:
        self._stream = stream
        self._schema = schema
        self._columns = [(Outcome._fields.index(name), column) for name, column in names.items()]

    def write(self, kept: pa.Array[Any], outcomes: Sequence[Outcome]) -> None:
        """Write a line per row."""
        for rows, answers in pieces(kept, outcomes):
            objects = to_json_objects(rows, self._schema)
            self._stream.write(b"".join(map(self._line, objects, answers)))

    def _line(self, row: bytes, outcome: Outcome) -> bytes:
        added = orjson.dumps({column: outcome[place] for place, column in self._columns})
        head = row[:-1]
        comma = b"" if head.rstrip() == b"{" else b","
        return b"%b%b%b\n" % (head, comma, added[1:])


class CsvWriter:
    """Writes CSV: null as an empty field, empty text as `""`, quotes only where they are needed."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema, names: dict[str, str]) -> None:
        self._stream = stream
        self._schema = schema
        self._names = names
        header = [pa.array([name]) for name in (*schema.names, *names.values())]
        self._stream.write(csv_lines(header))

    def write(self, kept: pa.Array[Any], outcomes: Sequence[Outcome]) -> None:
        """Write a record per row."""
        for rows, answers in pieces(kept, outcomes):
            added = map(text_column, outcome_columns(answers, self._names))
            self._stream.write(csv_lines([*to_text_columns(rows, self._schema), *added]))


def csv_lines(columns: Sequence[pa.Array[Any]]) -> pa.Buffer:
    """Write columns of text as records of RFC 4180, with `\\n` as line end."""
    large = pa.large_string()
    fields = [csv_fields(column.cast(large)) for column in columns]
    lines = pc.binary_join_element_wise(
        *fields, pa.scalar(",", large), null_handling="replace", null_replacement=""
    )
    ended = pc.binary_join_element_wise(lines, pa.scalar("", large), pa.scalar("\n", large))
    whole = pa.LargeListArray.from_arrays([0, len(ended)], ended)
    return pc.binary_join(whole, pa.scalar("", large))[0].as_buffer()


def csv_fields(column: pa.Array[Any]) -> pa.Array[Any]:
    """Quote the texts that need it."""
    quote = pa.scalar('"', column.type)
    bare = pa.scalar("", column.type)
    needed = pc.or_(pc.equal(column, bare), pc.match_substring_regex(column, '[",\r\n]'))
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise(quote, doubled, quote, bare), column)
