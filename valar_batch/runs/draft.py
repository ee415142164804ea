"""A run in preparation: a folder of its own that becomes a run by one rename."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import filelock
import msgspec
import pyarrow as pa
import zstandard

from valar_batch import durable
from valar_batch.core.identity import Label, RunId, idempotency_key
from valar_batch.core.lifecycle import BatchState
from valar_batch.core.wire import BODY_HEAD, SEPARATOR, body_tail, params_of
from valar_batch.runs.batch import BatchFolder, rows_writer
from valar_batch.runs.lanes import Lanes
from valar_batch.runs.records import BatchRecord, RunRecord, encode_record
from valar_batch.runs.removal import REMOVED_PREFIX
from valar_batch.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from valar_batch.core.problems import Problem
    from valar_batch.runs.home import Home

PREFIX = ".preparing-"
COMPRESSION_LEVEL = 1
HELD_BYTES = 8_000_000
"""So much is gathered before it is handed to the lanes: a thread that is called often waits for
Python's lock more than it works."""


def rows_schema(kept: pa.DataType) -> pa.Schema:
    """`rows.arrow`: a row without a request has its problem.

    `params_hash` is null: only earlier versions wrote it. `input` holds the row as it was: a JSONL
    line, or the columns of a CSV or Parquet row.
    """
    return pa.schema(
        [
            pa.field("row", pa.int64()),
            pa.field("custom_id", pa.string()),
            pa.field("params_hash", pa.binary(16)),
            pa.field("problem", pa.string()),
            pa.field("input", kept),
        ]
    )


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """Consecutive rows on their way into a batch: each has either a request or a problem."""

    custom_ids: Sequence[str | None]
    requests: Sequence[bytes | None]
    problems: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.requests)

    def slice(self, start: int, stop: int) -> PreparedRows:
        """Give a part of the rows."""
        part = slice(start, stop)
        return PreparedRows(self.custom_ids[part], self.requests[part], self.problems[part])


class BatchDraft:
    """A batch in preparation. Its body lacks the tail, which holds the run's id.

    What is added is gathered and written by `lanes`; `close` ends that, and `Lanes.wait` waits.
    """

    def __init__(
        self, path: Path, number: int, first_row: int, kept: pa.DataType, lanes: Lanes
    ) -> None:
        path.mkdir(parents=True)
        self.folder = BatchFolder(path)
        self.number = number
        self.first_row = self.last_row = first_row
        self.rows = 0
        self.requests = 0
        self.bytes = 0
        self._lanes = lanes
        self._digest = hashlib.sha256()
        self._schema = rows_schema(kept)
        self._rows_file = contextlib.ExitStack()
        self._rows = self._rows_file.enter_context(rows_writer(self.folder.rows_path, self._schema))
        self._body_file = contextlib.ExitStack()
        self._body = self._body_file.enter_context(frame_writer(self.folder.body_path, "wb"))
        self._held_rows: list[pa.RecordBatch] = []
        self._held_requests: list[bytes] = []
        self._held = 0
        self._write_body(BODY_HEAD)

    def add(self, kept: pa.Array, rows: PreparedRows, numbers: Sequence[int] | None = None) -> None:
        """Append rows, with `kept` as they were in the input.

        Their `numbers` in the input, from the lowest to the highest; None is the next ones.
        """
        start = self.first_row + self.rows
        numbers = range(start, start + len(rows)) if numbers is None else numbers
        columns = [
            pa.array(numbers, pa.int64()),
            pa.array(rows.custom_ids, pa.string()),
            pa.nulls(len(rows), pa.binary(16)),
            pa.array(rows.problems, pa.string()),
            kept,
        ]
        self._held_rows.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self.rows += len(rows)
        self.last_row = numbers[-1] if len(numbers) else self.last_row
        requests = [request for request in rows.requests if request is not None]
        self._held_requests += requests
        self.requests += len(requests)
        self._held += kept.nbytes + sum(map(len, requests))
        if self._held >= HELD_BYTES:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give what is held to the lanes."""
        rows, requests = self._held_rows, self._held_requests
        goes_on = self.requests > len(requests)
        self._held_rows, self._held_requests, self._held = [], [], 0
        if rows:
            self._lanes.rows.call(lambda: self._rows.write_table(pa.Table.from_batches(rows)))
        if requests:
            self._lanes.body.call(lambda: self._write_requests(requests, goes_on=goes_on))

    def _write_requests(self, requests: Sequence[bytes], *, goes_on: bool) -> None:
        """Write requests, one alone without a copy of it."""
        if goes_on:
            self._write_body(SEPARATOR)
        self._write_body(SEPARATOR.join(requests))

    def _write_body(self, content: bytes) -> None:
        self._digest.update(content)
        self.bytes += len(content)
        self._body.write(content)

    def close(self) -> None:
        """No more rows come: what is held is written, and the files are closed."""
        self._hand_over()
        self._lanes.rows.call(self._rows_file.close)
        self._lanes.body.call(self._body_file.close)

    def abandon(self) -> None:
        """Let go of the files as they are; the lanes have stopped."""
        self._rows_file.close()
        self._body_file.close()

    def withdraw(
        self, problems: Mapping[int, Problem], on_withdrawn: Callable[[bytes], None]
    ) -> None:
        """Take the requests of these rows out again; the rows stay, with their problem.

        `on_withdrawn` is told the params of each.
        """
        self._lanes.wait()
        old, kept = self.folder, self._schema.field("input").type
        aside = BatchDraft(old.path / "without", self.number, self.first_row, kept, self._lanes)
        requests = old_requests(old)
        for batch in old.rows():
            start = self.first_row + aside.rows
            found = [problems.get(start + i) for i in range(batch.num_rows)]
            aside.add(batch["input"], withdrawn(batch, found, requests, on_withdrawn))
        aside.close()
        self._lanes.wait()
        aside.folder.rows_path.replace(old.rows_path)
        aside.folder.body_path.replace(old.body_path)
        aside.folder.path.rmdir()
        self._digest, self.bytes, self.requests = aside._digest, aside.bytes, aside.requests

    def finish(self, run_id: str, attempt: int = 1, *, of: int) -> BatchRecord:
        """Write the tail with the label, and the record of a batch, one `of` so many."""
        self._lanes.wait()
        label = Label(run_id, attempt, self.number)
        self._body = frame_writer(self.folder.body_path, "ab")
        with self._body:
            self._write_body(body_tail(str(label)))
        sha256 = self._digest.hexdigest()
        record = BatchRecord(
            number=self.number,
            attempt=attempt,
            state=BatchState.PREPARED if self.requests else BatchState.COLLECTED,
            first_row=self.first_row,
            last_row=self.last_row,
            rows=self.rows,
            requests=self.requests,
            bytes=self.bytes,
            sha256=sha256,
            label=str(label),
            idempotency_key=idempotency_key(label, sha256),
            of_batches=of,
        )
        self.folder.write(record)
        return record


def frame_writer(path: Path, mode: str) -> zstandard.ZstdCompressionWriter:
    """Open a file to write one checksummed zstd frame to it."""
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)
    return compressor.stream_writer(path.open(mode), closefd=True)


def old_requests(folder: BatchFolder) -> Iterator[bytes]:
    """Give the requests of a body without its tail, one by one."""
    lines = lines_of(folder.body())
    next(lines, b"")  # of BODY_HEAD
    return (line.removesuffix(b",") for line in lines)


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Give the lines of a text that comes in pieces."""
    begun: list[bytes] = []
    for piece in pieces:
        end, *others = piece.split(b"\n")
        begun.append(end)
        for line in others:
            yield b"".join(begun)
            begun = [line]
    if line := b"".join(begun):
        yield line


