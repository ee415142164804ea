"""A run: a folder with its record, its batches and the list of files it wrote."""

from __future__ import annotations

import contextlib
import hashlib
import platform
from functools import cached_property
from typing import TYPE_CHECKING

import filelock
import msgspec

from valar_batch import durable
from valar_batch.core.lifecycle import BatchState
from valar_batch.runs.batch import BatchFolder
from valar_batch.runs.records import OutputRecord, RunRecord, read_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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

    @cached_property
    def batches(self) -> list[BatchFolder]:
        """The batches, in input order."""
        return [BatchFolder(path) for path in sorted((self.path / "batches").iterdir())]

    @property
    def problems_path(self) -> Path:
        """What validation found."""
        return self.path / "problems.jsonl"

    def unsent(self) -> list[BatchFolder]:
        """The batches that are not known to be at Valar."""
        return [batch for batch in self.batches if batch.read().state in UNSENT]

    def is_sent(self) -> bool:
        """Whether every batch is at Valar."""
        return not self.unsent()

    def is_collected(self) -> bool:
        """Whether every result is here, so that an output needs no call."""
        return all(batch.read().state is BatchState.COLLECTED for batch in self.batches)

    def is_finished(self) -> bool:
        """Whether every result is here and an output was written."""
        return self.is_collected() and bool(self.outputs())

    def state(self) -> str:
        """Say in a word how far the run is: the least advanced of its batches counts."""
        states = [batch.read().state for batch in self.batches]
        return min(states, key=list(BatchState).index, default=BatchState.COLLECTED).value

    def outputs(self) -> list[OutputRecord]:
        """The files that this run wrote."""
        path = self.path / "outputs.json"
        return read_list(path) if path.exists() else []

    @contextlib.contextmanager
    def writing_output(self) -> Iterator[str]:
        """Write outputs one at a time; gives a mark for the temporary file that is this run's."""
        place = f"{platform.node()}:{self.path.absolute()}"
        with filelock.FileLock(self.path / "outputs.lock"):
            yield hashlib.blake2b(place.encode(), digest_size=6).hexdigest()

    def wrote(self, output: Path) -> bool:
        """Whether the file at `output` is one that this run wrote, unchanged since."""
        stat = output.stat()
        return any(
            record.path == str(output.absolute())
            and (record.size, record.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
            for record in self.outputs()
        )

    def add_output(self, output: Path | None, output_format: str) -> None:
        """Record a file that this run wrote, while writing; None is standard output."""
        record = OutputRecord("-", output_format)
        if output is not None:
            stat = output.stat()
            record = OutputRecord(
                str(output.absolute()), output_format, stat.st_size, stat.st_mtime_ns
            )
        kept = [other for other in self.outputs() if other.path != record.path]
        content = msgspec.json.encode([*kept, record])
        durable.write_file(self.path / "outputs.json", content, mark="writer")


def read_list(path: Path) -> list[OutputRecord]:
    """Read `outputs.json`; a torn one only forgets what may be overwritten."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[OutputRecord])
    except msgspec.MsgspecError:
        return []
