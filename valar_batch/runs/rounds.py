"""A round of a run: rows that are sent again together, as a folder that appears by one rename."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from valar_batch import durable
from valar_batch.runs.batch import write_sent_batch
from valar_batch.runs.draft import BatchDraft, rows_schema
from valar_batch.runs.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from valar_batch.core.wire import Batch
    from valar_batch.runs.records import BatchRecord
    from valar_batch.runs.run import Run

ORIGIN = pa.struct([pa.field("batch", pa.int32()), pa.field("position", pa.int32())])
"""What a retry keeps of a row: its batch in the first attempt, and its place among that one's rows,
counted from 0."""


class Round:
    """`retries/<attempt>/` in preparation, for whoever holds `Run.retrying`.

    As a context manager it removes itself unless it was committed.
    """

    def __init__(self, run: Run, attempt: int) -> None:
        self.run = run
        self.attempt = attempt
        self.path = run.retries_path / ".preparing"
        self.batches: list[BatchDraft] = []
        self._lanes = Lanes()

    def __enter__(self) -> Self:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        durable.place_fault(error, self.path)
        self._lanes.stop()
        for batch in self.batches:
            with contextlib.suppress(OSError):  # what a full disk did not take is not needed now
                batch.abandon()
        shutil.rmtree(self.path, ignore_errors=True)

    def new_batch(self, first_row: int) -> BatchDraft:
        """Begin the next batch to be sent."""
        number = len(self.batches)
        place = self._place(number)
        self.batches.append(BatchDraft(place, number, first_row, ORIGIN, self._lanes))
        return self.batches[-1]

    def take_up(self, remote: Batch, number: int, rows: list[pa.RecordBatch], *, of: int) -> None:
        """Add a batch, one `of` so many, that is at Valar already: nothing of it is to be sent."""
        write_sent_batch(self._place(number), remote, self.attempt, number, rows, of=of)

    def _place(self, number: int) -> Path:
        return self.path / "batches" / f"{number:05d}"

    def commit(self) -> None:
        """Become a round of the run: everything on the disk, then one rename."""
        for batch in self.batches:
            batch.close()
            batch.finish(self.run.id, self.attempt, of=len(self.batches))
        durable.sync_tree(self.path)
        self.path.rename(self.run.retries_path / str(self.attempt))
        durable.sync_folder(self.run.retries_path)
        durable.sync_folder(self.run.path)


def origins(run: Run) -> Iterator[pa.RecordBatch]:
    """Give the rows of a run that have a request as a retry keeps them: with their origin."""
    for folder in run.batches:
        record = folder.read()
        for rows in folder.row_keys():
            sent = rows.filter(rows["problem"].is_null())
            if sent.num_rows:
                yield with_origin(sent, record)


def with_origin(rows: pa.RecordBatch, record: BatchRecord) -> pa.RecordBatch:
    """Give rows of a batch, read without their input, with their origin in its place."""
    positions = pa.compute.subtract(rows["row"], record.first_row).cast(pa.int32())
    batches = pa.repeat(pa.scalar(record.number, pa.int32()), rows.num_rows)
    origin = pa.StructArray.from_arrays([batches, positions], fields=list(ORIGIN))
    return pa.RecordBatch.from_arrays([*rows.columns, origin], schema=rows_schema(ORIGIN))
