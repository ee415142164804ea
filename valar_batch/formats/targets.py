"""Where an output goes and in which form: told by its name, else by options."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
)
COLUMN_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}
)
COMPRESSED: Mapping[str, str] = MappingProxyType({".gz": "gzip", ".zst": "zstd"})
COMPRESSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "parquet": ("zstd", "snappy", "gzip", "lz4", "brotli", "none"),
        "arrow": ("zstd", "lz4", "none"),
        "jsonl": ("none", "gzip", "zstd"),
        "csv": ("none", "gzip", "zstd"),
        "tsv": ("none", "gzip", "zstd"),
    }
)
"""The output formats, each with the compressions that it may have, its default first."""
FORMATS = tuple(COMPRESSIONS)

ROW_GROUP_ROWS = 65_536


class Form(Enum):
    """In which form an output takes values."""

    ARROW = "arrow"
    JSON = "json"
    TEXT = "text"


FORMS: Mapping[str, Form] = MappingProxyType(
    {"jsonl": Form.JSON, "csv": Form.TEXT, "tsv": Form.TEXT}
)
"""The forms of the formats that are not made of Arrow columns."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an output goes; no path is the standard output, or memory for a table.

    `is_folder`: one Parquet file for each batch, in the folder `path`. `row_group_rows` bounds a
    row group of Parquet and a record batch of Arrow; None is the usual bound, by rows and bytes.
    `escape_formulas`: text that a spreadsheet would compute gets an apostrophe before it.
    """

    path: Path | None
    format: str
    compression: str = "none"
    row_group_rows: int | None = None
    is_folder: bool = False
    escape_formulas: bool = False

    @property
    def form(self) -> Form:
        """In which form it takes values."""
        return FORMS.get(self.format, Form.ARROW)


TABLE = Target(None, "table")
"""A table in memory: what Python is given in place of a file."""


def output_target(
    text: str,
    output_format: str | None = None,
    compression: str | None = None,
    row_group_rows: int | None = None,
    *,
    escape_formulas: bool = False,
) -> Target:
    """Read `--to` and the options beside it; `-` is the standard output. Raises UsageError."""
    if output_format is not None and output_format not in FORMATS:
        message = f"--format {output_format}: there is no such output format"
        raise UsageError(message, hint=f"one of {', '.join(FORMATS)}")
    path = None if text == "-" else Path(text)
    is_folder = path is not None and (text.endswith(("/", os.sep)) or path.is_dir())
    told, packed = told_by_name(text)
    if is_folder:
        told, packed = "parquet", None
    chosen = output_format or told or ("jsonl" if path is None else None)
    if chosen is None:
        suffixes = ", ".join([*COLUMN_SUFFIXES, *TEXT_SUFFIXES])
        hint = f"end its name in {suffixes}, or in / for a folder, or give --format"
        raise UsageError(f"{text}: the name does not say which format to write", hint=hint)
    check(text, path, chosen, is_folder=is_folder)
    compression = compression or (packed if chosen in TEXT_SUFFIXES.values() else None)
    allowed = COMPRESSIONS[chosen]
    if compression is not None and compression not in allowed:
        message = f"--compression {compression}: {chosen} does not have it"
        raise UsageError(message, hint=f"one of {', '.join(allowed)}")
    if row_group_rows is not None and (row_group_rows < 1 or chosen not in ("parquet", "arrow")):
        message = f"--row-group-size {row_group_rows}: it is a number of rows in Parquet and Arrow"
        raise UsageError(message, hint="leave it out")
    if escape_formulas and chosen not in ("csv", "tsv"):
        message = f"--escape-formulas: it is for CSV and TSV, and {text} is {chosen}"
        raise UsageError(message, hint="leave it out: nothing computes what is in other formats")
    packing = compression or allowed[0]
    return Target(path, chosen, packing, row_group_rows, is_folder, escape_formulas)


def told_by_name(text: str) -> tuple[str | None, str | None]:
    """Give the format and the compression that a name tells."""
    suffixes = [suffix.lower() for suffix in Path(text).suffixes]
    packed = COMPRESSED.get(suffixes[-1]) if suffixes else None
    if packed is not None:
        return TEXT_SUFFIXES.get("".join(suffixes[-2:-1])), packed
    known = {**COLUMN_SUFFIXES, **TEXT_SUFFIXES}
    return known.get("".join(suffixes[-1:])), None


def check(text: str, path: Path | None, chosen: str, *, is_folder: bool) -> None:
    """Refuse a place where this format cannot be written."""
    if path is None:
        if chosen == "parquet":
            hint = "name a file, as in --to answers.parquet"
            raise UsageError("Parquet cannot be written to the standard output", hint=hint)
        return
    if is_folder and chosen != "parquet":
        hint = f"name a file in it, as in {path / 'answers'}.{chosen}"
        raise UsageError(f"{text}: a folder holds Parquet files, not {chosen}", hint=hint)
    if path.exists() and not (path.is_dir() or (path.is_file() and not is_folder)):
        what = "is a file, not a folder" if path.is_file() else "is no file"
        hint = "name another; - is the standard output"
        raise UsageError(f"{text}: what is there {what}", hint=hint)
    if not path.parent.is_dir():
        message = f"{text}: the folder {path.parent} does not exist"
        raise UsageError(message, hint=f"mkdir -p {path.parent}")
