"""Which run folders may go, and what would go with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from valar_batch.core.lifecycle import BatchState
from valar_batch.errors import StateError
from valar_batch.locks import InUse
from valar_batch.runs.records import now
from valar_batch.runs.removal import remove, size_of
from valar_batch.runs.run import UNSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valar_batch.runs.home import Home
    from valar_batch.runs.run import Run

FINISHED, DAMAGED = "finished", "damaged"
STATES = (*(state.value for state in BatchState), FINISHED, DAMAGED)


class Entry(msgspec.Struct):
    """A run folder: the shape of `clean --json`. Sizes in bytes, times in Unix seconds.

    `loses` says what would be lost with it, and is empty for a run that is finished. `goes` is
    whether it would be removed, `removed` whether it was. `in_use` tells that it stayed because
    `used_by` works on it.
    """

    run: str
    name: str | None
    begun_at: float
    state: str
    bytes: int
    loses: str
    goes: bool = False
    removed: bool = False
    in_use: bool = False
    used_by: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which folders are meant: all that fit everything given. Ages in seconds, sizes in bytes."""

    names: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    older_than: float | None = None
    larger_than: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through."""
        return self == Filter()

    def takes(self, entry: Entry) -> bool:
        """Whether a folder is meant."""
        return (
            (not self.states or entry.state in self.states)
            and (self.older_than is None or now() - entry.begun_at > self.older_than)
            and (self.larger_than is None or entry.bytes > self.larger_than)
        )


def entries(home: Home, chosen: Filter, *, unfetched: bool) -> list[Entry]:
    """List the folders that are meant, the oldest first. Raises StateError for unknown names."""
    runs = named(home, chosen.names) if chosen.names else home.folders()
    found = [entry for entry in map(entry_of, runs) if chosen.takes(entry)]
    for entry in found:
        entry.goes = unfetched or not entry.loses
    return sorted(found, key=lambda entry: (entry.begun_at, entry.run))


def named(home: Home, names: Sequence[str]) -> list[Run]:
    """Find the folders that are named: by id, beginning of an id, name, or batch id."""
    known = {run.id: run for run in home.folders()}
    runs = [known[name] if name in known else home.find(name) for name in names]
    return list({run.id: run for run in runs}.values())


def entry_of(run: Run) -> Entry:
    """Look at a folder; one that cannot be read is damaged, and nothing stops for it."""
    size = size_of(run.path)
    try:
        record, state, loses = run.record, run.state(), lost_with(run)
    except (StateError, OSError):
        begun = run.path.stat().st_mtime
        loses = "its records cannot be read; what was sent is at Valar"
        return Entry(run.id, None, begun, DAMAGED, size, loses)
    return Entry(run.id, record.name, record.created_at, state if loses else FINISHED, size, loses)


def lost_with(run: Run) -> str:
    """Say what only this folder has; empty where everything is in an output."""
    if run.is_finished():
        return ""
    records = [batch.read() for batch in run.all_batches]
    unsent = sum(record.requests for record in records if record.state in UNSENT)
    done = (*UNSENT, BatchState.COLLECTED)
    unfetched = sum(record.requests for record in records if record.state not in done)
    parts = []
    if unsent:
        parts.append(f"{unsent:,} requests not sent")
    if unfetched:
        parts.append(f"{unfetched:,} answers not all fetched, which stay at Valar")
    return ", ".join(parts) or "answers that no output has yet, which stay at Valar"


def clean(home: Home, found: Sequence[Entry], *, unfetched: bool) -> None:
    """Remove the folders that go, but none that is in use; the entries tell what was done."""
    from valar_batch.runs.draft import sweep

    sweep(home.runs_path)
    runs = {run.id: run for run in home.folders()}
    for entry in found:
        if entry.goes and entry.run in runs:
            try:
                entry.removed = remove(
                    runs[entry.run], lambda run: unfetched or not entry_of(run).loses
                )
            except InUse as error:
                entry.in_use, entry.used_by = True, error.holder
