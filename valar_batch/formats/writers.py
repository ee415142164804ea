"""Rows beside their outcomes, out: a file appears whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from valar_batch.durable import replacing
from valar_batch.formats.targets import ROW_GROUP_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from valar_batch.formats.layout import Layout
    from valar_batch.formats.targets import Target

PIECE_ROWS = 1_024
PIECE_BYTES = 8_000_000
"""Rows are turned into an output's form by pieces of this size, whatever a caller hands over."""

GROUP_BYTES = 64_000_000
"""A row group of the usual size ends before this many bytes."""

GZIP_LEVEL = 6
ZSTD_LEVEL = 3


class Writer(Protocol):
    """Takes the rows of an output, in order."""

    def write(self, kept: pa.Array[Any], held: pa.RecordBatch) -> None:
        """Write rows beside their outcomes as a layout holds them: both of one length."""

    def finish(self) -> None:
        """Write what is held back; no more rows come."""


@contextlib.contextmanager
def open_output(
    target: Target,
    layout: Layout,
    *,
    provenance: Mapping[str, str],
    mark: str | None = None,
    beside: Path | None = None,
    on_whole: Callable[[Path], None] = lambda _: None,
) -> Iterator[Writer]:
    """Open an output: a file, or the standard output.

    `provenance` goes into the metadata of Parquet and Arrow, under `valar_batch.`. A file takes its
    place once it is complete and on the disk; after an error, whatever was there before is
    untouched. `mark` and `beside` say where it is until then, and `on_whole` is told when it is
    whole, as in `durable.replacing`.
    """
    with contextlib.ExitStack() as stack:
        if target.path is None:
            stream: BinaryIO = sys.stdout.buffer
            stack.callback(stream.flush)
        else:
            aside = stack.enter_context(
                replacing(target.path, mark=mark, beside=beside, on_whole=on_whole)
            )
            stream = stack.enter_context(aside.open("wb"))
        writer = WRITERS[target.format](stack, stream, layout, target, provenance)
        yield writer
        writer.finish()


def text_stream(stack: contextlib.ExitStack, stream: BinaryIO, compression: str) -> BinaryIO:
    """Give a stream that compresses into another; without a name and a time of its own."""
    if compression == "gzip":
        packed = gzip.GzipFile("", "wb", GZIP_LEVEL, stream, mtime=0)
        return cast("BinaryIO", stack.enter_context(packed))
    if compression == "zstd":
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
        return stack.enter_context(compressor.stream_writer(stream, closefd=False))
    return stream


