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


def rows_schema(kept: pa.DataType) -> pa.Schema:
    """`rows.arrow`: a row without a request has its problem and no params hash.

    `input` holds the row as it was: a JSONL line, or the columns of a CSV or Parquet row.
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
class PreparedRow:
    """A row on its way into a batch: either a request with its params hash, or a problem."""

    custom_id: str | None
    request: bytes | None = None
    params_hash: bytes | None = None
    problem: str | None = None


class BatchDraft:
    """A batch in preparation. Its body lacks the tail, which holds the run's id."""

    def __init__(self, path: Path, number: int, first_row: int, kept: pa.DataType) -> None:
        path.mkdir(parents=True)
        self.folder = BatchFolder(path)
        self.number = number
        self.first_row = self.last_row = first_row
        self.rows = 0
        self.requests = 0
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._schema = rows_schema(kept)
        self._files = contextlib.ExitStack()
        self._rows = self._files.enter_context(rows_writer(self.folder.rows_path, self._schema))
        self._body = self._files.enter_context(frame_writer(self.folder.body_path, "wb"))
        self._write_body(BODY_HEAD)

    def add(
        self, kept: pa.Array, rows: Sequence[PreparedRow], numbers: Sequence[int] | None = None
    ) -> None:
        """Append rows, with `kept` as they were in the input.

        Their `numbers` in the input, from the lowest to the highest; None is the next ones.
        """
        start = self.first_row + self.rows
        numbers = range(start, start + len(rows)) if numbers is None else numbers
        columns = [
            pa.array(numbers, pa.int64()),
            pa.array([row.custom_id for row in rows], pa.string()),
            pa.array([row.params_hash for row in rows], pa.binary(16)),
            pa.array([row.problem for row in rows], pa.string()),
            kept,
        ]
        self._rows.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self.rows += len(rows)
        self.last_row = numbers[-1] if len(numbers) else self.last_row
        self._add_requests([row.request for row in rows if row.request is not None])

    def _add_requests(self, requests: Sequence[bytes]) -> None:
        if requests:
            if self.requests:
                self._write_body(SEPARATOR)
            self._write_body(SEPARATOR.join(requests))
            self.requests += len(requests)

    def _write_body(self, content: bytes) -> None:
        self._digest.update(content)
        self.bytes += len(content)
        self._body.write(content)

    def close(self) -> None:
        """No more rows come."""
        self._files.close()

    def withdraw(
        self, problems: Mapping[int, Problem], on_withdrawn: Callable[[bytes], None]
    ) -> None:
        """Take the requests of these rows out again; the rows stay, with their problem.

        `on_withdrawn` is told the params of each.
        """
        old = self.folder
        aside = BatchDraft(old.path / "without", self.number, self.first_row, self._schema[4].type)
        requests = old_requests(old)
        for batch in old.rows():
            rows = [
                withdrawn(
                    batch, i, problems.get(self.first_row + aside.rows + i), requests, on_withdrawn
                )
                for i in range(batch.num_rows)
            ]
            aside.add(batch["input"], rows)
        aside.close()
        aside.folder.rows_path.replace(old.rows_path)
        aside.folder.body_path.replace(old.body_path)
        aside.folder.path.rmdir()
        self._digest, self.bytes, self.requests = aside._digest, aside.bytes, aside.requests

    def finish(self, run_id: str, attempt: int = 1, *, of: int) -> BatchRecord:
        """Write the tail with the label, and the record of a batch, one `of` so many."""
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
    index: int,
    problem: Problem | None,
    requests: Iterator[bytes],
    on_withdrawn: Callable[[bytes], None],
) -> PreparedRow:
    """Give one row of a batch again, without its request where it has a problem now."""
    custom_id = rows["custom_id"][index].as_py()
    old_problem = rows["problem"][index].as_py()
    if old_problem is not None:
        return PreparedRow(custom_id, problem=old_problem)
    request = next(requests)
    if problem is not None:
        on_withdrawn(params_of(request, custom_id))
        return PreparedRow(custom_id, problem=str(problem))
    return PreparedRow(custom_id, request, rows["params_hash"][index].as_py())


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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        durable.place_fault(error, self.path)
        for close in (self._problems.close, *(batch.close for batch in self.batches)):
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
        self.batches.append(BatchDraft(path, number, first_row, kept))
        return self.batches[-1]

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
