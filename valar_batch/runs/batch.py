"""A batch: a folder with its rows, the exact bytes of its POST, its state and its results.

It has one writer at a time. Its state moves by the verbs below, each an atomic replace.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

import zstandard

from valar_batch import durable
from valar_batch.core.lifecycle import BatchState
from valar_batch.locks import held
from valar_batch.runs import spool
from valar_batch.runs.records import (
    FIRST_ROWS_FILE,
    BatchRecord,
    damaged,
    now,
    read_record,
    write_record,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from valar_batch.core.wire import Batch

READ_SIZE = 1 << 20


class BatchFolder:
    """`batches/<number>/` of a run."""

    def __init__(self, path: Path, rows_file: str = FIRST_ROWS_FILE) -> None:
        self.path = path
        self.rows_path = path / rows_file
        self.body_path = path / "request.json.zst"
        self.spool_path = path / "results.jsonl.zst"
        self._record_path = path / "batch.json"
        self._rows_are_sealed = False

    @property
    def number(self) -> int:
        """The batch's number in its run."""
        return int(self.path.name)

    def read(self) -> BatchRecord:
        """Read the recorded state."""
        return read_record(self._record_path, BatchRecord)

    @contextlib.contextmanager
    def writing(
        self, on_wait: Callable[[str], None], stop: threading.Event | None = None
    ) -> Iterator[None]:
        """Hold the batch as its one writer, waiting for another who has it: see `locks.held`."""
        with held(self.path / "lock", on_wait, stop):
            yield

    def mark_submitting(self, key: str) -> BatchRecord:
        """Record the intent: from here on a POST may have left this machine."""
        record = self.read()
        first = record.intent_at if record.key == key else None
        return self._move(
            record, BatchState.SUBMITTING, key=key, intent_at=first if first else now()
        )

    def mark_refused(self) -> BatchRecord:
        """Record that Valar did not take the batch: nothing of it is there."""
        return self._move(self.read(), BatchState.PREPARED, key=None, intent_at=None)

    def mark_submitted(self, batch_id: str, *, adopted: bool = False) -> BatchRecord:
        """Record the id under which the batch is at Valar."""
        return self._move(
            self.read(),
            BatchState.SUBMITTED,
            batch_id=batch_id,
            submitted_at=now(),
            adopted=adopted,
        )

    def mark_settled(self, statuses: dict[str, int], tokens: int) -> BatchRecord:
        """Record that nothing more will change at Valar, but that some results cannot be had."""
        return self._move(self.read(), BatchState.SETTLED, statuses=statuses, tokens=tokens)

    def mark_collected(self, statuses: dict[str, int], tokens: int) -> BatchRecord:
        """Record that every result is in the spool, with what they count up to."""
        return self._move(self.read(), BatchState.COLLECTED, statuses=statuses, tokens=tokens)

    def mark_damaged(self) -> BatchRecord:
        """Record that results which were in the spool are not there any more: fetch them again."""
        return self._move(self.read(), BatchState.SUBMITTED, statuses={}, tokens=0)

    def has_results(self, record: BatchRecord) -> bool:
        """Whether the spool of a collected batch has its results; all of it is read for that."""
        return spool.has(self.spool_path, record.requests)

    def _move(self, record: BatchRecord, state: BatchState, **facts: object) -> BatchRecord:
        moved = record.moved(state, **facts)
        self.write(moved)
        return moved

    def write(self, record: BatchRecord) -> None:
        """Replace the record on the disk."""
        write_record(self._record_path, record)

    def body(self) -> Iterator[bytes]:
        """Give the exact bytes of the POST, in pieces."""
        try:
            with self.body_path.open("rb") as file:
                reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
                while piece := reader.read(READ_SIZE):
                    yield piece
        except (OSError, zstandard.ZstdError) as error:
            raise damaged(self.body_path, error) from error

    def checked_body(self) -> Iterator[bytes]:
        """Give the same, the last piece only once all are known to be what was prepared.

        So a damaged body never leaves whole, and no pass over it comes before the sending.
        """
        record, digest, size, held = self.read(), hashlib.sha256(), 0, b""
        for piece in self.body():
            digest.update(piece)
            size += len(piece)
            if size > record.bytes:
                break
            yield held
            held = piece
        if (digest.hexdigest(), size) != (record.sha256, record.bytes):
            raise damaged(self.body_path, "it is not what was prepared")
        yield held

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Give the rows: row, custom_id, params_hash, problem, input (see `draft.rows_schema`)."""
        return self._read(None)

    def row_keys(self) -> Iterator[pa.RecordBatch]:
        """Give the rows without `input`."""
        return self._read([0, 1, 2, 3])

    def custom_ids(self) -> list[str]:
        """Give the custom_ids of the requests, in order."""
        return [custom_id for ids in self._id_arrays() for custom_id in ids.to_pylist()]

    def custom_id_column(self) -> pa.StringArray:
        """Give the custom_ids of the requests, in order, without making objects of them."""
        import pyarrow as pa

        return pa.chunked_array(self._id_arrays(), pa.string()).combine_chunks()

    def _id_arrays(self) -> Iterator[pa.StringArray]:
        for rows in self._read([1, 3]):
            problems = rows["problem"]
            sent = rows.filter(problems.is_null()) if problems.null_count < rows.num_rows else rows
            yield sent["custom_id"]

    def _read(self, fields: list[int] | None) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=fields)
        try:
            self._rows_are_sealed = self._rows_are_sealed or durable.is_sealed(self.rows_path)
            if not self._rows_are_sealed:
                raise damaged(self.rows_path, "it is not what was written")
            with (
                pa.OSFile(str(self.rows_path)) as file,
                pa.ipc.open_stream(file, options=options) as reader,
            ):
                yield from reader
        except (OSError, pa.ArrowException) as error:
            raise damaged(self.rows_path, error) from error


@contextlib.contextmanager
def rows_writer(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatchWriter]:
    """Write a batch's rows: an Arrow IPC stream, compressed, and sealed once it is whole.

    Arrow has no checksums: it would believe a flipped bit.
    """
    import pyarrow as pa

    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_stream(sink, schema, options=options) as writer,
    ):
        yield writer
    durable.seal(path)


def write_sent_batch(
    path: Path, remote: Batch, attempt: int, number: int, rows: list[pa.RecordBatch], *, of: int
) -> BatchRecord:
    """Write the folder of a batch, one `of` so many, that is at Valar and has no body here.

    `rows` are in the form of `draft.rows_schema`, each with a request.
    """
    path.mkdir(parents=True)
    folder = BatchFolder(path)
    with rows_writer(folder.rows_path, rows[0].schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
    count = sum(batch.num_rows for batch in rows)
    record = BatchRecord(
        number=number,
        attempt=attempt,
        state=BatchState.SUBMITTED,
        first_row=rows[0]["row"][0].as_py(),
        last_row=rows[-1]["row"][-1].as_py(),
        rows=count,
        requests=count,
        label=remote.label or "",
        batch_id=remote.id,
        submitted_at=float(remote.created_at) or now(),
        adopted=True,
        of_batches=of,
    )
    folder.write(record)
    return record
