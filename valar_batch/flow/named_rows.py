"""Rows that a file names by their custom_ids: found in memory of a byte for each row and id."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from valar_batch.core.rules import CUSTOM_ID
from valar_batch.errors import InputError
from valar_batch.formats.layout import free_name
from valar_batch.formats.readers import open_input
from valar_batch.formats.rows import no_rows
from valar_batch.formats.source import BOM, unreadable
from valar_batch.runs.id_index import IdIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from valar_batch.runs.run import Run

SHOWN_IDS = 3


def named_rows(run: Run, path: Path, folder: Path) -> bytearray:
    """Give a byte for each row number of a run, 1 where the file at `path` names the row.

    The file is text with a custom_id on each line, or rows with a column of them, such as an
    output that was filtered. What does not fit in memory goes to `folder` meanwhile. Raises
    InputError for ids that the run does not have.
    """
    total = run.record.totals.rows
    index = IdIndex(folder)
    try:
        for number, custom_id in ids_of_run(run):
            index.add(custom_id, number)
        count = 0
        for count, custom_id in enumerate(read_ids(run, path), 1):
            index.add(custom_id, total + count)
        if not count:
            raise no_rows(str(path))
        named, known = bytearray(total + 1), bytearray(count + 1)
        for number, first in index.duplicates():
            if number > total >= first:
                named[first] = known[number - total] = 1
    finally:
        index.remove()
    strangers = (i for i, custom_id in enumerate(read_ids(run, path), 1) if not known[i])
    if (unknown := count - known.count(1)) > 0:
        places = set(islice(strangers, SHOWN_IDS))
        ids = [repr(i) for n, i in enumerate(read_ids(run, path), 1) if n in places]
        more = ", …" if unknown > len(ids) else ""
        raise InputError(
            f"{path} names {unknown:,} {'custom_id' if unknown == 1 else 'custom_ids'} that "
            f"{run.id} does not have: "
            f"{', '.join(ids)}{more}",
            hint="custom_ids are those in the column custom_id of the run's own output",
        )
    return named


def ids_of_run(run: Run) -> Iterator[tuple[int, str]]:
    """Give the row numbers and ids of a run: rows with a request first, so that these count."""
    for is_sent in (True, False):
        if not is_sent and not run.record.totals.invalid:
            return
        for batch in run.batches:
            for rows in batch.row_keys():
                mask = rows["problem"].is_null() if is_sent else rows["problem"].is_valid()
                part = rows.filter(mask)
                for number, custom_id in zip(
                    part["row"].to_pylist(), part["custom_id"].to_pylist(), strict=True
                ):
                    if custom_id is not None:
                        yield number, custom_id


def read_ids(run: Run, path: Path) -> Iterator[str]:
    """Give the custom_ids that a file names, in order. Raises InputError."""
    if is_plain_list(path):
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            yield from filter(None, map(str.strip, lines))
        return
    reader = open_input(str(path))
    columns = reader.columns()
    taken = () if run.record.custom_id_is_input else run.record.schema.names
    names = (free_name("custom_id", taken, "valar_"), "custom_id")
    name = next((name for name in names if name in columns), None)
    if name is None:
        raise InputError(
            f"{path}: there is no column {names[0]!r}; it has: {', '.join(columns[:50])}",
            hint="give a filtered output, or a text file with a custom_id on each line",
        )
    for chunk in reader.chunks({name}):
        for row, values in enumerate(chunk.rows, chunk.first_row):
            value = values.get(name) if isinstance(values, dict) else values
            if isinstance(value, str):
                if value:
                    yield value
            elif value is not None:
                raise InputError(f"{path} row {row}: {name} is not text", hint="give custom_ids")


def is_plain_list(path: Path) -> bool:
    """Whether a file begins with a bare custom_id, and not with a header or anything else."""
    try:
        with path.open("rb") as file:
            first = file.read(1024).removeprefix(BOM).lstrip().partition(b"\n")[0].strip()
    except OSError as error:
        raise unreadable(str(path), error) from error
    text = first.decode("utf-8", "replace")
    return bool(CUSTOM_ID.fullmatch(text)) and text.replace("valar_", "") != "custom_id"
