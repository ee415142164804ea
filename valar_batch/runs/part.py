"""A view of a run: one of its batches, or other rows around its requests; nothing is written."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from valar_batch.runs.batch import BatchFolder
from valar_batch.runs.records import Totals
from valar_batch.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from valar_batch.runs.records import RunRecord


class Part(Run):
    """One batch of a run, taken for itself: its rows, and what became of them in it."""

    def __init__(self, run: Run, batch: BatchFolder) -> None:
        super().__init__(run.path)
        self._run = run
        self._batch = batch

    @cached_property
    def record(self) -> RunRecord:
        """What the run is, with the counts of this batch."""
        batch = self._batch.read()
        totals = Totals(
            rows=batch.rows,
            requests=batch.requests,
            invalid=batch.rows - batch.requests,
            batches=1,
            bytes=batch.bytes,
        )
        return msgspec.structs.replace(self._run.record, totals=totals)

    @cached_property
    def batches(self) -> list[BatchFolder]:
        """The batch; of a retry, with its rows as they are in the input."""
        if self._batch.read().attempt == 1:
            return [self._batch]
        return [OriginalRows(self._batch.path, self._run)]

    @property
    def retries(self) -> list[BatchFolder]:
        """None: what became of these rows in other batches is not looked at."""
        return []


class OriginalRows(BatchFolder):
    """A retry's batch that gives its rows as they are in the first attempt."""

    def __init__(self, path: Path, run: Run) -> None:
        super().__init__(path)
        self._run = run

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Give the rows of the first attempt that this batch sent again."""
        import pyarrow as pa

        own = pa.Table.from_batches(super().rows())
        origins = own["input"].combine_chunks().field("batch").unique().to_pylist()
        for number in sorted(origins):
            for rows in self._run.batches[number].rows():
                yield rows.filter(pa.compute.is_in(rows["row"], own["row"].combine_chunks()))


class WithRows(Run):
    """A batch from elsewhere with the rows of an input around its requests.

    `rows_path` holds them in the form of `draft.rows_schema`; a row without a custom_id has no
    request in the batch.
    """

    def __init__(self, run: Run, rows_path: Path, record: RunRecord) -> None:
        super().__init__(run.path)
        self.record = record
        (batch,) = run.batches
        joined = BatchFolder(batch.path)
        joined.rows_path = rows_path
        self.batches = [joined]
