"""A run: a folder with its record, its batches and the list of files it wrote."""

from __future__ import annotations

import contextlib
import hashlib
import platform
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from valar_batch import durable, locks
from valar_batch.core.identity import FOREIGN_PREFIX
from valar_batch.core.lifecycle import BatchState
from valar_batch.errors import StateError
from valar_batch.runs.batch import BatchFolder, rows_writer
from valar_batch.runs.records import (
    EXPECTED,
    FIRST_ROWS_FILE,
    OutputRecord,
    OutputRecords,
    RunRecord,
    damaged,
    read_record,
    write_record,
)
from valar_batch.runs.spool import decode_entry, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from valar_batch.runs.records import BatchRecord

UNSENT = frozenset({BatchState.PREPARED, BatchState.SUBMITTING})


class Run:
    """An existing run folder; everything is read from the disk when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    @cached_property
    def record(self) -> RunRecord:
        """What the run is: fixed when it was prepared."""
        return read_record(self.path / "run.json", RunRecord)

    def is_readable(self) -> bool:
        """Whether its record can be read here, by this version."""
        try:
            return bool(self.record)
        except StateError:
            return False

    @cached_property
    def batches(self) -> list[BatchFolder]:
        """The batches of the first attempt: every row of the input once, in order."""
        return batches_in(self.path / "batches", self.record.rows_file)

    @property
    def retries_path(self) -> Path:
        """Where the rows that were sent again are: a folder for each attempt from the second on."""
        return self.path / "retries"

    @property
    def retries(self) -> list[BatchFolder]:
        """The batches of rows that were sent again, the oldest attempt first."""
        folders = [self.retries_path / str(attempt) / "batches" for attempt in self.attempts()]
        return [batch for folder in folders for batch in batches_in(folder)]

    @property
    def all_batches(self) -> list[BatchFolder]:
        """The batches of every attempt."""
        return [*self.batches, *self.retries]

    @property
    def is_foreign(self) -> bool:
        """Whether it is a batch from elsewhere, which has answers here and nothing to send."""
        return self.id.startswith(FOREIGN_PREFIX)

    def attempts(self) -> list[int]:
        """The attempts after the first, in order."""
        if not self.retries_path.exists():
            return []
        return sorted(int(path.name) for path in self.retries_path.iterdir() if path.name.isdigit())

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep what is read of the run from being removed: its rows, and the run itself."""
        with locks.using(self.path):
            yield

    @contextlib.contextmanager
    def retrying(self, on_wait: Callable[[str], None]) -> Iterator[None]:
        """Hold the run as the one who chooses what is sent again."""
        with locks.held(self.path / "retries.lock", on_wait):
            yield

    @property
    def problems_path(self) -> Path:
        """What validation found."""
        return self.path / "problems.jsonl"

    def unsent(self) -> list[BatchFolder]:
        """The batches that are not known to be at Valar."""
        return [batch for batch in self.all_batches if batch.read().state in UNSENT]

    def is_sent(self) -> bool:
        """Whether every batch is at Valar."""
        return not self.unsent()

    def is_collected(self) -> bool:
        """Whether every result that is waited for is here, so that an output needs no call."""
        return self.collected() == len(self.all_batches)

    def collected(self) -> int:
        """Count the batches of which nothing is waited for."""
        return sum(self.waits_for_nothing(batch, batch.read()) for batch in self.all_batches)

    def waits_for_nothing(self, batch: BatchFolder, record: BatchRecord) -> bool:
        """Whether all results of a batch are here, or sent again where they could not be had."""
        if record.state is not BatchState.SETTLED:
            return record.state is BatchState.COLLECTED
        later = [other for other in self.retries if other.read().attempt > record.attempt]
        if not later:
            return False
        absent = set(batch.custom_ids()).difference(
            decode_entry(line).custom_id for line in read_lines(batch.spool_path)
        )
        for other in later:
            absent.difference_update(other.custom_ids())
        return not absent

    def is_finished(self) -> bool:
        """Whether every result is here and an output with all of them was written."""
        whole = len(self.all_batches)
        return self.is_collected() and any(o.collected == whole for o in self.outputs())

    def state(self) -> str:
        """Say in a word how far the run is: the least advanced of its batches counts."""
        states = [batch.read().state for batch in self.all_batches]
        return min(states, key=list(BatchState).index, default=BatchState.COLLECTED).value

    def outputs(self) -> list[OutputRecord]:
        """The files that this run wrote."""
        path = self.path / "outputs.json"
        try:
            return read_record(path, OutputRecords).outputs if path.exists() else []
        except StateError:  # only what may be overwritten is forgotten
            return []

    def with_rows(
        self,
        rows: Iterator[pa.RecordBatch],
        record: RunRecord,
        on_wait: Callable[[str], None],
    ) -> Run:
        """Put other rows around the same requests; gives the run as it is then.

        `rows` are as many as before, in the form of `draft.rows_schema`, cut anyhow. They are
        written beside the old ones and count from the moment that `run.json` names them. The old
        ones stay for whoever is about to read them, those before them once nobody uses the run.
        """
        with locks.held(self.path / "rows.lock", on_wait):
            before = Run(self.path).record.rows_file
            stem, _, number = before.removesuffix(".arrow").partition("-")
            name = f"{stem}-{int(number or 0) + 1}.arrow"
            pieces = Pieces(rows)
            for batch in self.batches:
                with rows_writer(batch.path / name, pieces.schema) as writer:
                    for piece in pieces.take(batch.read().rows):
                        writer.write_batch(piece)
                durable.sync_file(batch.path / name)
                durable.sync_folder(batch.path)
            record = msgspec.structs.replace(record, rows_file=name)
            write_record(self.path / "run.json", record)
            if not locks.users(self.path):
                for path in (self.path / "batches").glob("*/rows*.arrow"):
                    if path.name not in (name, before):
                        path.unlink()
        run = Run(self.path)
        run.record = record  # not what another process may have made of it since
        return run

    @contextlib.contextmanager
    def writing_output(self, on_wait: Callable[[str], None]) -> Iterator[str]:
        """Write outputs one at a time; gives a mark for the temporary file that is this run's."""
        place = f"{platform.node()}:{self.path.absolute()}"
        with locks.held(self.path / "outputs.lock", on_wait):
            yield hashlib.blake2b(place.encode(), digest_size=6).hexdigest()

    def wrote(self, output: Path) -> bool:
        """Whether the file at `output` is one that this run wrote, unchanged since."""
        stat = output.stat()
        return any(
            record.path == str(output.absolute())
            and (record.size, record.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
            for record in self.outputs()
        )

    def expect_output(self, output: Path | None, output_format: str, whole: Path) -> None:
        """Record how a file looks before it takes its place, while writing.

        So it is known as this run's also where the process is killed right after that. What is
        known of the place stays: the file there may be the one before.
        """
        self._write_outputs([*self.outputs(), record_of(output, output_format, whole, EXPECTED)])

    def add_output(self, output: Path | None, output_format: str, collected: int) -> None:
        """Record a file that this run wrote, while writing; None is standard output.

        `collected` is what `collected()` gave before it was written.
        """
        record = record_of(output, output_format, output, collected)
        self._write_outputs([o for o in self.outputs() if o.path != record.path] + [record])

    def _write_outputs(self, outputs: list[OutputRecord]) -> None:
        write_record(self.path / "outputs.json", OutputRecords(outputs))


class Pieces:
    """A stream of rows that can be cut at any row."""

    def __init__(self, rows: Iterator[pa.RecordBatch]) -> None:
        self._rows = rows
        self._rest = next(rows)
        self.schema = self._rest.schema

    def take(self, count: int) -> Iterator[pa.RecordBatch]:
        """Give the next `count` rows."""
        while count:
            if not self._rest.num_rows:
                self._rest = next(self._rows)
            piece = self._rest.slice(0, count)
            self._rest = self._rest.slice(piece.num_rows)
            count -= piece.num_rows
            yield piece


def record_of(
    output: Path | None, output_format: str, file: Path | None, collected: int
) -> OutputRecord:
    """Describe an output by the file that is there, or will be."""
    if output is None or file is None:
        return OutputRecord("-", output_format, collected=collected)
    stat, place = file.stat(), str(output.absolute())
    return OutputRecord(place, output_format, stat.st_size, stat.st_mtime_ns, collected)


def batches_in(path: Path, rows_file: str = FIRST_ROWS_FILE) -> list[BatchFolder]:
    """Find the batches of an attempt. Raises StateError where one is missing."""
    try:
        paths = sorted(batch for batch in path.iterdir() if batch.name.isdigit())
    except OSError as error:
        raise damaged(path, error) from error
    batches = [BatchFolder(batch, rows_file) for batch in paths]
    count = batches[0].read().of_batches if batches else 1
    if count not in (0, len(batches)):
        raise damaged(path, f"it has {len(batches):,} of {count:,} batches")
    return batches
