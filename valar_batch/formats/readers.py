"""Which reader an input needs: what it is, which files it has, and which format they are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from valar_batch.core.checks import article
from valar_batch.core.reading import Dialect, Reading, sniff
from valar_batch.errors import InputError, UsageError
from valar_batch.formats.arrow_files import ArrowFiles, ParquetFiles
from valar_batch.formats.delimited import CsvFiles
from valar_batch.formats.found import find, told_by_name
from valar_batch.formats.in_memory import TableRows, dict_rows
from valar_batch.formats.json_arrays import is_array
from valar_batch.formats.json_lines import JsonLinesFiles
from valar_batch.formats.rows import Chunk, Family, Reader, listed, no_rows
from valar_batch.formats.source import BLANK, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["INPUT_FORMATS", "Chunk", "Reader", "open_input"]

INPUT_FORMATS = ("jsonl", "csv", "tsv", "parquet", "arrow")
BINARY_FORMATS = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"FEA1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
}
"""By the bytes that such files begin with; Arrow's are those of a file, of Feather V1, a stream."""

CHOICES = f"say what it is with --input-format {'|'.join(INPUT_FORMATS)}"
AS_TOLD = Reading()


def open_input(
    given: object, reading: Reading = AS_TOLD, *, stdin: BinaryIO | None = None
) -> Reader:
    """Open an input for reading.

    A string or path is a file, a folder, a pattern of files, or `-` for standard input. Anything
    else is rows in memory: a frame or table that Arrow understands, or an iterable of dicts, which
    is consumed once. The format is `reading.format`, else told by the name's suffix, else by the
    content. Raises InputError for what cannot be read as that, UsageError for what is no input.
    """
    if reading.format is not None and reading.format not in INPUT_FORMATS:
        message = f"--input-format {reading.format}: there is no such format"
        raise UsageError(message, hint=f"one of {', '.join(INPUT_FORMATS)}")
    if not isinstance(given, str | os.PathLike):
        return in_memory(given)
    name = os.fspath(given)
    notices: list[str] = []
    if name == "-":
        pipe = stdin or sys.stdin.buffer
        sources = [Source("standard input", pipe=pipe, encoding=reading.encoding)]
    else:
        files, left_out = find(name, any_name=reading.format is not None)
        sources = [Source(path, label, encoding=reading.encoding) for path, label in files]
        if left_out:
            notices.append(f"{name}: left out, as their names tell no format: {listed(left_out)}")
    try:
        family = family_of(name, sources, reading)
    except InputError:
        for source in sources:
            source.close()
        raise
    return Reader(sources[0].name if len(sources) == 1 else name, sources, family, notices)


def in_memory(given: object) -> Reader:
    """Open rows that are in memory."""
    table = TableRows.of(given)
    if table is not None:
        return Reader(table.name, [table], table)
    if isinstance(given, Iterable) and not isinstance(given, Mapping | bytes | bytearray):
        part, family = dict_rows(given)
        return Reader(part.name, [part], family)
    kind = type(given).__name__
    message = f"the input is {article(kind)}, which gives no rows"
    raise UsageError(message, hint="give a path, a table or frame, or an iterable of dicts")


def family_of(name: str, sources: Sequence[Source], reading: Reading) -> Family:
    """Give the reader of the one format that all sources have."""
    formats = {source.label: format_of(source, reading) for source in sources}
    found = sorted(set(formats.values()))
    if len(found) > 1:
        examples = {kind: label for label, kind in reversed(formats.items())}
        kinds = ", ".join(f"{kind} (as {examples[kind]})" for kind in found)
        message = f"{name}: the files are of more than one format: {kinds}"
        pattern = Path(name if Path(name).is_dir() else "") / f"*{Path(examples[found[0]]).suffix}"
        hint = f"choose those of one with a pattern, as in '{pattern}'"
        raise InputError(message, hint=hint)
    (kind,) = found
    if kind not in ("csv", "tsv") and (options := reading.csv_options()):
        message = f"{', '.join(options)}: this is for CSV, and {name} is read as {kind}"
        raise UsageError(message, hint="leave it out, or say --input-format csv")
    if kind == "parquet":
        return ParquetFiles(sources)
    if kind == "arrow":
        return ArrowFiles(sources)
    if kind == "jsonl":
        return JsonLinesFiles(sources)
    if kind == "tsv" and reading.delimiter is None:
        reading = replace(reading, delimiter="\t")
    return CsvFiles(sources, reading, kind)


def format_of(source: Source, reading: Reading) -> str:
    """Tell the format of a source. Raises InputError where nothing tells."""
    found = reading.format
    if found is None and source.path is not None:
        found = told_by_name(source.name)
    if found is None:
        found = told_by_bytes(source) or told_by_text(source, reading)
        if source.path is not None and source.path.is_file():
            source.rewind()
    if found in BINARY_FORMATS.values() and source.compression():
        message = f"{source.name}: Parquet and Arrow files are not read from .gz or .zst"
        raise InputError(message, hint="unpack it: they are compressed inside")
    return found


def told_by_bytes(source: Source) -> str | None:
    """Tell a binary format by its first bytes."""
    return next((kind for m, kind in BINARY_FORMATS.items() if source.begins_with(m)), None)


def told_by_text(source: Source, reading: Reading) -> str:
    """Tell a text format: a brace or an array begins JSON, a header of several columns CSV or TSV.

    Standard input whose first line does not tell is CSV.
    """
    head = source.head()
    if not head:
        raise no_rows(source.name)
    text = head.lstrip(BLANK)
    if text.startswith(b"{") or is_array(text):
        return "jsonl"
    first_line = text.partition(b"\n")[0].decode(errors="ignore")
    dialect = sniff(head.decode(errors="ignore"), reading, is_whole=False)
    if "\0" not in first_line and dialect.delimiter in first_line:
        return "tsv" if dialect == Dialect("\t") and reading.delimiter is None else "csv"
    if source.path is None:
        return "csv"
    message = f"{source.name}: neither name nor content says what it is"
    raise InputError(message, hint=CHOICES)
