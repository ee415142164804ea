"""Parquet in: columns, kept as they are."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from valar_batch.errors import InputError
from valar_batch.formats.arrow_types import plain_type, python_values
from valar_batch.formats.rows import CHUNK_BYTES, CHUNK_ROWS, Chunk
from valar_batch.formats.source import no_rows, unreadable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from valar_batch.core.problems import Problem


class ParquetReader:
    """Reads a Parquet file, a part of a row group at a time.

    Dictionary columns are kept as their plain values, since an Arrow file takes one dictionary per
    column only; the schema remembers them, and an output has them again.
    """

    format = "parquet"

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
            self._schema = self._file.schema_arrow.remove_metadata()
        except OSError as error:
            raise unreadable(path, error) if error.errno else damaged(path, error) from error
        except pa.ArrowException as error:
            raise damaged(path, error) from error
        if double := [name for name, n in Counter(self._schema.names).items() if n > 1]:
            message = f"{path}: there is more than one column {', '.join(map(repr, double))}"
            raise InputError(message, hint="give every column its own name")
        if self._file.metadata.num_rows == 0 or not self._schema.names:
            raise no_rows(path)

    def columns(self) -> list[str]:
        """Name the file's columns."""
        return list(self._schema.names)

    def chunks(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        """Give the rows with the `wanted` columns."""
        names = [name for name in self._schema.names if wanted is None or name in wanted]
        kept_type = plain_type(pa.struct(list(self._schema)))
        first_row = 1
        try:
            for batch in self._file.iter_batches(batch_size=self._batch_size()):
                kept = batch.to_struct_array()
                if kept.type != kept_type:
                    kept = kept.cast(kept_type)
                yield Chunk(first_row, kept, rows_of(batch, names), None)
                first_row += len(batch)
        except (OSError, pa.ArrowException) as error:
            raise damaged(self._path, error) from error

    def schema(self) -> pa.Schema:
        """Give the file's columns and types."""
        return self._schema

    def digest(self) -> str:
        """Give the SHA-256 of the file, which is streamed for it."""
        with Path(self._path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def _batch_size(self) -> int:
        metadata = self._file.metadata
        groups = range(metadata.num_row_groups)
        size: int = sum(metadata.row_group(group).total_byte_size for group in groups)
        fitting: int = CHUNK_BYTES * metadata.num_rows // max(size, 1)
        return max(1, min(CHUNK_ROWS, fitting))


def rows_of(batch: pa.RecordBatch, names: list[str]) -> list[dict[str, Any] | Problem]:
    """Give the values of the named columns, row by row."""
    if not names:
        return [{} for _ in range(batch.num_rows)]
    columns = [python_values(batch.column(name)) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def damaged(path: str, error: Exception) -> InputError:
    """Say that a file is no sound Parquet file."""
    hint = "check that the file is complete and that it is Parquet"
    return InputError(f"{path}: cannot be read as Parquet: {error}", hint=hint)
