"""What a reader of rows gives, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from valar_batch.core.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import pyarrow as pa

CHUNK_ROWS = 1_000
CHUNK_BYTES = 8_000_000
"""A chunk ends at this many rows, or before that once it is this large: long rows, flat memory."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of an input.

    `first_row` is the number of the first row, counted from 1. `kept` is what the run folder keeps
    and `rows` the decoded values by column, or the Problem that a row is: both one entry per row.
    `lines` are the lines of the text file where the rows begin; None for a file without lines.
    """

    first_row: int
    kept: pa.Array[Any]
    rows: Sequence[dict[str, Any] | Problem]
    lines: Sequence[int] | None


class Reader(Protocol):
    """An input, read once from start to end."""

    format: str

    def columns(self) -> list[str]:
        """Name the columns that are known before the rows are read."""

    def chunks(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        """Give the rows, in order. `wanted` are the columns whose values are needed; None is all.

        Raises InputError where the input cannot be read on, or has no rows.
        """

    def schema(self) -> pa.Schema:
        """Give the settled schema of the input, once all rows were read."""

    def digest(self) -> str:
        """Give the SHA-256 of the input's bytes in hex, once all rows were read."""