def withdrawn(
    rows: pa.RecordBatch,
    problems: Sequence[Problem | None],
    requests: Iterator[bytes],
    on_withdrawn: Callable[[bytes], None],
) -> PreparedRows:
    """Give rows of a batch again, without the requests of those that have a problem now."""
    custom_ids, old_problems = rows["custom_id"].to_pylist(), rows["problem"].to_pylist()
    left: list[bytes | None] = []
    for index, problem in enumerate(problems):
        request = None if old_problems[index] is not None else next(requests)
        if request is not None and problem is not None:
            on_withdrawn(params_of(request, custom_ids[index]))
            old_problems[index], request = str(problem), None
        left.append(request)
    return PreparedRows(custom_ids, left, old_problems)


class Draft:
    """`runs/.preparing-<random>/`: locked while its process lives, so others can tell it is alive.

    As a context manager it removes itself unless it became a run.
    """

    def __init__(self, home: Home) -> None:
        home.create()
        sweep(home.runs_path)
        self._home = home
        self.path = home.runs_path / f"{PREFIX}{secrets.token_hex(8)}"
        self._lock = filelock.FileLock(home.runs_path / f"{self.path.name}.lock")
        self._lock.acquire()
        self.path.mkdir(mode=0o700)
        self._problems = (self.path / "problems.jsonl").open("wb")
        self.batches: list[BatchDraft] = []
        self._lanes = Lanes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        durable.place_fault(error, self.path)
        self._lanes.stop()
        for close in (self._problems.close, *(batch.abandon for batch in self.batches)):
            with contextlib.suppress(OSError):  # what a full disk did not take is not needed now
                close()
        shutil.rmtree(self.path, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        self._lock.release()
        with contextlib.suppress(OSError):
            (self.path.parent / f"{self.path.name}.lock").unlink(missing_ok=True)

    def new_batch(self, first_row: int, kept: pa.DataType) -> BatchDraft:
        """Begin the next batch."""
        number = len(self.batches)
        path = self.path / "batches" / f"{number:05d}"
        self.batches.append(BatchDraft(path, number, first_row, kept, self._lanes))
        return self.batches[-1]

    def wait(self) -> None:
        """Wait until what was added is written. Raises what kept it from that."""
        self._lanes.wait()

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """List problems in the run's file."""
        self._problems.writelines(msgspec.json.encode(problem) + b"\n" for problem in problems)

    def keep_problems(self, path: Path) -> None:
        """Put the list of problems where it outlives the draft."""
        self._problems.flush()
        with durable.replacing(path) as aside:
            shutil.copyfile(self.path / "problems.jsonl", aside)

    def finish(self, run_id: RunId) -> list[BatchRecord]:
        """Write the labels, now that the preparation knows the run's id."""
        return [batch.finish(str(run_id), of=len(self.batches)) for batch in self.batches]

    def commit(self, run_id: RunId | str, record: RunRecord) -> Run:
        """Become a run: everything on the disk, then one rename.

        If the run is there already, from another process, that one is given back.
        """
        self._problems.close()
        (self.path / "run.json").write_bytes(encode_record(record))
        durable.sync_tree(self.path)
        final = self._home.runs_path / str(run_id)
        try:
            self.path.rename(final)
        except OSError:
            if not (final / "run.json").exists():
                raise
        durable.sync_folder(self._home.runs_path)
        return Run(final)


def sweep(runs_path: Path) -> None:
    """Remove what was on its way out, and preparations whose process is gone: nobody locks them."""
    for path in runs_path.glob(f"{REMOVED_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in runs_path.glob(f"{PREFIX}*.lock"):
        lock = filelock.FileLock(path)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            continue
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
        lock.release()
        path.unlink(missing_ok=True)
