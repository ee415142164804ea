"""Batches that were not sent from here: their answers, and the rows of an input around them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from valar_batch.core.identity import custom_id_for_row, custom_id_for_value, foreign_name
from valar_batch.core.pack import Limits
from valar_batch.core.prices import shipped_prices
from valar_batch.core.problems import Problem, place_of, row_name
from valar_batch.core.reading import Reading
from valar_batch.core.recipe import Recipe, Source
from valar_batch.core.rules import CUSTOM_ID
from valar_batch.core.template import text_of
from valar_batch.errors import InputError, NotFound, StateError
from valar_batch.flow.events import Notice
from valar_batch.flow.remote import statuses
from valar_batch.formats.readers import open_input
from valar_batch.runs.batch import rows_writer, write_sent_batch
from valar_batch.runs.draft import Draft, rows_schema
from valar_batch.runs.id_index import IdIndex
from valar_batch.runs.part import WithRows
from valar_batch.runs.records import (
    InputRecord,
    RunRecord,
    Totals,
    encode_schema,
    freeze_prices,
)
from valar_batch.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from valar_batch.client.api import Valar
    from valar_batch.core.problems import FileRows
    from valar_batch.core.wire import BatchStatus
    from valar_batch.flow.events import Reporter
    from valar_batch.formats.rows import Chunk, Reader
    from valar_batch.runs.home import Home

MODE = "foreign"


def known_foreign(home: Home, target: str, batch_id: str) -> Run | None:
    """Find a batch from elsewhere whose folder is here."""
    path = home.runs_path / foreign_name(target, batch_id)
    return Run(path) if path.exists() else None


def take_foreign(home: Home, target: str, batch_id: str, valar: Valar) -> Run:
    """Make the folder in which the answers of a batch from elsewhere are kept.

    Raises StateError where the target has no such batch.
    """
    import pyarrow as pa

    try:
        for status in statuses(batch_id, valar):
            if len(status.request_status) == status.request_counts:
                break
    except NotFound as error:
        raise StateError(
            f"no run {batch_id!r} in {home.path}, and no such batch at {target} with this key",
            hint="`valar-batch list` shows the runs here, `valar-batch list --remote` the batches "
            "at Valar",
        ) from error
    ids = list(status.request_status)
    if not ids or len(ids) != status.request_counts or not all(map(CUSTOM_ID.fullmatch, ids)):
        raise StateError(f"Valar does not name the requests of {batch_id} as it should")
    kept = pa.StructArray.from_arrays([pa.array(ids, pa.string())], ["custom_id"])
    rows = rows_around(1, ids, [None] * len(ids), kept)
    with Draft(home) as draft:
        write_sent_batch(draft.path / "batches" / "00000", status, 1, 0, [rows], of=1)
        record = foreign_record(target, batch_id, status, pa.schema(kept.type))
        return draft.commit(foreign_name(target, batch_id), record)


def foreign_record(target: str, batch_id: str, status: BatchStatus, schema: pa.Schema) -> RunRecord:
    """Say what a batch from elsewhere is; its models are told by its answers."""
    table, recipe, count = shipped_prices(), Recipe(), len(status.request_status)
    return RunRecord(
        digest=foreign_name(target, batch_id),
        generation=1,
        name=batch_id,
        target=target,
        mode=MODE,
        created_at=float(status.created_at),
        recipe=recipe,
        recipe_digest=recipe.digest(),
        source=Source.ITEM,
        input=InputRecord("", "batch", ""),
        arrow_schema=encode_schema(schema),
        custom_id_is_input=True,
        limits=Limits(),
        prices_date=table.date,
        prices=freeze_prices(table),
        totals=Totals(rows=count, requests=count, batches=1),
    )


def rows_around(
    first_row: int, ids: list[str | None] | list[str], problems: list[str | None], kept: Any
) -> pa.RecordBatch:
    """Put rows into the form of `draft.rows_schema`, without hashes."""
    import pyarrow as pa

    columns = [
        pa.array(range(first_row, first_row + len(ids)), pa.int64()),
        pa.array(ids, pa.string()),
        pa.nulls(len(ids), pa.binary(16)),
        pa.array(problems, pa.string()),
        kept,
    ]
    return pa.RecordBatch.from_arrays(columns, schema=rows_schema(kept.type))


@dataclass(frozen=True, slots=True)
class InputRows:
    """Rows to put around a batch from elsewhere; without `id_column` they are numbered."""

    path: str
    id_column: str | None = None
    input_format: str | None = None


@contextlib.contextmanager
def with_input(run: Run, given: InputRows, home: Home, report: Reporter) -> Iterator[Run]:
    """Give a batch from elsewhere with the rows of an input around its requests.

    They are written to a temporary file, so they may be many. Raises InputError for an input that
    cannot be read, lacks the column, or has an id twice.
    """
    (batch,) = run.batches
    with Draft(home) as draft:
        matching = Matching(given, batch.custom_ids(), IdIndex(draft.path / "ids"))
        reader = open_input(given.path, Reading(given.input_format))
        matching.check_columns(reader)
        column = given.id_column
        parts = map(matching.rows, reader.chunks({column} if column else set()))
        first = next(parts)
        rows_path = draft.path / "rows.arrow"
        with rows_writer(rows_path, first.schema) as writer:
            for part in chain([first], parts):
                writer.write_batch(part)
        matching.finish(reader.files(), report)
        path = given.path if given.path == "-" else str(Path(given.path).absolute())
        record = msgspec.structs.replace(
            run.record,
            input=InputRecord(path, reader.format, reader.digest(), reader.files()),
            arrow_schema=encode_schema(reader.schema()),
            custom_id_is_input=matching.custom_id_is_input,
            totals=msgspec.structs.replace(run.record.totals, rows=matching.count),
        )
        yield WithRows(run, rows_path, record)


class Matching:
    """Finds the request of each row: its id as it is, else as `submit --id` would write it."""

    def __init__(self, given: InputRows, ids: list[str], index: IdIndex) -> None:
        self.count = 0
        self.custom_id_is_input = given.id_column == "custom_id"
        self._given = given
        self._unnamed = dict.fromkeys(ids)
        self._ids = frozenset(ids)
        self._index = index
        self._seen = given.id_column is None

    def check_columns(self, reader: Reader) -> None:
        """Refuse an id column that a header does not have; rows of JSONL may differ."""
        column, columns = self._given.id_column, reader.columns()
        if not reader.rows_may_differ and column is not None and column not in columns:
            raise self._no_column(f"it has: {', '.join(columns[:50])}")

    def _no_column(self, tail: str) -> InputError:
        message = f"{self._given.path}: there is no column {self._given.id_column!r}; {tail}"
        return InputError(message, hint="correct --id")

    def rows(self, chunk: Chunk) -> pa.RecordBatch:
        """Give the rows of a chunk, each with the custom_id of its request in the batch."""
        found: list[str | None] = []
        problems: list[str | None] = []
        for index, row in enumerate(chunk.rows):
            if isinstance(row, Problem):
                found.append(None)
                problems.append(str(row.at(*chunk.place(index))))
            else:
                found.append(self._request_of(row, chunk.first_row + index))
                problems.append(None)
        self.count += len(found)
        return rows_around(chunk.first_row, found, problems, chunk.kept)

    def _request_of(self, row: Mapping[str, Any], number: int) -> str | None:
        column = self._given.id_column
        if column is None:
            custom_id = custom_id_for_row(number)
        else:
            self._seen = self._seen or column in row
            value = row.get(column)
            if value is None or isinstance(value, bytes):
                return None
            text = text_of(value)
            custom_id = text if text in self._ids else custom_id_for_value(text)
            self._index.add(custom_id, number)
            self.custom_id_is_input = self.custom_id_is_input and custom_id == text
        self._unnamed.pop(custom_id, None)
        return custom_id if custom_id in self._ids else None

    def finish(self, files: Sequence[FileRows], report: Reporter) -> None:
        """Refuse ids that occur twice, and say which requests no row names."""
        if not self._seen:
            raise self._no_column("no row has it")
        double = min(self._index.duplicates(), default=None)
        self._index.remove()
        if double is not None:
            (row, file), earlier = place_of(double[0], files), place_of(double[1], files)
            raise InputError(
                f"{row_name(row, file or self._given.path)}, {self._given.id_column}: "
                f"{row_name(*earlier)} has the same id",
                hint="each row needs an id of its own to be found by",
            )
        if self._unnamed:
            count, example = len(self._unnamed), next(iter(self._unnamed))
            what = "request of the batch is" if count == 1 else "requests of the batch are"
            report(Notice(f"{count:,} {what} named by no row, as {example!r}"))
