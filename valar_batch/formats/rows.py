"""What an input of rows gives, whatever its format, and how files of one format give it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from valar_batch.core.problems import FileRows, Problem
from valar_batch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import pyarrow as pa

CHUNK_ROWS = 1_000
CHUNK_BYTES = 8_000_000
"""A chunk ends at this many rows, or before that once it is this large: long rows, flat memory."""

FIELD_BYTES = 16
"""What a field counts beside its content, so that chunks of very many columns stay small."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of an input, all of one file.

    `first_row` is the number of the first row, counted from 1 over the whole input. `kept` is what
    the run folder keeps and `rows` the decoded values by column, or the Problem that a row is: both
    one entry per row. `lines` are the lines of the text file where the rows begin; None for what
    has no lines. Where the input is several files, `file` is the one that the rows are of, and
    `rows_before` counts the rows of the files before it.
    """

    first_row: int
    kept: pa.Array[Any]
    rows: Sequence[dict[str, Any] | Problem]
    lines: Sequence[int] | None
    file: str | None = None
    rows_before: int = 0

    def place(self, index: int) -> tuple[int, int | None, str | None]:
        """Say where a row is: its number in its file, its line, its file."""
        row = self.first_row - self.rows_before + index
        return row, self.lines[index] if self.lines is not None else None, self.file


class Piece(NamedTuple):
    """Consecutive rows of a file, as in a Chunk; the Problems in it are not placed yet."""

    kept: pa.Array[Any]
    rows: Sequence[dict[str, Any] | Problem]
    lines: Sequence[int] | None


class Part(Protocol):
    """A part of an input: a file, a pipe, or what is in memory.

    `name` is what errors call it, `label` what the problems of its rows call it; `path` is None
    for what is no file.
    """

    name: str
    label: str
    path: Path | None

    def hexdigest(self) -> str:
        """Give the SHA-256 of its bytes in hex, once all of it was read."""

    def close(self) -> None:
        """Let go of it, read or not."""


class Family(Protocol):
    """How the parts of an input are read that all have one format.

    `rows_may_differ`: there is no header, each row has its own columns. `nulls_are_absent`: the
    format has a null wherever a field is absent.
    """

    format: str
    rows_may_differ: bool
    nulls_are_absent: bool

    def columns(self) -> list[str]:
        """Name the columns that are known before the rows are read."""

    def pieces(self, part: Any, wanted: Collection[str] | None) -> Iterator[Piece]:
        """Give the rows of the next part. `wanted`: columns whose values are needed; None is all.

        Raises InputError where it cannot be read on, or does not go with the parts before it.
        """

    def schema(self) -> pa.Schema:
        """Give the settled schema of the input, once all rows were read."""


class Reader:
    """An input, read once from start to end. `notices` are what the user should know of it.

    `folder` is where the paths in the rows at hand begin: beside their file, or here.
    """

    def __init__(
        self, name: str, parts: Sequence[Part], family: Family, notices: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.notices = notices
        self.format = family.format
        self.rows_may_differ = family.rows_may_differ
        self.nulls_are_absent = family.nulls_are_absent
        self.folder = Path.cwd()
        self._parts = parts
        self._family = family
        self._digests: list[str] = []
        self._files: list[FileRows] = []

    def close(self) -> None:
        """Let go of everything that is open."""
        for part in self._parts:
            part.close()

    def columns(self) -> list[str]:
        """Name the columns that are known before the rows are read."""
        return self._family.columns()

    def chunks(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        """Give the rows, in order. `wanted` are the columns whose values are needed; None is all.

        Raises InputError where the input cannot be read on, or has no rows.
        """
        has_several, before = len(self._parts) > 1, 0
        for part in self._parts:
            file, rows = part.label if has_several else None, 0
            self.folder = Path.cwd() if part.path is None else part.path.absolute().parent
            for piece in self._family.pieces(part, wanted):
                yield Chunk(before + rows + 1, *piece, file, before)
                rows += len(piece.rows)
            self._digests.append(part.hexdigest())
            self._files.append(FileRows(part.label, rows))
            before += rows
        if not before:
            raise no_rows(self.name)

    def schema(self) -> pa.Schema:
        """Give the settled schema of the input, once all rows were read."""
        return self._family.schema()

    def digest(self) -> str:
        """Give the SHA-256 of the input's bytes in hex, once all rows were read.

        Of several files it is the SHA-256 of their digests, one after the other.
        """
        if len(self._digests) == 1:
            return self._digests[0]
        return hashlib.sha256("".join(self._digests).encode()).hexdigest()

    def files(self) -> list[FileRows]:
        """Count the rows of each file, once all rows were read; empty where there is only one."""
        return self._files if len(self._parts) > 1 else []


def no_rows(name: str) -> InputError:
    """Say that an input has nothing to send."""
    return InputError(f"{name}: there are no rows", hint="check that this is the right input")


def listed(names: Sequence[str], most: int = 10) -> str:
    """Name a few of many."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def check_same_columns(name: str, found: Sequence[str], first: str, columns: Sequence[str]) -> None:
    """Make sure that a part has the columns of the first. Raises InputError with what differs."""
    lacking = [column for column in columns if column not in set(found)]
    further = [column for column in found if column not in set(columns)]
    differences = (
        f"it lacks {listed(lacking)}" if lacking else "",
        f"it has also {listed(further)}" if further else "",
    )
    if lacking or further:
        what = "; ".join(filter(None, differences))
        message = f"{name}: its columns are not those of {first}: {what}"
        raise InputError(message, hint="files that are read as one input have the same columns")