def pieces(
    kept: pa.Array[Any], held: pa.RecordBatch
) -> Iterator[tuple[pa.Array[Any], pa.RecordBatch]]:
    """Cut rows into pieces that are small whatever their number and length."""
    if len(kept) != len(held):
        raise ValueError(f"{len(kept)} rows beside {len(held)} outcomes")
    step = max(1, min(PIECE_ROWS, PIECE_BYTES * len(kept) // max(kept.nbytes, 1)))
    for start in range(0, len(kept), step):
        yield kept.slice(start, step), held.slice(start, step)


def schema_with(layout: Layout, provenance: Mapping[str, str]) -> pa.Schema:
    """Give the schema of an output, with its metadata."""
    metadata = {f"valar_batch.{key}": value for key, value in provenance.items()}
    return layout.schema.with_metadata(metadata)


class ColumnWriter:
    """Writes record batches of bounded size: row groups of Parquet, record batches of Arrow."""

    def __init__(
        self,
        layout: Layout,
        schema: pa.Schema,
        group_rows: int | None,
        write_group: Callable[[pa.Table], None],
    ) -> None:
        self._layout = layout
        self._schema = schema
        self._group_rows = group_rows or ROW_GROUP_ROWS
        self._group_bytes = GROUP_BYTES if group_rows is None else None
        self._write_group = write_group
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def write(self, kept: pa.Array[Any], held: pa.RecordBatch) -> None:
        """Take rows; they reach the file a group at a time."""
        for rows, answers in pieces(kept, held):
            columns = self._layout.arrays(rows, answers)
            batch = pa.RecordBatch.from_arrays(columns, schema=self._schema)
            while len(batch):
                room = self._group_rows - self._rows
                self._hold(batch.slice(0, room))
                batch = batch.slice(room)
                if self._rows == self._group_rows:
                    self.finish()
            if self._group_bytes is not None and self._bytes >= self._group_bytes:
                self.finish()

    def _hold(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)
        self._rows += len(batch)
        self._bytes += batch.nbytes

    def finish(self) -> None:
        """Write the rows at hand as a group."""
        if self._batches:
            self._write_group(pa.Table.from_batches(self._batches))
        self._batches = []
        self._rows = self._bytes = 0


class OnThread:
    """Calls a function on a thread, one call at a time; the next call or the end raises its error.

    Arrow encodes and compresses without Python's lock, so the rows that follow are made meanwhile.
    """

    def __init__(self, write_group: Callable[[pa.Table], None]) -> None:
        self._write_group = write_group
        self._thread = ThreadPoolExecutor(1, "writer")
        self._under_way: Future[None] | None = None

    def __call__(self, table: pa.Table) -> None:
        """Hand over a group, once the one before it is written."""
        self._wait()
        self._under_way = self._thread.submit(self._write_group, table)

    def _wait(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._thread.shutdown()
        if kind is None:
            self._wait()


def parquet_writer(
    stack: contextlib.ExitStack,
    stream: BinaryIO,
    layout: Layout,
    target: Target,
    provenance: Mapping[str, str],
) -> Writer:
    """Give a writer of Parquet."""
    schema = schema_with(layout, provenance)
    file = stack.enter_context(pq.ParquetWriter(stream, schema, compression=target.compression))

    def write_group(table: pa.Table) -> None:
        file.write_table(table, row_group_size=len(table))

    aside = stack.enter_context(OnThread(write_group))
    return ColumnWriter(layout, schema, target.row_group_rows, aside)


def arrow_writer(
    stack: contextlib.ExitStack,
    stream: BinaryIO,
    layout: Layout,
    target: Target,
    provenance: Mapping[str, str],
) -> Writer:
    """Give a writer of Arrow: an IPC file, which is Feather V2; a stream on the standard output."""
    schema = schema_with(layout, provenance)
    compression = None if target.compression == "none" else target.compression
    options = pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_stream if target.path is None else pa.ipc.new_file
    file = stack.enter_context(new(stream, schema, options=options))

    def write_group(table: pa.Table) -> None:
        file.write_batch(table.combine_chunks().to_batches()[0])

    if target.path is None:  # a pipe may hold its writer up, and an interrupt must not wait for it
        return ColumnWriter(layout, schema, target.row_group_rows, write_group)
    aside = stack.enter_context(OnThread(write_group))
    return ColumnWriter(layout, schema, target.row_group_rows, aside)


def table_writer(
    layout: Layout, provenance: Mapping[str, str], keep: Callable[[pa.Table], None]
) -> Writer:
    """Give a writer that keeps a table in memory, group by group."""

    def write_group(table: pa.Table) -> None:
        keep(table.combine_chunks())

    return ColumnWriter(layout, schema_with(layout, provenance), None, write_group)


class TextWriter:
    """Writes text, perhaps compressed, as rows come."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        stream: BinaryIO,
        layout: Layout,
        target: Target,
        _provenance: Mapping[str, str],
    ) -> None:
        self._stream = text_stream(stack, stream, target.compression)
        self._layout = layout
        self._delimiter = "\t" if target.format == "tsv" else ","
        self._escapes = target.escape_formulas
        self._begin()

    def _begin(self) -> None:
        """Write what comes before the rows."""

    def finish(self) -> None:
        """Nothing is held back."""


class JsonLinesWriter(TextWriter):
    """Writes JSONL: the input's object as it is, the outcome's fields before its closing brace."""

    def write(self, kept: pa.Array[Any], held: pa.RecordBatch) -> None:
        """Write a line per row."""
        for rows, answers in pieces(kept, held):
            lines = [line + b"\n" for line in self._layout.objects(rows, answers)]
            self._stream.write(b"".join(lines))


class DelimitedWriter(TextWriter):
    """Writes CSV or TSV: null as an empty field, empty text as `""`, quotes where needed."""

    def _begin(self) -> None:
        self._put([pa.array([column.name], pa.string()) for column in self._layout.columns])

    def write(self, kept: pa.Array[Any], held: pa.RecordBatch) -> None:
        """Write a record per row."""
        for rows, answers in pieces(kept, held):
            self._put(self._layout.texts(rows, answers))

    def _put(self, columns: list[pa.Array[Any]]) -> None:
        if self._escapes:
            columns = list(map(without_formulas, columns))
        self._stream.write(delimited_lines(columns, self._delimiter))


FORMULA = r"^[=+\-@\t\r\n\x00]"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def without_formulas(column: pa.Array[Any]) -> pa.Array[Any]:
    """Put an apostrophe before text that a spreadsheet would take for a formula; not numbers.

    Source: OWASP, CSV Injection; OWASP ASVS 5, 1.2.10.
    """
    import pyarrow.compute as pc

    risky = pc.and_not(
        pc.match_substring_regex(column, FORMULA), pc.match_substring_regex(column, NUMBER)
    )
    mark, nothing = pa.scalar("'", column.type), pa.scalar("", column.type)
    return pc.if_else(risky, pc.binary_join_element_wise(mark, column, nothing), column)


def delimited_lines(columns: Sequence[pa.Array[Any]], delimiter: str) -> pa.Buffer:
    """Write columns of text as records of RFC 4180, with `\\n` as line end."""
    import pyarrow.compute as pc

    large = pa.large_string()
    fields = [quoted(column.cast(large), delimiter) for column in columns]
    lines = pc.binary_join_element_wise(
        *fields, pa.scalar(delimiter, large), null_handling="replace", null_replacement=""
    )
    ended = pc.binary_join_element_wise(lines, pa.scalar("", large), pa.scalar("\n", large))
    whole = pa.LargeListArray.from_arrays([0, len(ended)], ended)
    return pc.binary_join(whole, pa.scalar("", large))[0].as_buffer()


def quoted(column: pa.Array[Any], delimiter: str) -> pa.Array[Any]:
    """Quote the texts that need it."""
    import pyarrow.compute as pc

    quote = pa.scalar('"', column.type)
    bare = pa.scalar("", column.type)
    needed = pc.or_(pc.equal(column, bare), pc.match_substring_regex(column, f'["{delimiter}\r\n]'))
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise(quote, doubled, quote, bare), column)


WRITERS: Mapping[str, Callable[..., Writer]] = {
    "parquet": parquet_writer,
    "arrow": arrow_writer,
    "jsonl": JsonLinesWriter,
    "csv": DelimitedWriter,
    "tsv": DelimitedWriter,
}
