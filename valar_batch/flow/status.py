"""Where a run stands: what is recorded here, and what Valar says of the batches still open."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from valar_batch.core.attempts import winner
from valar_batch.core.lifecycle import BatchState
from valar_batch.core.statuses import TERMINAL, Status, remote_status
from valar_batch.flow.overlay import Overlay
from valar_batch.runs.records import EXPECTED
from valar_batch.runs.spool import decode_entry, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from valar_batch.client.api import Valar
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.records import BatchRecord, OutputRecord, Totals
    from valar_batch.runs.run import Run

NEEDS_VALAR = frozenset({BatchState.SUBMITTED, BatchState.SETTLED})


class BatchStanding(msgspec.Struct, frozen=True):
    """Where a batch stands; `statuses` counts its requests."""

    number: int
    attempt: int
    state: BatchState
    batch_id: str | None
    requests: int
    bytes: int
    submitted_at: float | None
    statuses: dict[str, int]


class Standing(msgspec.Struct, frozen=True):
    """Where a run stands: the shape of `status --json`.

    `statuses` counts the rows, each by the attempt that counts for it.
    """

    run: str
    name: str | None
    target: str
    created_at: float
    tool_version: str
    input: str
    model: str | None
    totals: Totals
    is_settled: bool
    statuses: dict[str, int]
    batches: list[BatchStanding]
    outputs: list[OutputRecord]


def standing_of(run: Run, connect: Callable[[], Valar]) -> Standing:
    """Say where a run stands. `connect` is called only where a batch is still open at Valar."""
    record = run.record
    is_open = any(batch.read().state in NEEDS_VALAR for batch in run.all_batches)
    look = Look(connect() if is_open else None)
    statuses = look.at(run)
    batches = [*look.firsts, *look.retries]
    if record.totals.invalid:
        statuses[Status.INVALID] = record.totals.invalid
    return Standing(
        run=run.id,
        name=record.name,
        target=record.target,
        created_at=record.created_at,
        tool_version=record.tool_version,
        input=record.input.path,
        model=record.recipe.model,
        totals=record.totals,
        is_settled=not any(Status.PENDING in batch.statuses for batch in batches),
        statuses=words(statuses),
        batches=batches,
        outputs=[output for output in run.outputs() if output.collected != EXPECTED],
    )


class Look:
    """One look at a run: the standing of every batch, each asked for once."""

    def __init__(self, valar: Valar | None) -> None:
        self._valar = valar
        self.firsts: list[BatchStanding] = []
        self.retries: list[BatchStanding] = []

    def at(self, run: Run) -> Counter[Status]:
        """Count the rows of a run by the attempt that counts for them."""
        overlay = Overlay(run, self._of_retry)
        rows: Counter[Status] = Counter()
        for folder in run.batches:
            record = folder.read()
            again = overlay.over(record)
            counts = self._counts(record) if not again else None
            if counts is None:
                statuses = self._by_id(folder, record)
                counts = Counter(statuses.values())
                rows.update(counting(custom_id, statuses, again) for custom_id in statuses)
            else:
                rows.update(counts)
            if record.requests:
                self.firsts.append(standing_of_batch(record, counts))
        self.retries.sort(key=lambda batch: (batch.attempt, batch.number))
        return rows

    def _of_retry(self, folder: BatchFolder, record: BatchRecord) -> Mapping[str, Status]:
        statuses = self._by_id(folder, record)
        self.retries.append(standing_of_batch(record, Counter(statuses.values())))
        return statuses

    def _counts(self, record: BatchRecord) -> Counter[Status]:
        """Count the requests of a batch by status, without asking which is which."""
        counts = Counter({Status(word): count for word, count in record.statuses.items()})
        if record.state in NEEDS_VALAR:
            counts = Counter(self._remote(record).values())
        counts[Status.PENDING] += max(0, record.requests - counts.total())
        return counts

    def _by_id(self, folder: BatchFolder, record: BatchRecord) -> dict[str, Status]:
        """Give the status of every request of a batch."""
        known = self._remote(record)
        if record.state is BatchState.COLLECTED:
            entries = map(decode_entry, read_lines(folder.spool_path))
            known = {entry.custom_id: read_status(entry.status) for entry in entries}
        return {name: known.get(name, Status.PENDING) for name in folder.custom_ids()}

    def _remote(self, record: BatchRecord) -> dict[str, Status]:
        if self._valar is None or record.state not in NEEDS_VALAR:
            return {}
        answer = self._valar.batch_status(str(record.batch_id)).request_status
        return {custom_id: read_status(entry.status) for custom_id, entry in answer.items()}


def read_status(word: str) -> Status:
    """Give the status that a word of Valar means for a row: pending until it is terminal."""
    status = remote_status(word)
    return status if status in TERMINAL else Status.PENDING


def counting(
    custom_id: str, first: Mapping[str, Status], again: Sequence[Mapping[str, Status]]
) -> Status:
    """Give the status of the attempt that counts for a row."""
    attempts = [status[custom_id] for status in (first, *again) if custom_id in status]
    return attempts[winner(attempts)]


def standing_of_batch(record: BatchRecord, counts: Counter[Status]) -> BatchStanding:
    """Say where a batch stands."""
    return BatchStanding(
        record.number,
        record.attempt,
        record.state,
        record.batch_id,
        record.requests,
        record.bytes,
        record.submitted_at,
        words(counts),
    )


def words(counts: Counter[Status]) -> dict[str, int]:
    """Give counts under plain words, without those of nothing."""
    return {status.value: count for status, count in counts.items() if count}
