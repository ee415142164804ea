"""Columns in: Parquet and Arrow files, every type and value kept as it is."""

from __future__ import annotations

import contextlib
import mmap
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from valar_batch.errors import InputError
from valar_batch.formats.arrow_types import (
    held_type,
    inner_types,
    is_held,
    kept_array,
    kept_type,
    python_values,
)
from valar_batch.formats.kept import encode
from valar_batch.formats.rows import CHUNK_BYTES, CHUNK_ROWS, Piece, no_rows
from valar_batch.formats.schema import JSON_TEXT, is_json_text
from valar_batch.formats.source import unreadable
from valar_batch.formats.unified import unify

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from valar_batch.core.problems import Problem
    from valar_batch.formats.source import Source

READ_AHEAD = 32 << 20
"""Bytes that reading a Parquet file may hold of it, for all columns together."""

MAPPED = 64 << 20
"""Bytes of a mapped file that may stay in memory after they were read."""

DAMAGE = (OSError, pa.ArrowException, UnicodeDecodeError)
"""What Arrow raises for a file that is not as it should be; names of columns may be no UTF-8."""

ARROW_FILE, FEATHER_1 = b"ARROW1", b"FEA1"


class ColumnarFiles(ABC):
    """Files of columns. Their schemas are compared before any row is read.

    Subclasses open a file: they give its schema and its batches, and raise whatever Arrow raises.
    """

    format: str
    rows_may_differ = False
    nulls_are_absent = True

    def __init__(self, sources: Sequence[Source]) -> None:
        self._single = None if opens_again(sources[0]) else sources[0]  # a pipe is read once
        self._stack = contextlib.ExitStack()
        schemas = []
        for source in sources:
            with contextlib.ExitStack() as files:
                schema, batches = self._opened(source, files)
                schemas.append(schema)
                if source is self._single:
                    self._batches, self._stack = batches, files.pop_all()
        self._schema = unify(schemas, [source.name for source in sources])

    def columns(self) -> list[str]:
        """Name the columns."""
        return list(self._schema.names)

    def schema(self) -> pa.Schema:
        """Give the columns and types that hold the rows of all files."""
        return self._schema

    def pieces(self, part: Source, wanted: Collection[str] | None) -> Iterator[Piece]:
        """Give the rows of a file with the `wanted` columns."""
        with self._stack if part is self._single else contextlib.ExitStack() as files:
            batches = self._batches if part is self._single else self._opened(part, files)[1]
            try:
                yield from map(Pieced(self._schema, wanted).piece, batches)
            except DAMAGE as error:
                raise self._damaged(part, error) from error

    def _opened(
        self, source: Source, files: contextlib.ExitStack
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        try:
            schema, batches = self._open(source, files)
            return held_schema(schema, source.name), batches
        except OSError as error:
            raise (
                unreadable(source.name, error) if error.errno else self._damaged(source, error)
            ) from error
        except DAMAGE as error:
            raise self._damaged(source, error) from error

    @abstractmethod
    def _open(
        self, source: Source, files: contextlib.ExitStack
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Open a file: its schema and its batches; `files` closes it."""

    def _damaged(self, source: Source, error: Exception) -> InputError:
        name = self.format.capitalize()
        hint = f"check that the file is complete and that it is {name}"
        return InputError(f"{source.name}: cannot be read as {name}: {error}", hint=hint)


class ParquetFiles(ColumnarFiles):
    """Reads Parquet, a part of a row group at a time."""

    format = "parquet"

    def _open(
        self, source: Source, files: contextlib.ExitStack
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        path = path_of(source, "Parquet")
        metadata = pq.read_metadata(path)
        ahead = max(4096, min(READ_AHEAD // max(metadata.num_columns, 1), 1 << 20))
        file = files.enter_context(
            pq.ParquetFile(path, metadata=metadata, buffer_size=ahead, pre_buffer=False)
        )
        return file.schema_arrow, file.iter_batches(batch_size=batch_rows(metadata))


class ArrowFiles(ColumnarFiles):
    """Reads Arrow IPC: files (Feather V2), which are mapped, and streams, also from a pipe."""

    format = "arrow"

    def _open(
        self, source: Source, files: contextlib.ExitStack
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        if source.begins_with(FEATHER_1):
            hint = (
                "write it again: pyarrow.feather.write_feather(pyarrow.feather.read_table(FILE), …)"
            )
            raise InputError(f"{source.name}: Feather version 1 is not read", hint=hint)
        is_file = source.begins_with(ARROW_FILE)
        if source.path is None or not opens_again(source):
            stream = source.stream()
            files.callback(source.close)
            if not stream.peek(1):
                raise no_rows(source.name)
            if is_file:
                stream.read(8)  # an Arrow file is a stream between its magic and its footer
            reader = files.enter_context(pa.ipc.open_stream(pa.PythonFile(stream, "r")))
            return reader.schema, self._piped(source, reader, is_file=is_file)
        is_empty = not source.stream().peek(1)
        source.rewind()
        if is_empty:
            raise no_rows(source.name)
        file = files.enter_context(source.path.open("rb"))
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if is_file:
            whole = files.enter_context(pa.ipc.open_file(pa.py_buffer(mapped)))
            batches = (whole.get_batch(number) for number in range(whole.num_record_batches))
            return whole.schema, released(sliced(batches), mapped)
        reader = files.enter_context(pa.ipc.open_stream(pa.py_buffer(mapped)))
        return reader.schema, released(sliced(reader), mapped)

    def _piped(
        self, source: Source, reader: pa.RecordBatchReader, *, is_file: bool
    ) -> Iterator[pa.RecordBatch]:
        yield from sliced(reader)
        stream, end = source.stream(), b""
        while block := stream.read(1 << 16):
            end = (end + block)[-len(ARROW_FILE) :]
        if is_file and end != ARROW_FILE:
            raise self._damaged(source, EOFError("it is cut off"))


def opens_again(source: Source) -> bool:
    """Whether a source can be opened again."""
    return source.path is not None and source.path.is_file()


def path_of(source: Source, name: str) -> Path:
    """Give the path of a file that is read from its end. Raises InputError for a pipe."""
    source.stream()  # raises what keeps it from being read
    path = source.path
    if path is None or not path.is_file():
        source.close()
        hint = f"write it to a file and name that: {name} is read from its end"
        raise InputError(f"{source.name}: {name} cannot be read from a pipe", hint=hint)
    source.rewind()
    return path


def batch_rows(metadata: pq.FileMetaData) -> int:
    """Say how many rows of a Parquet file to take at a time."""
    groups = range(metadata.num_row_groups)
    size: int = sum(metadata.row_group(group).total_byte_size for group in groups)
    fitting: int = CHUNK_BYTES * metadata.num_rows // max(size, 1)
    return max(1, min(CHUNK_ROWS, fitting))


def sliced(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut batches into small ones, without copying. Raises pa.ArrowInvalid."""
    for batch in batches:
        batch.validate()  # its size is read off places in it, which may point anywhere
        step = max(1, min(CHUNK_ROWS, CHUNK_BYTES * batch.num_rows // max(batch.nbytes, 1)))
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def released(batches: Iterator[pa.RecordBatch], mapped: mmap.mmap) -> Iterator[pa.RecordBatch]:
    """Give batches that lie in a mapped file, and let go of the memory of those before."""
    held = 0
    for batch in batches:
        yield batch
        held += batch.nbytes
        if held >= MAPPED and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)
            held = 0


def held_schema(schema: pa.Schema, name: str) -> pa.Schema:
    """Give the schema of the outputs. Raises InputError where there are no columns, or double."""
    if double := repeated(schema.names):
        message = f"{name}: there is more than one column {double}"
        raise InputError(message, hint="give every column its own name")
    for field in schema:
        if double := repeated_within(field.type):
            message = f"{name}, column {field.name!r}: a struct has more than one field {double}"
            raise InputError(message, hint="give every field of a struct its own name")
    if not schema.names:
        raise no_rows(name)
    return pa.schema(
        [
            field.with_type(held_type(field.type))
            if is_held(unrun(field.type))
            else pa.field(field.name, pa.string(), metadata=JSON_TEXT)
            for field in schema
        ]
    )


def repeated(names: Iterable[str]) -> str:
    """Name what occurs more than once."""
    return ", ".join(repr(name) for name, count in Counter(names).items() if count > 1)


def repeated_within(kind: pa.DataType) -> str:
    """Name the fields that a struct has more than once, in the first such struct of a type."""
    if pa.types.is_dictionary(kind):
        return repeated_within(kind.value_type)
    own = repeated(field.name for field in kind) if pa.types.is_struct(kind) else ""
    return own or next(filter(None, map(repeated_within, inner_types(kind))), "")


def unrun(kind: pa.DataType) -> pa.DataType:
    """Give the type of a column once its runs are values."""
    return kind.value_type if pa.types.is_run_end_encoded(kind) else kind


class Pieced:
    """Puts batches into pieces with the columns of `schema`; the `wanted` ones become values."""

    def __init__(self, schema: pa.Schema, wanted: Collection[str] | None) -> None:
        self._fields = [field.with_type(kept_type(field.type)) for field in schema]
        self._json = {field.name for field in schema if is_json_text(field)}
        self._wanted = {name for name in schema.names if wanted is None or name in wanted}
        self._dictionaries: dict[str, pa.Array[Any]] = {}

    def piece(self, batch: pa.RecordBatch) -> Piece:
        """Give the rows of a batch."""
        columns: list[pa.Array[Any]] = []
        values: dict[str, list[Any]] = {}
        for field in self._fields:
            name = field.name
            array = self._validated(batch.column(name), name)
            if name in self._json:
                found = array.to_pylist()
                texts = [None if value is None else encode(value) for value in found]
                columns.append(pa.array(texts, field.type))
            else:
                columns.append(kept_array(array, field.type))
                found = python_values(columns[-1]) if name in self._wanted else []
            if name in self._wanted:
                values[name] = found
        kept = pa.StructArray.from_arrays(columns, fields=self._fields)
        return Piece(kept, rows_of(values, batch.num_rows), None)

    def _validated(self, array: pa.Array[Any], name: str) -> pa.Array[Any]:
        """Validate a column, and a dictionary once for all batches that share it.

        That the indices lie in it is checked when they become its values.
        """
        if not pa.types.is_dictionary(array.type) or name in self._json:
            return validated(array, name)
        known, found = self._dictionaries.get(name), array.dictionary
        if known is None or places(known) != places(found):
            self._dictionaries[name] = validated(found, name)
        return array


def validated(array: pa.Array[Any], name: str) -> pa.Array[Any]:
    """Make sure that a column can be worked with: Arrow checks neither its text nor its places.

    Raises pa.ArrowInvalid.
    """
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise pa.ArrowInvalid(f"column {name!r}: {error}") from error
    return array


def places(array: pa.Array[Any]) -> list[int | None]:
    """Say where an array lies in memory."""
    return [buffer and buffer.address for buffer in array.buffers()] + [len(array), array.offset]


def rows_of(columns: dict[str, list[Any]], count: int) -> list[dict[str, Any] | Problem]:
    """Give values by column row by row."""
    if not columns:
        return [{} for _ in range(count)]
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
